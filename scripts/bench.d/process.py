"""The stream processor beside Kafka Streams with the same topology, on Apache Kafka 4.1; and how soon an alarm is seen."""

import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import BINARY, BOOTSTRAP, PORT, ROOT, kafka, last_json, note, run, streamgauge, tool
from broker import OURS, start_ours

STREAMS = "scripts/bench.d/streams/WindowsAndAlerts.java"
PLAN = """
[[windows]]
name = "10s"
size = "10s"
grace = "5s"

[[rules]]
name = "hot"
when = "temperature > 30"
max_per_hour = 1000000
"""
# Fires whenever the temperature of one of ten sensors rises: dozens of alarms a second among 10,000 readings.
LATENCY_PLAN = """
[[windows]]
name = "10s"
size = "10s"
grace = "5s"

[[rules]]
name = "rising"
when = "rate(temperature) > 0"
sensors = ["SENSOR_00?"]
max_per_hour = 1000000
"""
READINGS_PER_SECOND = 10_000
# Seconds at the start that do not count: joining the group, the first fetches.
WARM = 10


def streams(count, directory):
    """Kafka Streams over its second, warm half: records per second, and per second of its own processor time."""
    text = run("scripts/kafka", "java", STREAMS, BOOTSTRAP, f"streams-{time.time_ns()}", count, directory)
    points = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    warm = [point for point in points if point["processed"] >= count / 2]
    first, last = warm[0], warm[-1]
    records = last["processed"] - first["processed"]
    return records / (last["at"] - first["at"]), records / (last["cpu"] - first["cpu"])


