"""The peer: a consumer in Python that stores readings as Parquet, written as somebody would who knows how.

    pyarrow_store.py BOOTSTRAP TOPIC DIRECTORY RECORDS

confluent-kafka in batches of 10,000, json by orjson if it is there, columns by pyarrow, a file of 1,000,000 rows with
Zstandard and dictionaries, offsets committed after each file. Prints {"rows", "seconds"}: from the first batch to the end.
"""

import json
import sys
import time
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer

try:
    from orjson import loads
except ImportError:
    from json import loads

NUMBERS = ["temperature", "humidity", "pressure"]
ROWS = 1_000_000


def store(columns, path):
    times = pa.array(columns["time"], pa.timestamp("us"))
    arrays = {
        "sensor_id": columns["sensor_id"],
        "time": times,
        **{name: pa.array(columns[name], pa.float64()) for name in NUMBERS + ["latitude", "longitude"]},
        "status": columns["status"],
        "partition": pa.array(columns["partition"], pa.int32()),
        "offset": pa.array(columns["offset"], pa.int64()),
    }
    table = pa.table(arrays).sort_by([("sensor_id", "ascending"), ("time", "ascending")])
    pq.write_table(table, path, compression="zstd")


def main():
    bootstrap, topic, directory, count = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": f"pyarrow-{time.time_ns()}", "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "fetch.queue.backoff.ms": 5,
    })
    consumer.subscribe([topic])
    names = ["sensor_id", "time", *NUMBERS, "latitude", "longitude", "status", "partition", "offset"]
    columns, rows, files, began = {name: [] for name in names}, 0, 0, None
    while rows < count:
        batch = consumer.consume(10_000, timeout=1.0)
        if not batch:
            continue
        began = began or time.monotonic()
        append = {name: columns[name].append for name in names}
        for record in batch:
            reading = loads(record.value())
            location = reading.get("location") or {}
            append["sensor_id"](reading["sensor_id"])
            append["time"](datetime.fromisoformat(reading["timestamp"]))
            for name in NUMBERS:
                append[name](reading.get(name))
            append["latitude"](location.get("latitude"))
            append["longitude"](location.get("longitude"))
            append["status"](reading.get("status"))
            append["partition"](record.partition())
            append["offset"](record.offset())
        rows += len(batch)
        if len(columns["time"]) >= ROWS or rows >= count:
            store(columns, directory / f"{files}.parquet")
            consumer.commit(asynchronous=False)
            columns, files = {name: [] for name in names}, files + 1
    print(json.dumps({"rows": rows, "seconds": time.monotonic() - began}))


main()
