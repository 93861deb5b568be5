"""What the scripts of this directory share: reading a topic to its end, and bytes in JSON as hexadecimal digits."""

from kafka import KafkaConsumer, TopicPartition


def to_hex(data):
    return None if data is None else data.hex()


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


def records(bootstrap, topic, **options):
    """Every record from the beginning to the end that each partition has now; no group, nothing is committed."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, **options
    )
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    if not partitions:
        raise SystemExit(f"there is no topic {topic}")
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for batch in consumer.poll(timeout_ms=1000, max_records=5000).values():
            yield from batch
    consumer.close()
