"""The sensor producer of the Python pipeline, by its documentation: the settings of its KafkaProducer and its schema.

    seed_producer.py BOOTSTRAP TOPIC SENSORS READINGS

Sends READINGS readings of each of SENSORS sensors and prints how many were acknowledged.
"""

import datetime
import json
import random
import sys

from kafka import KafkaProducer


def reading(number, at, dice):
    temperature = round(dice.uniform(15.0, 35.0), 2)
    return {
        "sensor_id": f"SENSOR_{number:03d}",
        "timestamp": at.isoformat(),
        "temperature": temperature,
        "humidity": round(dice.uniform(30.0, 80.0), 2),
        "pressure": round(dice.uniform(980.0, 1040.0), 2),
        "location": {
            "latitude": round(52.3676 + dice.uniform(-0.1, 0.1), 4),
            "longitude": round(4.9041 + dice.uniform(-0.1, 0.1), 4),
        },
        "status": "warning" if temperature > 32.0 else "active",
    }


def main():
    bootstrap, topic, sensors, readings = sys.argv[1:]
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        value_serializer=lambda v: json.dumps(v).encode("utf-8"),
        key_serializer=lambda k: k.encode("utf-8"),
        acks="all",
        retries=3,
        max_in_flight_requests_per_connection=5,
    )
    dice = random.Random(2024)
    start = datetime.datetime(2024, 11, 7, 10, 15, 30)
    sent = []
    for step in range(int(readings)):
        # Python writes no fraction where it is zero, so both shapes of a timestamp occur.
        at = start + datetime.timedelta(milliseconds=250 * step)
        for number in range(1, int(sensors) + 1):
            value = reading(number, at, dice)
            sent.append(producer.send(topic, key=value["sensor_id"], value=value))
    producer.flush()
    print(json.dumps({"acknowledged": sum(1 for future in sent if future.get(timeout=60).offset >= 0)}))
    producer.close()


main()
