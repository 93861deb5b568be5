"""Storage beside a consumer in Python with pyarrow, Kafka Connect's file sink, and PostgreSQL's own COPY, on Apache Kafka 4.1."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import (
    BINARY, BOOTSTRAP, PORT, ROOT, delete_topic, kafka, last_json, new_topic, note, run, streamgauge, take_turns, tool,
    versus,
)

PYTHON = ROOT / ".venv/current/bin/python"
SENSORS = 10_000


def fill(topic, count):
    """Readings a second apart of each sensor, as in life."""
    new_topic(topic)
    summary = last_json(streamgauge(
        "produce", "sensors", "--topic", topic, "--num-sensors", SENSORS, "--speed", "max", "--count", count,
        "--start-time", "2026-11-01T00:00:00",
    ))
    assert summary["acknowledged"] == count, summary


class Ours:
    """`store`, with one worker: rows per second while it was busy, and per second of its own processor time."""

    def __init__(self):
        self.by_cpu, self.memory = [], []

    def run(self, count, *arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [str(BINARY), "-b", BOOTSTRAP, "-o", "json", "-q", "store", *map(str, arguments), "--exit-at-end",
                   "--workers", "1", "--group", f"bench-{time.time_ns()}"]
        process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, f"{command} ended with {status}"
        summary = last_json(text)
        assert summary["rows"] == count, summary
        self.by_cpu.append(count / (usage.ru_utime + usage.ru_stime))
        self.memory.append(usage.ru_maxrss / 1024)
        return summary["active_rate"]


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    return path


def connect(topic, count, directory):
    """Kafka Connect's runtime with its file sink, JSON in and out: rows per second from its first row to its last."""
    jars = ROOT / ".kafka/bench-connect"
    if not jars.exists():
        note("fetching Kafka Connect (once, about 40 MB)")
        run("mvn", "-B", "-q", "-f", "scripts/bench.d/connect-pom.xml", "-Dkafka.version=4.1.1", "-DincludeScope=runtime",
            f"-DoutputDirectory={jars}", "dependency:copy-dependencies")
    name, out = f"connect-{time.time_ns()}", directory / "connect.jsonl"
    out.unlink(missing_ok=True)
    json_converter = "org.apache.kafka.connect.json.JsonConverter"
    (directory / "worker.properties").write_text("\n".join([
        f"bootstrap.servers={BOOTSTRAP}", f"offset.storage.file.filename={directory}/offsets", "key.converter.schemas.enable=false",
        "key.converter=org.apache.kafka.connect.storage.StringConverter", f"value.converter={json_converter}",
        "value.converter.schemas.enable=false", "listeners=http://127.0.0.1:0", "consumer.auto.offset.reset=earliest",
        "consumer.max.poll.records=5000", "plugin.discovery=service_load",
    ]))
    (directory / "sink.properties").write_text("\n".join([
        f"name={name}", "connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max=1",
        f"topics={topic}", f"file={out}",
    ]))
    log = open(directory / "connect.log", "w")
    process = subprocess.Popen(
        ["java", "-Xmx1g", "-cp", f"{jars}/*", "org.apache.kafka.connect.cli.ConnectStandalone",
         str(directory / "worker.properties"), str(directory / "sink.properties")], cwd=directory, stdout=log, stderr=log)
    try:
        first, rows, last_change = None, 0, time.monotonic()
        with_rows = lambda: out.exists() and out.stat().st_size > 0
        while rows < count:
            time.sleep(0.05)
            assert process.poll() is None, (directory / "connect.log").read_text()[-2000:]
            assert time.monotonic() - last_change < 120, "Kafka Connect makes no progress"
            if not with_rows():
                continue
            first = first or time.monotonic()
            # Counted at the end only, by size: all rows are about as long.
            size = out.stat().st_size
            if size != getattr(connect, "size", None):
                connect.size, last_change = size, time.monotonic()
            elif time.monotonic() - last_change > 1.0:
                rows = int(subprocess.check_output(["wc", "-l", str(out)]).split()[0])
                assert rows >= count, f"{rows} rows of {count}"
        return count / (last_change - first)
    finally:
        process.terminate()
        process.wait()


def pyarrow(topic, count, directory):
    target = fresh(directory / "pyarrow")
    target.mkdir()
    summary = last_json(run(PYTHON, "scripts/bench.d/pyarrow_store.py", BOOTSTRAP, topic, target, count))
    assert summary["rows"] == count, summary
    return count / summary["seconds"]


def size_by_duckdb(files, directory):
    """Bytes that DuckDB writes for the same rows, in the same order, with Zstandard."""
    target = directory / "duckdb.parquet"
    script = (f"import duckdb; duckdb.sql(\"copy (select * exclude day from read_parquet('{files}/readings/**/*.parquet')"
              f" order by sensor_id, time) to '{target}' (format parquet, codec 'zstd')\")")
    run(PYTHON, "-c", script)
    return target.stat().st_size


