"""Reads all Parquet files of readings in a directory with DuckDB, again and again, until standard input ends.

    watch_store.py DIRECTORY

Fails if a row is ever there twice, if there are fewer rows than before, or if a file cannot be read. A file that has gone
since it was listed is no failure: a compaction replaced it, and the next read sees the new one. Prints {"reads", "gone",
"rows"}.
"""

import json
import sys
import threading

import duckdb

FILES = "readings/**/*.parquet"


def main():
    directory = sys.argv[1]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    reads = gone = before = 0
    database = duckdb.connect()
    while not ended.wait(0.02):
        query = f"select count(*), count(distinct (\"partition\", \"offset\")) from read_parquet('{directory}/{FILES}')"
        try:
            rows, different = database.execute(query).fetchone()
        except duckdb.IOException as error:
            if "No files found" not in str(error) and "No such file" not in str(error):
                raise
            gone += 1
            continue
        if rows != different or rows < before:
            raise SystemExit(f"{rows} rows, {different} different ones, {before} before")
        reads, before = reads + 1, rows
    print(json.dumps({"reads": reads, "gone": gone, "rows": before}))


main()
