#!/usr/bin/env python3
"""Delivers the rows of a report to OpenSearch by helpers.bulk of opensearch-py, compressed, each with an id and a version.
Usage: bulk.py REPORT URL INDEX OUTPUT. It writes to OUTPUT, as JSON, how many documents there were, and the seconds and the
seconds of CPU that helpers.bulk took. Reading the report and making a document of a row is not in them."""

import csv
import hashlib
import json
import sys
import time
from itertools import islice

from opensearchpy import OpenSearch, helpers

DOCUMENTS_A_REQUEST = 5_000
BYTES_A_REQUEST = 4 * 1024 * 1024
PREPARED = 20_000
TEXTS = 7


def action(index, header, row):
    document = {"@timestamp": row[header.index("period_start")]}
    for number, (name, cell) in enumerate(zip(header, row)):
        if cell:
            is_text = number < TEXTS or name == "status"
            document[name] = cell if is_text else float(cell)
    identity = "/".join(row[:TEXTS]).encode()
    return {
        "_op_type": "index",
        "_index": index,
        "_id": hashlib.sha256(identity).hexdigest(),
        "version": 1,
        "version_type": "external_gte",
        "_source": document,
    }


def main(report, url, index, output):
    client = OpenSearch([url], http_compress=True)
    took = {"documents": 0, "wall_s": 0.0, "cpu_s": 0.0}
    with open(report, newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        while actions := [action(index, header, row) for row in islice(rows, PREPARED)]:
            wall, cpu = time.monotonic(), time.process_time()
            done, _ = helpers.bulk(
                client, actions, chunk_size=DOCUMENTS_A_REQUEST, max_chunk_bytes=BYTES_A_REQUEST, stats_only=True
            )
            took["wall_s"] += time.monotonic() - wall
            took["cpu_s"] += time.process_time() - cpu
            took["documents"] += done
    with open(output, "w") as file:
        json.dump(took, file)


main(*sys.argv[1:])
