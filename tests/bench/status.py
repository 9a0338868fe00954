# SPDX-License-Identifier: Apache-2.0
"""The status page with 20,000 courses against the same with 200, in one run on one machine: time of a whole page over HTTP, and the memory of the process that answers.

    make mod_lti_sync.la
    /usr/bin/python3 tests/bench/status.py [--rounds N]

The courses are rows of the database, and in shared memory too: the engine publishes them as if another node had fetched them. 40 of either lot fail, so that the page lists as many problems. LTI_DATABASE=pgsql or
mysql measures those, LTI_MODULE names the module.
"""
import argparse
import json
import os
import re
import statistics
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "e2e", HERE.parent / "campus"):
    sys.path.insert(0, str(folder))

import database  # noqa: E402
from campus import Campus  # noqa: E402
from httpd import Httpd, find_module, free_port, wait_for  # noqa: E402

FEW, MANY, FAILING = 200, 20000, 40
BULK = 500
PAGES = {
    "page": "",
    "JSON": "?format=json",
    "page 200 of the list, by age": "?order=success&offset=9950",
    "sorted by people": "?order=people",
    "a search": "?search=number+77",
}
CONFIG = """
LTISyncConcurrency 1
LTISharedMemory 128M
<LocationMatch "^/lti/(status|metrics)$">
    LTIAdmin On
    Require local
</LocationMatch>"""


class Stand:
    def __init__(self, courses):
        port = free_port()
        self.courses = courses
        self.campus = Campus(tool_base=f"http://localhost:{port}")
        self.httpd = Httpd(self.campus, port)
        self.httpd.module_config = self.httpd.module_config.replace("LTISyncInterval 2s", "LTISyncInterval 1d") + CONFIG

    def __enter__(self):
        self.campus.start()
        self.httpd.start()
        try:
            wait_for(lambda: self.exists("lti_held"), "the tables", 60)
            self.fill()
        except BaseException:
            print(self.httpd.log_text()[-2000:], file=sys.stderr)
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        self.httpd.close()
        self.campus.stop()

    def exists(self, table):
        try:
            return self.httpd.store.execute(f"SELECT COUNT(*) FROM {table}") is not None
        except Exception:  # not yet
            return False

    def fill(self):
        store, now, day = self.httpd.store, int(time.time() * 1_000_000), 86_400_000_000
        for first in range(0, self.courses, BULK):
            contexts, syncs = [], []
            for number in range(first, min(first + BULK, self.courses)):
                key, name, failing = f"bench{number:011}", f"Course number {number * 7919 % self.courses} of the campus", number % (self.courses // FAILING) == 3
                contexts.append(
                    f"('{key}', 'campus', '{self.campus.issuer}', 'client', 'd-1', 'ctx-{number}', 'C{number}', '{name}', '{name.lower()}', {now}, "
                    f"'{self.campus.issuer}/nrps/{number}')"
                )
                syncs.append(
                    f"('{key}', {3 if failing else 2}, 1, {number + 1000}, {number % 90 + 1}, {now - number * 1_000_000}, {now + 30 * day}, {now + 10 * day + number}, "
                    f"{3 if failing else 0}, {chr(39) + 'http-status' + chr(39) if failing else 'NULL'}, 0, 0, 0, 0, 0)"
                )
            store.execute(
                "INSERT INTO lti_context (course_key, platform, issuer, client_id, deployment_id, context_id, label, title, sort_name, launched_at, nrps_url) VALUES "
                + ", ".join(contexts)
            )
            store.execute(
                "INSERT INTO lti_sync (course_key, state, version, change_no, active, succeeded_at, stale_at, due_at, failures, error_name, lease_since, lease_until, "
                "held_since, held_missing, held_accepted) VALUES " + ", ".join(syncs)
            )
        store.execute(f"UPDATE lti_schema SET value = {self.courses + 2000} WHERE name = 'change'")
        if database.KIND != "sqlite3":  # what their own housekeeping does within a minute
            store.execute({"pgsql": "ANALYZE", "mysql": "ANALYZE TABLE lti_context, lti_sync"}[database.KIND])
        wait_for(lambda: self.published() >= self.courses, "the courses in shared memory", 120)

    def published(self):
        health, _ = self.get("?format=json&part=health")
        return json.loads(health)["health"]["shared_memory"]["courses"]

    def get(self, query):
        begun = time.perf_counter()
        with urllib.request.urlopen(f"http://localhost:{self.httpd.port}/lti/status{query}", timeout=60) as answer:
            body = answer.read().decode()
        return body, time.perf_counter() - begun

    def memory(self):
        """MiB of their own that the children have, all together: one of them is the engine."""
        return sum(int(re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) for pid in self.httpd.children()) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=41)
    chosen = parser.parse_args()
    if find_module() is None:
        sys.exit("there is no module: build first, or name it in LTI_MODULE")
    try:
        with Stand(FEW) as few, Stand(MANY) as many:
            for name, query in PAGES.items():
                times, before = {few: [], many: []}, {stand: stand.memory() for stand in (few, many)}
                for stand in (few, many):
                    stand.get(query)
                for _ in range(chosen.rounds):
                    for stand in (few, many):
                        times[stand].append(stand.get(query)[1] * 1000)
                a, b = statistics.median(times[few]), statistics.median(times[many])
                grown = [stand.memory() - before[stand] for stand in (few, many)]
                print(
                    f"{name:30} {a:6.1f} ms with {FEW}   {b:6.1f} ms with {MANY:,}   ratio {b / a:5.2f}   memory grew by {grown[0]:.1f} and {grown[1]:.1f} MiB", flush=True
                )
            print(f"({database.KIND}, medians of {chosen.rounds}, load average {os.getloadavg()[0]:.1f})")
    finally:
        database.close_server()


if __name__ == "__main__":
    main()
