"""Writes records with the client library that is named, and prints where each of them went.

    write_topic.py kafka-python|confluent BOOTSTRAP TOPIC < LINES

A line is {"key": HEX or null, "value": HEX or null, "headers": [[NAME, HEX or null], …], "partition": N or
null}; the last two may be left out. For each, in order, {"partition": 0, "offset": 7} is printed once it is
acknowledged.
"""

import json
import sys

from clients import from_hex

# Well over the default: what is too large for a reading must still get to the topic.
MAX_BYTES = 8 << 20


def kafka_python(bootstrap, topic, lines):
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", retries=3, max_request_size=MAX_BYTES
    )
    futures = [
        producer.send(
            topic,
            key=from_hex(line["key"]),
            value=from_hex(line["value"]),
            headers=[(name, from_hex(value)) for name, value in line.get("headers", [])],
            partition=line.get("partition"),
        )
        for line in lines
    ]
    producer.flush()
    places = [future.get(timeout=60) for future in futures]
    producer.close()
    return [(place.partition, place.offset) for place in places]


def confluent(bootstrap, topic, lines):
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "partitioner": "murmur2_random",
            "message.max.bytes": MAX_BYTES,
        }
    )
    places = [None] * len(lines)

    def delivered(index):
        def callback(error, message):
            if error is not None:
                raise SystemExit(f"record {index} was not delivered: {error}")
            places[index] = (message.partition(), message.offset())

        return callback

    for index, line in enumerate(lines):
        given = {} if line.get("partition") is None else {"partition": line["partition"]}
        producer.produce(
            topic,
            key=from_hex(line["key"]),
            value=from_hex(line["value"]),
            headers=[(name, from_hex(value)) for name, value in line.get("headers", [])],
            on_delivery=delivered(index),
            **given,
        )
        producer.poll(0)
    producer.flush()
    return places


def main():
    library, bootstrap, topic = sys.argv[1:]
    write = {"kafka-python": kafka_python, "confluent": confluent}[library]
    for partition, offset in write(bootstrap, topic, [json.loads(line) for line in sys.stdin]):
        print(json.dumps({"partition": partition, "offset": offset}))


main()
