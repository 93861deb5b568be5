"""Counts a topic of readings by the numbers that `produce sensors` gives them (header sg-seq: 1, 2, 3, … per sensor):
what is missing, what is there twice, what came out of order. confluent-kafka reads, because the topics are large.

    audit.py BOOTSTRAP TOPIC

Prints {"records", "sensors", "missing", "duplicates", "out_of_order", "last": {SENSOR: NUMBER}}; what is missing are
numbers below the last of their sensor.
"""

import json
import sys

from confluent_kafka import Consumer, TopicPartition


def records(bootstrap, topic):
    """Every record from the beginning to the end that each partition has now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "audit",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
    )
    known = consumer.list_topics(topic, timeout=30).topics[topic]
    if known.error is not None:
        raise SystemExit(f"{topic}: {known.error}")
    spans = {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
        for number in known.partitions
    }
    left = {number: high for number, (low, high) in spans.items() if low < high}
    consumer.assign([TopicPartition(topic, number, spans[number][0]) for number in left])
    while left:
        for record in consumer.consume(10_000, timeout=1.0):
            if record.error() is not None:
                raise SystemExit(str(record.error()))
            partition, offset = record.partition(), record.offset()
            if offset < spans[partition][1]:
                yield record
            if partition in left and offset + 1 >= left[partition]:
                del left[partition]
    consumer.close()


def main():
    bootstrap, topic = sys.argv[1:]
    count = duplicates = out_of_order = 0
    seen, last = {}, {}
    for record in records(bootstrap, topic):
        count += 1
        sensor = record.key().decode()
        number = int(dict(record.headers())["sg-seq"])
        numbers = seen.setdefault(sensor, set())
        duplicates += number in numbers
        numbers.add(number)
        out_of_order += number < last.get(sensor, 0)
        last[sensor] = number
    summary = {
        "records": count,
        "sensors": len(seen),
        "missing": sum(max(numbers) - len(numbers) for numbers in seen.values()),
        "duplicates": duplicates,
        "out_of_order": out_of_order,
        "last": {sensor: max(numbers) for sensor, numbers in seen.items()},
    }
    print(json.dumps(summary))


main()