class Postgres:
    """A server of our own, from Debian's package."""

    def __init__(self, directory):
        self.directory = directory / "pg"
        self.directory.mkdir()
        self.programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self.user = []
        if os.getuid() == 0:
            self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(directory, "postgres")
            shutil.chown(self.directory, "postgres")
        self.port = PORT + 7
        data = self.directory / "data"
        self.program("initdb", "-A", "trust", "-U", "me", "-D", data)
        self.server = subprocess.Popen(
            [*self.user, str(self.programs / "postgres"), "-D", str(data), "-p", str(self.port), "-k", str(self.directory),
             "-c", "listen_addresses=127.0.0.1", "-c", "max_wal_size=8GB", "-c", "shared_buffers=512MB"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            time.sleep(0.05)
        self.program("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "me", "plant")
        self.url = f"postgres://me@127.0.0.1:{self.port}/plant"

    def program(self, name, *arguments):
        return run(*self.user, self.programs / name, *arguments)

    def sql(self, text):
        return self.program("psql", self.url, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text).strip()

    def stop(self):
        self.server.send_signal(2)
        self.server.wait()


def by_postgres(topic, count, directory, turns):
    server = Postgres(directory)
    try:
        ours = Ours()

        def store():
            server.sql("set client_min_messages = warning; drop table if exists readings, streamgauge_positions")
            server.sql("checkpoint")
            return ours.run(count, "postgres", "--url", server.url, "--topics", f"{topic}=readings")

        store()
        file = server.directory / "rows.bin"
        server.sql(f"copy readings to '{file}' (format binary)")

        def copy():
            server.sql("truncate readings")
            server.sql("checkpoint")
            began = time.monotonic()
            server.sql(f"copy readings from '{file}' (format binary)")
            return count / (time.monotonic() - began)

        return take_turns({"`COPY … BINARY` from a file": copy, "`store postgres`": store}, turns)
    finally:
        server.stop()


def measure(count, turns, seconds):
    turns = min(turns, 3)
    note("starting Apache Kafka 4.1 (KRaft)")
    kafka("destroy")
    kafka("start", "--version", "4.1", "--port", PORT)
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        try:
            return parquet_and_database(count, turns, directory)
        finally:
            kafka("destroy")


def parquet_and_database(count, turns, directory):
    topic = "bench-store"
    fill(topic, count)
    ours, target = Ours(), directory / "store"
    store = lambda: ours.run(count, "parquet", "--path", fresh(target), "--topics", f"{topic}=readings")
    store()
    ours.by_cpu.clear()
    figures = take_turns({
        "Python, confluent-kafka and pyarrow": lambda: pyarrow(topic, count, directory),
        "Kafka Connect, JSON file sink": lambda: connect(topic, count, directory),
        "`store parquet`": store,
    }, turns)
    bytes_ours = sum(path.stat().st_size for path in target.glob("readings/**/*.parquet"))
    bytes_duckdb = size_by_duckdb(target, directory)
    copied = by_postgres(topic, min(count, 1_000_000), directory, turns) if count <= 1_000_000 else None
    if copied is None:
        fill("bench-store-1m", 1_000_000)
        copied = by_postgres("bench-store-1m", 1_000_000, directory, turns)
    # From little to much: the cost of a row does not grow.
    points, total = [], 0
    grow = "bench-store-grow"
    new_topic(grow)
    for millions in (1, 4, 16):
        more = millions * count // 2 - total
        streamgauge("produce", "sensors", "--topic", grow, "--num-sensors", SENSORS, "--speed", "max", "--count", more,
                    "--start-time", "2026-11-01T00:00:00", "--seed", millions)
        total += more
        growing = Ours()
        growing.run(total, "parquet", "--path", fresh(directory / "grow"), "--topics", f"{grow}=readings")
        points.append((total, growing.by_cpu[0], growing.memory[0]))
    delete_topic(grow), delete_topic(topic)
    per_core = statistics.median(ours.by_cpu)
    lines = [
        "## Storage", "",
        f"{count:,} readings of {SENSORS:,} sensors, Apache Kafka 4.1, one worker, from the first batch to the last row stored.", "",
        "### Parquet", "",
        *versus("3", "Python, confluent-kafka and pyarrow", "`store parquet`", figures),
        *versus("3", "Kafka Connect, JSON file sink", "`store parquet`", figures),
        f"Per second of processor time, start and end included: **{per_core:,.0f}** rows (asked: 400,000). Most memory:"
        f" {max(ours.memory):.0f} MiB (asked: 256 MB).", "",
        f"Size of the files: {bytes_ours / count:.2f} bytes a row, {bytes_ours / bytes_duckdb:.2f} of what DuckDB writes of the"
        " same rows in the same order with Zstandard (asked: at most 1.15).", "",
        "| rows | rows per second of processor time | most memory |", "|---:|---:|---:|",
        *[f"| {rows:,} | {rate:,.0f} | {memory:.0f} MiB |" for rows, rate, memory in points], "",
        "### PostgreSQL", "",
        "1,000,000 readings into a table with its two indexes; COPY reads the same rows from a file on the server.", "",
        *versus("0.70", "`COPY … BINARY` from a file", "`store postgres`", copied),
    ]
    return lines
