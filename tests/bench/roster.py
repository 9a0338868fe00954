# SPDX-License-Identifier: Apache-2.0
"""Rosters, against what they cannot do without, in one run on one machine:

    first     the first sync of a course of 100,000 people in one page, against download + parse (jansson) + bulk INSERT of the same page, bare
    again     the same when nothing has changed, against download + parse, and the member and event rows that were written (none may be)
    memory    of the process that syncs: its own memory at the worst moment of the first sync, above that of an idle one
    courses   200 courses that are due, among 200 that are known and among 20,000

    make mod_lti_sync.la tests/bench/roster
    /usr/bin/python3 tests/bench/roster.py [--people N] [--rounds N] [--without-courses]

LTI_DATABASE=pgsql or mysql measures those, but for the count of rows, which needs triggers of SQLite. LTI_MODULE names the module; what else was built is looked for
beside it. Build without --enable-test-clock, whose clock is a file.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "e2e", HERE.parent / "campus"):
    sys.path.insert(0, str(folder))

import campus_protocol as protocol  # noqa: E402
import database  # noqa: E402
from campus import Campus  # noqa: E402
from client import Browser  # noqa: E402
from httpd import Httpd, find_module, free_port, wait_for  # noqa: E402

COURSES, ALL_COURSES = 200, 20000
CONFIG = "\nLTISyncConcurrency 4\nLTISharedMemory 128M"
LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"


class Stand:
    """A campus whose answer was made beforehand, and an httpd with the module."""

    def __init__(self, interval):
        port = free_port()
        self.campus = Campus(tool_base=f"http://localhost:{port}")
        self.httpd = Httpd(self.campus, port)
        self.httpd.platform = self.httpd.platform_block(LTISyncRate="1000/s")
        self.httpd.module_config = self.httpd.module_config.replace("LTISyncInterval 2s", f"LTISyncInterval {interval}") + CONFIG

    def __enter__(self):
        self.campus.start()
        self.httpd.start()
        return self

    def __exit__(self, *unused):
        self.httpd.close()
        self.campus.stop()

    def ask(self, sql):
        return self.httpd.store.execute(sql)


def page_of(campus, people):
    ada = campus.state.person("ada")
    members = [
        {
            "status": "Active", "user_id": ada.id if number == 0 else f"5c1e8f0e-77a1-4d0b-9d52-{number:012}", "name": "Annalena Li-Schmitz",
            "given_name": "Annalena", "family_name": "Li-Schmitz", "email": f"a.li{number:06}@stud.example.edu",
            "lis_person_sourcedid": f"{number:08}", "roles": [LEARNER],
        }  # fmt: skip
        for number in range(people)
    ]
    course = campus.state.course("BIO1")
    body = {"id": f"{campus.issuer}/nrps/{course.id}", "context": {"id": course.id, "label": "BIO1", "title": "Biology"}, "members": members}
    return protocol.Answer(200, json.dumps(body).encode(), protocol.NRPS_TYPE)


class Memory(threading.Thread):
    """The most that any child has of its own, sampled."""

    def __init__(self, httpd):
        super().__init__(daemon=True)
        self.children, self.done, self.worst = httpd.children(), threading.Event(), 0

    @staticmethod
    def own(pid):
        try:
            return int(re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])
        except OSError:
            return 0

    def most(self):
        return max(self.own(pid) for pid in self.children)

    def run(self):
        while not self.done.is_set():
            self.worst = max(self.worst, self.most())
            time.sleep(0.01)


def runs(httpd):
    """Milliseconds of each run that ended well."""
    return [int(found[1]) for found in re.finditer(r"LTI0303: .* (\d+) ms", httpd.log_text())]


def bare(built, stand):
    driver, params = re.search(r"DBDriver (\w+)\nDBDParams \"?([^\"\n]*)\"?", stand.httpd.database).groups()
    if driver == "sqlite3":
        params += ".bare"
    done = subprocess.run([built / "tests/bench/roster", stand.campus.issuer + "/nrps/x", driver, params], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def watch_rows(stand):
    """From now on every row of members and events that is written is counted."""
    stand.ask("CREATE TABLE bench_rows (what TEXT)")
    for table in ("lti_member", "lti_event"):
        for act in ("INSERT", "UPDATE", "DELETE"):
            stand.ask(f"CREATE TRIGGER bench_{table}_{act} AFTER {act} ON {table} BEGIN INSERT INTO bench_rows VALUES ('{table}'); END")


def measure_sync(built, people):
    """One round: (download + parse, INSERT, first, again, KiB above idle, rows written again)."""
    with Stand("1h") as stand:
        answer = page_of(stand.campus, people)
        protocol.nrps = lambda *_: answer
        memory = Memory(stand.httpd)
        time.sleep(1)
        idle = memory.most()
        memory.start()
        browser = Browser()
        browser.launch(stand.campus, "BIO1", "ada", "proxied")
        wait_for(lambda: len(runs(stand.httpd)) == 1, "the first sync", 120, 0.1)
        time.sleep(1)
        memory.done.set()
        if database.KIND == "sqlite3":
            watch_rows(stand)
        assert browser.post(stand.httpd.base_url + "/lti/sync").status == 202
        wait_for(lambda: len(runs(stand.httpd)) == 2, "the second sync", 120, 0.1)
        written = int(stand.ask("SELECT COUNT(*) FROM bench_rows")[0][0]) if database.KIND == "sqlite3" else -1
        first, again = (number / 1000 for number in runs(stand.httpd))
        parts = [bare(built, stand) for _ in range(3)]
        fetch, insert = (statistics.median(part[i] for part in parts) for i in range(2))
        return fetch, insert, first, again, memory.worst - idle, written


def refresh_all(stand, browser):
    """Seconds until all courses that have a context at the campus were refreshed, once they are due together."""
    done = "SELECT COUNT(*) FROM lti_sync WHERE succeeded_at >= {} AND course_key NOT LIKE '~%'"
    since = int(time.time() * 1_000_000)
    stand.ask(f"UPDATE lti_sync SET due_at = {since} WHERE course_key NOT LIKE '~%'")
    began = time.monotonic()
    browser.post(stand.httpd.base_url + "/lti/sync")
    wait_for(lambda: int(stand.ask(done.format(since))[0][0]) == COURSES, "all courses to be refreshed", 120, 0.02)
    return time.monotonic() - began


def measure_courses(rounds):
    """Medians of seconds: 200 due among 200, 200 due among 20,000."""
    with Stand("1h") as stand:
        for number in range(COURSES):
            stand.campus.state.add_course(f"C{number}", f"Introduction to {number}")
            stand.campus.state.enrol(f"C{number}", "ada")
        for number in range(COURSES):
            browser = Browser()
            browser.launch(stand.campus, f"C{number}", "ada", "proxied")
        wait_for(lambda: int(stand.ask("SELECT COUNT(*) FROM lti_sync WHERE succeeded_at > 0")[0][0]) == COURSES, "the first syncs", 120)
        few = statistics.median(refresh_all(stand, browser) for _ in range(rounds))
        for table in ("lti_context", "lti_sync"):
            columns = [row[1] for row in stand.ask(f"PRAGMA table_info({table})")]
            changed = {"course_key": "printf('~%07d', n)", "context_id": "printf('~%07d', n)", "due_at": str(int(time.time() + 86400) * 1_000_000)}
            values = ", ".join(changed.get(name, "o." + name) for name in columns)
            stand.ask(
                f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ALL_COURSES - COURSES}) INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {values} FROM c, (SELECT * FROM {table} LIMIT 1) o"
            )
        assert int(stand.ask("SELECT COUNT(*) FROM lti_sync")[0][0]) == ALL_COURSES
        return few, statistics.median(refresh_all(stand, browser) for _ in range(rounds))


LINE = (
    "download + parse {:.2f} s   INSERT {:.2f} s   first sync {:.2f} s   ratio {:.2f}   again {:.2f} s   ratio {:.2f}   "
    "memory above idle {:.1f} MiB   rows written again {:.0f}"
)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--people", type=int, default=100000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--without-courses", action="store_true")
    chosen = options.parse_args()
    if find_module() is None:
        sys.exit("there is no module: build first, or name it in LTI_MODULE")
    built, real, figures = find_module().parent.parent, protocol.nrps, []
    try:
        for _ in range(chosen.rounds):
            fetch, insert, first, again, memory, written = measure_sync(built, chosen.people)
            figures.append((fetch, insert, first, first / (fetch + insert), again, again / fetch, memory / 1024, written))
            print("  " + LINE.format(*figures[-1]), flush=True)
        protocol.nrps = real
        print(f"\nMedians of {chosen.rounds} rounds, {chosen.people:,} people in one page ({database.KIND}, load average {os.getloadavg()[0]:.1f}):")
        print("  " + LINE.format(*(statistics.median(column) for column in zip(*figures))))
        if not chosen.without_courses and database.KIND == "sqlite3":
            few, many = measure_courses(chosen.rounds)
            print(f"\n{COURSES} courses due: {few:.2f} s among {COURSES} known, {many:.2f} s among {ALL_COURSES:,}   ratio {many / few:.2f}")
    finally:
        database.close_server()


if __name__ == "__main__":
    main()
