"""Compares readings that psql printed with the topic that they came from, offset by offset.

    stored_in_postgres.py BOOTSTRAP TOPIC

Reads lines `partition|offset|sensor_id|microseconds|temperature` from standard input and the topic with confluent-kafka.
Prints {"topic", "rows", "missing", "doubled", "different"}.
"""

import json
import sys

from stored import readings


def main():
    bootstrap, topic = sys.argv[1:]
    expected = readings(bootstrap, topic)
    found, rows, doubled = {}, 0, 0
    for line in sys.stdin:
        partition, offset, sensor, time, temperature = line.rstrip("\n").split("|")
        place = (int(partition), int(offset))
        rows, doubled = rows + 1, doubled + (place in found)
        found[place] = (sensor, int(time), float(temperature) if temperature else None)
    print(
        json.dumps(
            {
                "topic": len(expected),
                "rows": rows,
                "missing": len(expected.keys() - found.keys()),
                "doubled": doubled,
                "different": sum(found[place] != row[:3] for place, row in expected.items() if place in found),
            }
        )
    )


main()
