"""The pipeline against Kafka's own tools, on one Kafka broker: producing, consuming, latency, memory."""

import json
import statistics
import subprocess
import sys
import time

from common import (
    BINARY, BOOTSTRAP, PORT, RECORD_BYTES, ROOT, consumer_performance, delete_topic, kafka, last_json, new_topic, note,
    peak_memory, producer_performance, run, streamgauge, take_turns, versus,
)


def produce_sensors(topic, count):
    summary = last_json(streamgauge(
        "produce", "sensors", "--topic", topic, "--num-sensors", "1000", "--interval", "0", "--count", str(count)
    ))
    assert summary["acknowledged"] == count, summary
    return summary["records_per_second"], summary["bytes"] / count


def analyze(topic, count):
    summary = last_json(streamgauge(
        "--quiet", "analyze", "--topic", topic, "--group", f"bench-{time.time_ns()}", "--exit-at-end",
        "--high-temperature", "1000",
    ))
    assert summary["readings"] == count, summary
    return summary["active_rate"]


def throughput(count, turns):
    note("warming the broker")
    warm = new_topic("warm")
    producer_performance(warm, max(count // 2, 1000))
    produce_sensors(warm, max(count // 2, 1000))
    consumer_performance(warm, max(count // 2, 1000))
    delete_topic(warm)

    sizes = []

    def ours():
        rate, size = produce_sensors("bench-ours", count)
        sizes.append(size)
        return rate

    new_topic("bench-theirs"), new_topic("bench-ours")
    produced = take_turns(
        {"ProducerPerformance": lambda: producer_performance("bench-theirs", count), "`produce sensors`": ours}, turns
    )
    delete_topic("bench-theirs"), delete_topic("bench-ours")

    topic = new_topic("bench-read")
    produce_sensors(topic, count * 2)
    consumed = take_turns(
        {
            "ConsumerPerformance": lambda: consumer_performance(topic, count * 2),
            "`analyze`": lambda: analyze(topic, count * 2),
        },
        turns,
    )
    delete_topic(topic)
    return produced, consumed, statistics.median(sizes)


def live(sensors, interval, seconds, catch_up=False):
    """Sensors and analyze side by side; returns both summaries and the analyzer's peak memory."""
    topic = new_topic(f"bench-live-{sensors}")
    command = [str(BINARY), "-b", BOOTSTRAP, "-o", "json", "--quiet", "analyze", "--topic", topic, "--group",
               f"live-{time.time_ns()}", "--high-temperature", "1000"]
    analyzer = None if catch_up else subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    produced = last_json(streamgauge(
        "produce", "sensors", "--topic", topic, "--num-sensors", str(sensors), "--interval", str(interval),
        "--duration", f"{seconds}s",
    ))
    if analyzer is None:
        analyzer = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    wait_until_read(topic, command[command.index("--group") + 1], produced["acknowledged"])
    memory = peak_memory(analyzer)
    analyzer.send_signal(2)
    analyzed = last_json(analyzer.communicate(timeout=60)[0])
    assert analyzed["readings"] == produced["acknowledged"], (analyzed, produced)
    delete_topic(topic)
    return produced, analyzed, memory


def wait_until_read(topic, group, count):
    """Waits until the group has committed all records of the topic."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = subprocess.run([str(BINARY), "-b", BOOTSTRAP, "-o", "json", "groups", "describe", group],
                              cwd=ROOT, text=True, capture_output=True)
        if done.returncode == 0 and f'"{topic}"' in done.stdout:
            offsets = json.loads(done.stdout)["offsets"]
            if sum(offset["committed"] or 0 for offset in offsets) >= count:
                return
        time.sleep(0.5)
    sys.exit(f"bench: {group} did not read {count} records of {topic} in two minutes")


def micro():
    """The lines that the micro-benchmarks print."""
    lines = []
    for crate in ["model", "engine", "producers"]:
        note(f"micro-benchmark of {crate}")
        text = run("cargo", "bench", "--quiet", "--locked", "--profile", "release", "-p", crate, stderr=subprocess.DEVNULL)
        lines += ["", *[line.rstrip() for line in text.splitlines() if line.strip()]]
    return lines[1:]


def report(produced, consumed, size, micro_lines, floor, large):
    made, read, _ = floor
    fleet, _, memory = large
    return [
        "## Producing", "",
        f"`produce sensors --interval 0` generates, encodes and has acknowledged (idempotent, `acks=all`) readings of",
        f"{size:.0f} bytes with key and sequence header; ProducerPerformance sends one constant payload of {RECORD_BYTES} bytes",
        "without key or header, idempotent and `acks=all` too.", "",
        *versus("1.2", "ProducerPerformance", "`produce sensors`", produced),
        "## Consuming", "",
        "`analyze` decodes every reading and keeps the statistics of 1,000 sensors; ConsumerPerformance decodes nothing.",
        "Both read the same topic; the time to join the group is left out for both.", "",
        *versus("1.0", "ConsumerPerformance", "`analyze`", consumed),
        "## Per reading", "", "Asked: decode and update under 300 ns, 0 allocations in steady state.", "",
        "```text", *micro_lines, "```", "",
        "## The seed's own figures as a floor", "",
        "| | asked | measured |", "|---|---:|---:|",
        f"| produce latency p99, 100 sensors at 0.1 s ({made['records_per_second']:,.0f}/s) | below 10 ms | {made['latency_ms']['p99']:.1f} ms |",
        f"| append to statistics p99, at {fleet['records_per_second']:,.0f}/s | below 5 ms | {large[1]['append_to_statistics_ms']['p99']:.1f} ms |",
        f"| the same at {made['records_per_second']:,.0f}/s | | {read['append_to_statistics_ms']['p99']:.1f} ms |",
        f"| peak resident memory of `analyze`, {fleet_sensors(large)} sensors | under 64 MB | {memory:.0f} MiB |", "",
    ]


def fleet_sensors(large):
    return f"{large[1]['sensors']:,}"


def measure(count, turns, seconds):
    """Everything about the pipeline; returns the lines of the report."""
    micro_lines = micro()
    kafka("start", "--version", "4.1", "--port", str(PORT))
    try:
        produced, consumed, size = throughput(count, turns)
        note("100 sensors at 0.1 s")
        floor = live(100, 0.1, seconds)
        note("10,000 sensors, 2,000 readings a second")
        large = live(10_000, 5, seconds)
    finally:
        kafka("destroy")
    return report(produced, consumed, size, micro_lines, floor, large)
