"""The analytics consumer of the Python pipeline, by its documentation: the settings of its KafkaConsumer, and its
figures: average temperature and humidity per sensor, high-temperature alerts, warnings, volume.

    seed_consumer.py BOOTSTRAP TOPIC GROUP COUNT

Reads COUNT readings, prints the figures as JSON, and leaves its offsets committed.
"""

import collections
import json
import sys

from kafka import KafkaConsumer


def main():
    bootstrap, topic, group, count = sys.argv[1:]
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        value_deserializer=lambda m: json.loads(m.decode("utf-8")),
        auto_offset_reset="earliest",
        enable_auto_commit=True,
    )
    values = collections.defaultdict(lambda: {"temperature": [], "humidity": []})
    totals = {"readings": 0, "warnings": 0, "alerts": 0}
    for message in consumer:
        reading = message.value
        assert message.key.decode("utf-8") == reading["sensor_id"]
        for name, seen in values[reading["sensor_id"]].items():
            seen.append(reading[name])
        totals["readings"] += 1
        totals["warnings"] += reading["status"] == "warning"
        totals["alerts"] += reading["temperature"] > 30
        if totals["readings"] == int(count):
            break
    consumer.close()
    totals["sensors"] = {
        sensor: {name: sum(seen) / len(seen) for name, seen in by_name.items()} for sensor, by_name in values.items()
    }
    print(json.dumps(totals))


main()
