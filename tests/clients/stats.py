"""The statistics of a topic of readings, computed without streamgauge: kafka-python reads, Python's json decodes, sums
are exact (math.fsum), the standard deviation is that of the population in two passes.

    stats.py BOOTSTRAP TOPIC HIGH_TEMPERATURE

Prints {"readings", "sensors", "warnings", "alerts", "faults", "dead_letters", "by_sensor": {ID: {"readings",
"warnings", "alerts", "measurements": {NAME: {"count", "mean", "min", "max", "stddev"}}}}}.
"""

import collections
import datetime
import json
import math
import sys

import clients

NAMED = ("temperature", "humidity", "pressure")


class Rejected(Exception):
    """The payload is no reading."""


def no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Rejected("duplicate key")
    return found


def finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise Rejected("not finite")
    return number


def refuse_constant(name):
    raise Rejected(name)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def decode(payload):
    """The reading in a payload: sensor, status and measurements by name."""
    if payload is None:
        raise Rejected("no value")
    try:
        reading = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=no_duplicates,
            parse_float=finite,
            parse_int=finite,
            parse_constant=refuse_constant,
        )
    except ValueError as error:
        raise Rejected(error) from error
    if not isinstance(reading, dict):
        raise Rejected("not an object")
    sensor = reading.get("sensor_id")
    if not isinstance(sensor, str) or not sensor:
        raise Rejected("sensor_id")
    try:
        datetime.datetime.fromisoformat(reading.get("timestamp"))
    except (TypeError, ValueError) as error:
        raise Rejected("timestamp") from error
    if any(name in reading and not is_number(reading[name]) for name in NAMED):
        raise Rejected("a measurement of the wrong type")
    measurements = {name: value for name, value in reading.items() if is_number(value)}
    if not measurements:
        raise Rejected("no measurement")
    return sensor, reading.get("status"), measurements


def plausible(name, value):
    if name == "temperature":
        return value >= -273.15
    if name == "humidity":
        return 0 <= value <= 100
    return name != "pressure" or value > 0


def figures(values):
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return {
        "count": len(values),
        "mean": mean,
        "min": min(values),
        "max": max(values),
        "stddev": math.sqrt(variance),
    }


def main():
    bootstrap, topic, bound = sys.argv[1:]
    totals = collections.Counter(readings=0, warnings=0, alerts=0, faults=0, dead_letters=0)
    by_sensor = {}
    for record in clients.records(bootstrap, topic):
        try:
            sensor, status, measurements = decode(record.value)
        except Rejected:
            totals["dead_letters"] += 1
            continue
        own = by_sensor.setdefault(
            sensor, {"readings": 0, "warnings": 0, "alerts": 0, "measurements": collections.defaultdict(list)}
        )
        true = {name: value for name, value in measurements.items() if plausible(name, value)}
        counts = {
            "readings": 1,
            "warnings": status == "warning",
            "alerts": true.get("temperature", -math.inf) > float(bound),
        }
        for name, count in counts.items():
            own[name] += count
            totals[name] += count
        totals["faults"] += len(true) < len(measurements)
        for name, value in true.items():
            own["measurements"][name].append(value)
    for own in by_sensor.values():
        own["measurements"] = {name: figures(values) for name, values in own["measurements"].items()}
    print(json.dumps({**totals, "sensors": len(by_sensor), "by_sensor": by_sensor}))


if __name__ == "__main__":
    main()
