"""Whether two topics hold the same for a reader of what is committed: for each key the same values in the same order.

    same.py BOOTSTRAP TOPIC OTHER [at-least-once]

Prints {"records", "others", "keys", "differing", "examples"}: how many records each has, how many keys there are in both
together, how many of them differ, and the first three of those with what comes where they part. With at-least-once the topic may
hold stretches of its values again: what is new must come in the order of the other, and nothing else. confluent-kafka.
"""

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition


def committed(bootstrap, topic):
    """Every committed record, in the order of each partition; fails if a transaction hangs."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "same",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    })
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    ends = {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1]
        for number in partitions
    }
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    left, last = set(partitions), time.monotonic()
    while left:
        batch = consumer.consume(10_000, timeout=0.5)
        last = time.monotonic() if batch else last
        if time.monotonic() - last > 30:
            raise SystemExit(f"no end of {topic} within 30 s: a transaction hangs")
        for record in batch:
            if record.error() is None:
                yield record
            elif record.error().name() != "_PARTITION_EOF":
                raise SystemExit(str(record.error()))
            elif record.offset() < ends[record.partition()]:
                raise SystemExit(f"a transaction hangs in partition {record.partition()} of {topic}")
            else:
                left.discard(record.partition())
    consumer.close()


def by_key(bootstrap, topic):
    found = {}
    for record in committed(bootstrap, topic):
        key = None if record.key() is None else record.key().decode()
        value = None if record.value() is None else record.value().decode()
        found.setdefault(key, []).append(value)
    return found


def without_repeats(values):
    return list(dict.fromkeys(values))


def parting(own, other):
    """What comes where two lists part."""
    at = next((at for at, pair in enumerate(zip(own, other)) if pair[0] != pair[1]), min(len(own), len(other)))
    return {"record": at, "own": own[at : at + 1], "other": other[at : at + 1]}


def main():
    bootstrap, topic, other = sys.argv[1:4]
    left, right = by_key(bootstrap, topic), by_key(bootstrap, other)
    records = sum(map(len, left.values()))
    if sys.argv[4:] == ["at-least-once"]:
        left = {key: without_repeats(values) for key, values in left.items()}
    keys = sorted(left.keys() | right.keys())
    differing = [key for key in keys if left.get(key, []) != right.get(key, [])]
    print(json.dumps({
        "records": records,
        "others": sum(map(len, right.values())),
        "keys": len(keys),
        "differing": len(differing),
        "examples": [{"key": key, **parting(left.get(key, []), right.get(key, []))} for key in differing[:3]],
    }))


if __name__ == "__main__":
    main()
