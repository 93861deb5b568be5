"""How far a group has come in a topic, as the brokers know it.

    offsets.py BOOTSTRAP TOPIC GROUP

Prints [{"partition", "first", "committed" (null for nothing yet), "end"}, …].
"""

import json
import sys

from kafka import KafkaConsumer, TopicPartition


def main():
    bootstrap, topic, group = sys.argv[1:]
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    first, end = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    rows = [
        {
            "partition": partition.partition,
            "first": first[partition],
            "committed": consumer.committed(partition),
            "end": end[partition],
        }
        for partition in partitions
    ]
    consumer.close()
    print(json.dumps(rows))


main()
