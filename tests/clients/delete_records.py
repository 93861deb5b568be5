"""Deletes everything that a topic has now, as retention would. confluent-kafka asks for it.

    delete_records.py BOOTSTRAP TOPIC
"""

import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient


def main():
    bootstrap, topic = sys.argv[1:]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "delete-records"})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    ends = []
    for number in partitions:
        _, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
        ends.append(TopicPartition(topic, number, high))
    consumer.close()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records(ends).values():
        future.result()


main()
