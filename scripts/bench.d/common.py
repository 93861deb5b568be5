"""What all benchmarks share: the programs, one Kafka broker to compare with, turns."""

import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = ROOT / "target/release/streamgauge"
DIRECTORY = ROOT / ".kafka/bench"
PORT = 9492
BOOTSTRAP = f"127.0.0.1:{PORT}"
RECORD_BYTES = 250


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(*command, **options):
    """Runs a command to its end; returns what it wrote to standard output."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, text=True, stdout=subprocess.PIPE, **options)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command))} failed with exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def kafka(command, *arguments):
    return run("scripts/kafka", command, "--dir", DIRECTORY, *arguments)


def tool(name, *arguments, bootstrap=BOOTSTRAP):
    """One of Kafka's own tools, on any broker."""
    return run("scripts/kafka", "tool", "--version", "4.1", name, "--bootstrap-server", bootstrap, *arguments)


def streamgauge(*arguments, bootstrap=BOOTSTRAP):
    return run(BINARY, "-b", bootstrap, "-o", "json", *arguments)


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def new_topic(name, bootstrap=BOOTSTRAP, partitions=3):
    tool("topics", "--create", "--topic", name, "--partitions", str(partitions), bootstrap=bootstrap)
    return name


def delete_topic(name, bootstrap=BOOTSTRAP):
    tool("topics", "--delete", "--topic", name, bootstrap=bootstrap)


def producer_performance(topic, count, bootstrap=BOOTSTRAP):
    """Records per second of Kafka's own producer benchmark: constant payloads, idempotent, acks=all (its defaults)."""
    text = run(
        "scripts/kafka", "tool", "--version", "4.1", "producer-perf", "--topic", topic, "--num-records", count,
        "--record-size", RECORD_BYTES, "--throughput", "-1", "--producer-props", f"bootstrap.servers={bootstrap}",
        "acks=all", "enable.idempotence=true",
    )
    return float(re.findall(r"([\d.]+) records/sec", text)[-1])


def consumer_performance(topic, count, bootstrap=BOOTSTRAP):
    """Messages per second of Kafka's own consumer benchmark, without the time it takes to join the group."""
    text = tool(
        "consumer-perf", "--topic", topic, "--messages", count, "--group", f"perf-{time.time_ns()}",
        "--timeout", "60000", bootstrap=bootstrap,
    )
    return float(text.strip().splitlines()[-1].split(",")[-1])


def take_turns(sides, turns):
    """Runs the sides in turn; returns the figures of each."""
    figures = {name: [] for name in sides}
    for turn in range(turns):
        for name, side in sides.items():
            figure = side()
            figures[name].append(figure)
            note(f"turn {turn + 1}: {name} {figure:,.0f}/s")
    return figures


def versus(asked, theirs, ours, figures):
    """A table of two sides, their spread and the ratio of their medians."""
    a, b = statistics.median(figures[theirs]), statistics.median(figures[ours])
    spread = lambda name: f"{min(figures[name]):,.0f} – {max(figures[name]):,.0f}"
    return [
        "| | median | lowest – highest |", "|---|---:|---:|",
        f"| {theirs} | {a:,.0f}/s | {spread(theirs)} |",
        f"| {ours} | {b:,.0f}/s | {spread(ours)} |",
        f"| **ratio** | **{b / a:.2f}** | asked: at least {asked} |", "",
    ]


def peak_memory(process):
    """The most resident memory that a running process had, in MiB."""
    return memory(process, "VmHWM")


def memory(process, field="VmRSS"):
    """The resident memory of a running process, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1024
