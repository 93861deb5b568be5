"""Compares what is stored of a topic of readings with the topic itself, row by row and offset by offset.

    stored.py BOOTSTRAP TOPIC DIRECTORY

The topic is read with confluent-kafka, the Parquet files in DIRECTORY with DuckDB and Polars. Prints {"topic", "rows",
"missing", "doubled", "different", "duckdb", "polars"}: records that are readings, rows of the files, readings without a
row, rows whose place is there already, rows that say something else than their record, the first places without a row; and of each reader whether its
count, sums, minima and maxima per sensor are those of the topic.
"""

import json
import math
import sys
from datetime import datetime, timezone

import duckdb
import polars
from confluent_kafka import Consumer, TopicPartition

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def micros(time):
    difference = time - EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds


def readings(bootstrap, topic):
    """Every reading by its place; what is no reading, or was in an aborted transaction, is left out."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "stored", "enable.auto.commit": False}
    consumer = Consumer({**settings, "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found, open_partitions = {}, set(partitions)
    while open_partitions:
        for record in consumer.consume(10_000, timeout=1.0):
            if record.error() is not None:
                open_partitions.discard(record.partition())
                continue
            try:
                reading = json.loads(record.value())
                time = datetime.fromisoformat(reading["timestamp"].rstrip("Z")).replace(tzinfo=timezone.utc)
            except (ValueError, KeyError, TypeError):
                continue
            if not any(isinstance(value, (int, float)) for value in reading.values()):
                continue
            values = tuple(reading.get(name) for name in ("temperature", "humidity", "pressure"))
            location = reading.get("location") or {}
            place = (location.get("latitude"), location.get("longitude"))
            row = (reading["sensor_id"], micros(time), *values, *place, reading.get("status"))
            found[(record.partition(), record.offset())] = row
    consumer.close()
    return found


COLUMNS = ["sensor_id", "time", "temperature", "humidity", "pressure", "latitude", "longitude", "status"]


def per_sensor(rows):
    """Count, sum, minimum and maximum of the temperatures by sensor."""
    temperatures = {}
    for row in rows:
        if row[2] is not None:
            temperatures.setdefault(row[0], []).append(row[2])
    return {sensor: (len(all_), math.fsum(all_), min(all_), max(all_)) for sensor, all_ in temperatures.items()}


def agree(one, other):
    return one.keys() == other.keys() and all(
        (mine[0], mine[2], mine[3]) == (theirs[0], theirs[2], theirs[3])
        and math.isclose(mine[1], theirs[1], rel_tol=1e-9)
        for mine, theirs in ((one[sensor], other[sensor]) for sensor in one)
    )


def main():
    bootstrap, topic, directory = sys.argv[1:]
    expected = readings(bootstrap, topic)
    files = f"{directory}/readings/**/*.parquet"
    names = ", ".join(COLUMNS)
    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    rows = database.execute(f'select "partition", "offset", {names} from read_parquet(\'{files}\')').fetchall()
    found, doubled = {}, 0
    for partition, offset, sensor, time, *rest in rows:
        doubled += (partition, offset) in found
        found[(partition, offset)] = (sensor, micros(time), *rest)
    sums = "count(temperature), sum(temperature), min(temperature), max(temperature)"
    by_duckdb = database.execute(
        f"select sensor_id, {sums} from read_parquet('{files}') group by sensor_id having count(temperature) > 0"
    ).fetchall()
    temperature = polars.col("temperature")
    by_polars = (
        polars.scan_parquet(files)
        .filter(temperature.is_not_null())
        .group_by("sensor_id")
        .agg(temperature.count().alias("n"), temperature.sum().alias("sum"), temperature.min().alias("min"), temperature.max().alias("max"))
        .collect()
        .rows()
    )
    truth = per_sensor(expected.values())
    print(
        json.dumps(
            {
                "topic": len(expected),
                "rows": len(rows),
                "missing": len(expected.keys() - found.keys()),
                "first_missing": sorted(expected.keys() - found.keys())[:5],
                "doubled": doubled,
                "different": sum(found[place] != row for place, row in expected.items() if place in found),
                "duckdb": agree(truth, {row[0]: row[1:] for row in by_duckdb}),
                "polars": agree(truth, {row[0]: row[1:] for row in by_polars}),
            }
        )
    )


if __name__ == "__main__":
    main()
