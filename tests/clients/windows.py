"""Tumbling windows computed from the readings without streamgauge, and compared with what is in analytics.

    windows.py BOOTSTRAP READINGS ANALYTICS SIZE GRACE DISORDER [WINDOW]

The times are seconds. Only summaries of the window of this name count, all if none is given. Each sensor's watermark is its newest reading less DISORDER; a window takes a reading unless its end
and GRACE lie at or before the watermark, and is told when its end does. Only what is committed is read of analytics. Prints
{"windows": how many must have been told, "late": readings that none takes, "revisions": records beyond the first of each
window, "missing", "unexpected", "doubled" (a revision twice), "wrong": up to five each, as text}.
"""

import collections
import datetime
import json
import math
import sys

import clients
import stats

TOLERANCE = 1e-9


def micros(text):
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    return round((time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(microseconds=1))


def expected_windows(bootstrap, topic, size, grace, disorder):
    """What has to be told: figures by sensor, measurement and start; and how many readings are late."""
    newest, windows, warnings, late = {}, collections.defaultdict(list), collections.Counter(), 0
    for record in clients.records(bootstrap, topic):
        try:
            sensor, status, measurements = stats.decode(record.value)
        except stats.Rejected:
            continue
        time = micros(json.loads(record.value)["timestamp"])
        newest[sensor] = max(newest.get(sensor, time), time)
        start = time // size * size
        if start + size + grace <= newest[sensor] - disorder:
            late += 1
            continue
        warnings[sensor, start] += status == "warning"
        for name, value in measurements.items():
            if stats.plausible(name, value):
                windows[sensor, name, start].append((time, value))
    told = {}
    for (sensor, name, start), values in windows.items():
        if start + size <= newest[sensor] - disorder:
            figures = stats.figures([value for _, value in values])
            figures.update(first=min(values)[1], last=max(values)[1], warnings=warnings[sensor, start])
            told[sensor, name, start] = figures
    return told, late


def differs(found, expected):
    for name, value in expected.items():
        scale = max(abs(found[name]), abs(value), 1.0)
        if not math.isclose(found[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE * scale):
            return f"{name} is {found[name]}, not {value}"
    return None


def main():
    bootstrap, readings, analytics = sys.argv[1:4]
    size, grace, disorder = (round(float(seconds) * 1e6) for seconds in sys.argv[4:7])
    wanted = sys.argv[7:]
    expected, late = expected_windows(bootstrap, readings, size, grace, disorder)
    seen, newest, doubled, revisions = set(), {}, [], 0
    for record in clients.records(bootstrap, analytics, isolation_level="read_committed"):
        told = json.loads(record.value)
        if wanted and told["window"] not in wanted:
            continue
        window = (told["sensor_id"], told["metric"], micros(told["start"]))
        if (window, told["revision"]) in seen:
            doubled.append(f"{window} revision {told['revision']}")
        seen.add((window, told["revision"]))
        revisions += window in newest
        if window not in newest or told["revision"] > newest[window]["revision"]:
            newest[window] = told
    wrong = []
    for window, figures in expected.items():
        if window in newest and (difference := differs(newest[window], figures)):
            wrong.append(f"{window}: {difference}")
    print(json.dumps({
        "windows": len(expected),
        "late": late,
        "revisions": revisions,
        "missing": [str(window) for window in expected if window not in newest][:5],
        "unexpected": [str(window) for window in newest if window not in expected][:5],
        "doubled": doubled[:5],
        "wrong": wrong[:5],
    }))


main()