def ours(count, plan, guarantee):
    """`process` over all of it, its start included: records per second while it was busy, and per second of its own
    processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = last_json(streamgauge(
        "-c", plan, "process", "--exit-at-end", "--workers", "1", "--guarantee", guarantee,
        "--group", f"bench-{time.time_ns()}", "--instance", "bench",
    ))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert summary["taken"] == count, summary
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return summary["active_rate"], count / cpu


def latencies(bootstrap, guarantee, directory, seconds):
    """Milliseconds from the append of a reading until a reader of committed alarms has the alarm that it raised."""
    plan = Path(directory) / "latency.toml"
    plan.write_text(LATENCY_PLAN)
    name = f"latency-{time.time_ns()}"
    readings, alerts = f"{name}-readings", f"{name}-alerts"
    for topic in [readings, f"{name}-analytics", alerts]:
        run(BINARY, "-b", bootstrap, "topics", "create", topic)
    tool("configs", "--alter", "--entity-type", "topics", "--entity-name", readings, "--add-config",
         "message.timestamp.type=LogAppendTime", bootstrap=bootstrap)
    start = lambda *words: subprocess.Popen([str(BINARY), "-b", bootstrap, *map(str, words)], stdout=subprocess.DEVNULL)
    reader = subprocess.Popen(
        ["kcat", "-b", bootstrap, "-C", "-t", alerts, "-o", "beginning", "-u", "-q", "-X", "isolation.level=read_committed",
         "-X", "fetch.wait.max.ms=5", "-f", "%s\n"], stdout=subprocess.PIPE, text=True)
    processor = start("-c", plan, "-q", "process", "--guarantee", guarantee, "--group", name, "--instance", name, "--workers", "1",
                      "--topic", readings, "--analytics", f"{name}-analytics", "--alerts", alerts)
    sensors = start("-q", "produce", "sensors", "--topic", readings, "--num-sensors", READINGS_PER_SECOND // 10, "--interval",
                    "0.1", "--duration", f"{seconds + WARM}s")
    seen, end = [], time.time() + seconds + WARM - 1
    for line in reader.stdout:
        now = time.time()
        alert = json.loads(line)
        if alert["state"] == "firing":
            seen.append((alert["source"]["partition"], alert["source"]["offset"], now))
        if now > end:
            break
    for process in [reader, sensors, processor]:
        process.send_signal(2)
        process.wait()
    lines = subprocess.run(["kcat", "-b", bootstrap, "-C", "-t", readings, "-o", "beginning", "-e", "-q", "-f", "%p %o %T\n"],
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    appended = {(partition, offset): millis for partition, offset, millis in
                (map(int, line.split()) for line in lines.splitlines())}
    found = sorted(now * 1000 - appended[partition, offset] for partition, offset, now in seen if now > end - seconds)
    assert len(found) > 50, f"only {len(found)} alarms"
    at = lambda share: found[min(int(len(found) * share), len(found) - 1)]
    note(f"{bootstrap} {guarantee}: p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms of {len(found)} alarms")
    return at(0.5), at(0.99), len(found)


def micro():
    note("micro-benchmark of the engine's partition")
    text = run("cargo", "bench", "--quiet", "--locked", "--profile", "release", "-p", "engine", "--bench", "partition",
               stderr=subprocess.DEVNULL)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def report(count, figures, spread, waits, micro_lines):
    rate = lambda side: figures[side][0]
    cpu = lambda side: figures[side][1]
    once, least, theirs = "`process`, exactly once", "`process`, at least once", "Kafka Streams, exactly once"
    lines = [
        "## The stream processor beside Kafka Streams", "",
        f"{count:,} readings of 1,000 sensors on Apache Kafka 4.1: windows of 10 s with 5 s of grace over three measurements, a",
        "threshold alert. One worker thread each; processor time is that of the client's process. Kafka Streams 4.1 with",
        "exactly_once_v2 and stores in memory, over its second, warm half; `process` over all of it, its start included.", "",
        "| | records/s | records per second of processor time |", "|---|---:|---:|",
    ]
    for side in [theirs, once, least]:
        lines.append(f"| {side} | {rate(side):,.0f} | {cpu(side):,.0f} |")
    lines += [
        f"| **exactly once against Kafka Streams** | **{rate(once) / rate(theirs):.1f}** | **{cpu(once) / cpu(theirs):.1f}**, asked: at least 5 |",
        f"| **exactly once against at least once** | **{rate(once) / rate(least):.2f}**, asked: at least 0.9 | {cpu(once) / cpu(least):.2f} |",
        "", f"Asked: at least 500,000 records/s a thread. Lowest and highest of the turns: {spread}.", "",
        f"From a reading's append to its alarm at a reader of committed records, {READINGS_PER_SECOND:,} readings a second "
        "(append times are in whole milliseconds):", "",
        "| | p50 | p99 | asked: p99 | alarms |", "|---|---:|---:|---:|---:|",
        *[f"| {name} | {p50:.1f} ms | {p99:.1f} ms | {asked} | {alarms:,} |" for name, (p50, p99, alarms), asked in waits],
        "", "What the engine costs, readings already decoded:", "", "```text", *micro_lines, "```", "",
    ]
    return lines


def measure(count, turns, seconds):
    """Everything about the processor; returns the lines of the report."""
    micro_lines = micro()
    count *= 2
    sides = {"Kafka Streams, exactly once": [], "`process`, exactly once": [], "`process`, at least once": []}
    waits = []
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as directory:
        plan = Path(directory) / "plan.toml"
        plan.write_text(PLAN)
        kafka("start", "--version", "4.1", "--port", str(PORT))
        try:
            streamgauge("topics", "create")
            for topic, partitions in [("streams-analytics", 3), ("streams-alerts", 1)]:
                tool("topics", "--create", "--topic", topic, "--partitions", str(partitions))
            note(f"producing {count:,} readings")
            streamgauge("produce", "sensors", "--num-sensors", "1000", "--interval", "0.1", "--speed", "max",
                        "--start-time", "2024-01-01T00:00:00", "--count", str(count))
            for turn in range(turns):
                for name, side in [
                    ("Kafka Streams, exactly once", lambda: streams(count, Path(directory) / f"state-{turn}")),
                    ("`process`, exactly once", lambda: ours(count, plan, "exactly-once")),
                    ("`process`, at least once", lambda: ours(count, plan, "at-least-once")),
                ]:
                    sides[name].append(side())
                    note(f"turn {turn + 1}: {name} {sides[name][-1][0]:,.0f}/s, {sides[name][-1][1]:,.0f} per CPU second")
            for guarantee, asked in [("exactly-once", "below 15 ms"), ("at-least-once", "")]:
                waits.append((f"Apache Kafka 4.1, {guarantee}", latencies(BOOTSTRAP, guarantee, directory, seconds), asked))
        finally:
            kafka("destroy")
        for guarantee, asked in [("exactly-once", "below 5 ms"), ("at-least-once", "below 3 ms")]:
            embedded = start_ours(Path(directory) / f"embedded-{guarantee}")
            try:
                waits.append((f"embedded broker, {guarantee}", latencies(OURS, guarantee, directory, seconds), asked))
            finally:
                embedded.terminate()
                embedded.wait()
    median = {name: tuple(map(statistics.median, zip(*figures))) for name, figures in sides.items()}
    spread = "; ".join(
        f"{name} {min(rate for rate, _ in figures):,.0f} – {max(rate for rate, _ in figures):,.0f}/s"
        for name, figures in sides.items())
    return report(count, median, spread, waits, micro_lines)
