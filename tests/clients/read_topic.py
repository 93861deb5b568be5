"""Reads a topic from its beginning to the end that it has now, with kafka-python, and prints a JSON object a record:

    {"partition": 0, "offset": 7, "timestamp": 1730974530000, "key": HEX or null, "value": HEX or null,
     "headers": [[NAME, HEX or null], …]}

    read_topic.py BOOTSTRAP TOPIC
"""

import json
import sys

import clients


def main():
    bootstrap, topic = sys.argv[1:]
    for record in clients.records(bootstrap, topic):
        line = {
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": clients.to_hex(record.key),
            "value": clients.to_hex(record.value),
            "headers": [[name, clients.to_hex(value)] for name, value in record.headers],
        }
        print(json.dumps(line))


main()
