"""The embedded broker beside Apache Kafka, both on this machine, loaded by the same clients in turn."""

import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import (
    BINARY, BOOTSTRAP, PORT, ROOT, consumer_performance, delete_topic, kafka, last_json, memory, new_topic, note,
    producer_performance, run, take_turns, versus,
)

OURS_PORT = 9493
OURS = f"127.0.0.1:{OURS_PORT}"
SIDES = {"Apache Kafka 4.1": BOOTSTRAP, "embedded broker": OURS}
IDLE_TOPICS, IDLE_PARTITIONS, IDLE_CONNECTIONS = 100, 10, 1_000


def load(*arguments):
    """The librdkafka client of crates/kafka/benches/load.rs."""
    return last_json(run(
        "cargo", "bench", "--quiet", "--locked", "--profile", "release", "-p", "kafka", "--bench", "load", "--",
        *map(str, arguments), stderr=subprocess.DEVNULL,
    ))


def start_ours(directory):
    process = subprocess.Popen([str(BINARY), "broker", "--listen", OURS, "--data-dir", str(directory)], cwd=ROOT,
                               text=True, stdout=subprocess.PIPE)
    assert "listens on" in process.stdout.readline()
    return process


def on_both(measure, turns):
    """Takes turns between the two brokers, each with a topic of its own that is gone afterwards."""
    for bootstrap in SIDES.values():
        new_topic("bench", bootstrap)
    figures = take_turns({name: lambda at=at: measure(at) for name, at in SIDES.items()}, turns)
    for bootstrap in SIDES.values():
        delete_topic("bench", bootstrap)
    return figures


def warm(count):
    note("warming both brokers")
    for bootstrap in SIDES.values():
        new_topic("warm", bootstrap)
        for _ in range(2):
            producer_performance("warm", count, bootstrap)
            load("produce", bootstrap, "warm", count)
        consumer_performance("warm", count, bootstrap)
        load("transactions", bootstrap, "warm", 2)
        delete_topic("warm", bootstrap)


def consuming(count, turns):
    for bootstrap in SIDES.values():
        new_topic("bench-read", bootstrap)
        load("produce", bootstrap, "bench-read", count)
    sides = {name: lambda at=at: consumer_performance("bench-read", count, at) for name, at in SIDES.items()}
    figures = take_turns(sides, turns)
    for bootstrap in SIDES.values():
        delete_topic("bench-read", bootstrap)
    return figures


def latencies(rate, seconds, turns):
    """Medians over the turns of p50 and p99 in milliseconds, a side each."""
    found = {name: [] for name in SIDES}
    for bootstrap in SIDES.values():
        new_topic("bench", bootstrap)
    for turn in range(turns):
        for name, bootstrap in SIDES.items():
            figures = load("latency", bootstrap, "bench", rate, seconds)
            found[name].append((figures["p50_ms"], figures["p99_ms"]))
            note(f"turn {turn + 1}: {name} at {rate:,}/s p50 {figures['p50_ms']} ms p99 {figures['p99_ms']} ms")
    for bootstrap in SIDES.values():
        delete_topic("bench", bootstrap)
    return {name: tuple(map(statistics.median, zip(*turns))) for name, turns in found.items()}


def cpu_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def idle(directory, seconds):
    """A broker of its own with many partitions and connections and nothing to do."""
    note("an idle broker with 1,000 partitions, then 1,000 connections")
    process = start_ours(directory)
    try:
        for number in range(IDLE_TOPICS):
            run(BINARY, "-b", OURS, "topics", "create", f"idle-{number}", "--partitions", IDLE_PARTITIONS)
        before = cpu_seconds(process)
        time.sleep(seconds)
        share, resident = (cpu_seconds(process) - before) / seconds, memory(process)
        connections = [socket.create_connection(("127.0.0.1", OURS_PORT)) for _ in range(IDLE_CONNECTIONS)]
        # The broker has accepted all of them when it answers a request that came later.
        run(BINARY, "-b", OURS, "topics", "list")
        connected = memory(process)
        for connection in connections:
            connection.close()
    finally:
        process.terminate()
        process.wait()
    return share, resident, connected


def report(produced, by_loop, by_lz4, consumed, slow, fast, committed, idle_figures):
    theirs, ours = SIDES
    share, resident, connected = idle_figures
    compare = lambda asked, figures: versus(asked, theirs, ours, figures)
    times = lambda found, index: f"{found[theirs][index]:.2f} ms | {found[ours][index]:.2f} ms"
    return [
        "## The embedded broker beside Apache Kafka", "",
        "One node each, records of 250 bytes, 3 partitions, idempotent, `acks=all`; both warmed.", "",
        "### Produce, ProducerPerformance", "", *compare("1.5", produced),
        "### Produce, a librdkafka loop", "", *compare("1.5", by_loop),
        "### Produce, a librdkafka loop with LZ4", "", *compare("1.5", by_lz4),
        "### Consume, ConsumerPerformance", "", *compare("1.5", consumed),
        "### Transactions of one record, back to back", "", *compare("2", committed),
        "### From produce to consume, one record a request", "",
        "| | Apache Kafka 4.1 | embedded broker | asked |", "|---|---:|---:|---:|",
        f"| p50 at 1,000/s | {times(slow, 0)} | below 0.3 ms |",
        f"| p99 at 1,000/s | {times(slow, 1)} | below 2 ms |",
        f"| p50 at 10,000/s | {times(fast, 0)} | |",
        f"| p99 at 10,000/s | {times(fast, 1)} | below 5 ms |", "",
        "### Idle", "",
        "| | measured | asked |", "|---|---:|---:|",
        f"| 100 topics of 10 partitions: share of a core | {share:.2%} | under 1 % |",
        f"| the same: resident memory | {resident:.0f} MiB | under 50 MB |",
        f"| with 1,000 connections more | {connected:.0f} MiB | |", "",
    ]


def measure(count, turns, seconds):
    """Everything about the broker; returns the lines of the report."""
    run("cargo", "build", "--release", "--locked", "-p", "kafka", "--benches")
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as directory:
        kafka("start", "--version", "4.1", "--port", str(PORT))
        ours = start_ours(Path(directory) / "loaded")
        try:
            warm(count // 4)
            produced = on_both(lambda at: producer_performance("bench", count, at), turns)
            by_loop = on_both(lambda at: load("produce", at, "bench", count)["records_per_second"], turns)
            by_lz4 = on_both(lambda at: load("produce", at, "bench", count, "lz4")["records_per_second"], turns)
            consumed = consuming(count * 2, turns)
            committed = on_both(
                lambda at: load("transactions", at, "bench", max(seconds // 6, 2))["commits_per_second"], turns
            )
            slow = latencies(1_000, max(seconds // 3, 3), turns)
            fast = latencies(10_000, max(seconds // 3, 3), turns)
        finally:
            ours.terminate()
            ours.wait()
            kafka("destroy")
        idle_figures = idle(Path(directory) / "idle", seconds)
    return report(produced, by_loop, by_lz4, consumed, slow, fast, committed, idle_figures)
