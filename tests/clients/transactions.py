"""Several transactional producers that go on through anything, and the check of what they left.

    transactions.py run BOOTSTRAP TOPIC JOURNAL      until SIGTERM
    transactions.py check BOOTSTRAP TOPIC JOURNAL

`run` appends an outcome to the journal, one JSON object a line, for every transaction whose end is known for certain:
{"id": "PRODUCER-NUMBER", "outcome": "committed"|"aborted"|"unknown"}; unknown is a commit whose answer was lost. `check`
reads the topic read_committed and prints how many transactions were {"committed", "aborted", "unknown", "lost", "torn",
"twice", "aborted_seen"}: lost are committed ones without records, torn are those with some of their records, twice are
those with a record more than once. confluent-kafka.
"""

import json
import signal
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

PRODUCERS = 4
RECORDS = 5
# Every so many transactions one is aborted on purpose.
ABORT_EVERY = 4

stopping = threading.Event()
writing = threading.Lock()


def connect(bootstrap, name):
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "transactional.id": name,
        "transaction.timeout.ms": 10_000,
        "linger.ms": 0,
        "log_level": 0,
    })
    producer.init_transactions(60)
    return producer


def retried(call):
    """A call that may be repeated is repeated; any other error is the caller's."""
    while True:
        try:
            return call()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


def one(producer, topic, name, number):
    """One transaction; returns its outcome."""
    key = f"{name}-{number}"
    committing = False
    try:
        producer.begin_transaction()
        for index in range(RECORDS):
            producer.produce(topic, key=key, value=str(index), partition=index % 3)
        if number % ABORT_EVERY == 0:
            producer.flush(60)
            retried(lambda: producer.abort_transaction(60))
            return "aborted"
        committing = True
        retried(lambda: producer.commit_transaction(60))
        return "committed"
    except KafkaException as error:
        if error.args[0].txn_requires_abort():
            # Not committed: the broker says so before it decides anything.
            retried(lambda: producer.abort_transaction(60))
            return "aborted"
        return "unknown" if committing else "aborted"


def work(bootstrap, topic, name, journal):
    producer = connect(bootstrap, name)
    number = 0
    while not stopping.is_set():
        number += 1
        outcome = None
        try:
            outcome = one(producer, topic, name, number)
        except KafkaException:
            outcome = "unknown"
        with writing:
            journal.write(json.dumps({"id": f"{name}-{number}", "outcome": outcome}) + "\n")
            journal.flush()
        if outcome == "unknown":
            producer = connect(bootstrap, name)


def run(bootstrap, topic, path):
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with open(path, "a") as journal:
        names = [f"p{index}-{time.time_ns()}" for index in range(PRODUCERS)]
        threads = [threading.Thread(target=work, args=(bootstrap, topic, name, journal)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)


def committed_records(bootstrap, topic):
    """How often each record is there for a reader of what is committed: {(id, index): count}."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "check",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    })
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    counts, ended = {}, set()
    while len(ended) < len(partitions):
        record = consumer.poll(30)
        if record is None:
            raise SystemExit("no end of the topic within 30 s: a transaction hangs")
        if record.error() is not None:
            if record.error().name() != "_PARTITION_EOF":
                raise SystemExit(str(record.error()))
            ended.add(record.partition())
            continue
        place = record.key().decode(), int(record.value())
        counts[place] = counts.get(place, 0) + 1
    consumer.close()
    return counts


def check(bootstrap, topic, path):
    # Whatever was open when the producers ended is over after its timeout; its successor ends it at once.
    with open(path) as journal:
        outcomes = {line["id"]: line["outcome"] for line in map(json.loads, journal)}
    for name in {key.rsplit("-", 1)[0] for key in outcomes}:
        connect(bootstrap, name)
    counts = committed_records(bootstrap, topic)
    found = {}
    for (key, _), count in counts.items():
        found.setdefault(key, []).append(count)
    result = {"committed": 0, "aborted": 0, "unknown": 0, "lost": 0, "torn": 0, "twice": 0, "aborted_seen": 0}
    for key, outcome in outcomes.items():
        result[outcome] += 1
        records = found.pop(key, [])
        result["lost"] += outcome == "committed" and not records
        result["aborted_seen"] += outcome == "aborted" and bool(records)
        result["torn"] += len(records) not in (0, RECORDS)
        result["twice"] += any(count > 1 for count in records)
    # The last transaction of a producer that was told to stop is in the journal; nothing else may be there.
    result["aborted_seen"] += len(found)
    print(json.dumps(result))


def main():
    command, bootstrap, topic, path = sys.argv[1:]
    {"run": run, "check": check}[command](bootstrap, topic, path)


main()
