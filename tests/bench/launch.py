# SPDX-License-Identifier: Apache-2.0
"""Launches a second, against what they cannot do without, in one run on one machine:

    a  verifications of an RSA-2048 signature a second, by as many processes as there are processors
    b  POST requests a second of the same bytes to an empty handler in the same httpd, by the same client
    c  bare INSERTs a second into the same database (a transaction each), by whichever number of processes is faster, one or as many as there are processors

and the limit that follows: 1 / (1/a + 1/b + 1/c). Beside other work on the machine rates scatter widely: then look at processor time, of the parts together against that
of a launch (of httpd, and where the database is a server without that server's).

    make mod_lti_sync.la tests/bench/launch tests/bench/mod_empty.la
    /usr/bin/python3 tests/bench/launch.py [--rounds N] [--launches N] [--processes N] [--profile FILE]

Each launch is a person of one of fifty courses with a browser of its own, whose login and token were made beforehand. LTI_DATABASE=pgsql or mysql measures those.
LTI_MODULE names the module; what else was built is looked for beside it. Build without --enable-test-clock, whose clock is a file.
"""
import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "e2e", HERE.parent / "campus"):
    sys.path.insert(0, str(folder))

import campus_protocol as protocol  # noqa: E402
import database  # noqa: E402
from campus import Campus  # noqa: E402
from client import Browser  # noqa: E402
from httpd import Httpd, find_module, free_port, wait_for  # noqa: E402

COURSES, PEOPLE = 50, 1000
WORKERS = os.cpu_count() or 1
EMPTY = "/empty/none"  # as long as /lti/launch
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "Content-Type": "application/x-www-form-urlencoded",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "cross-site",
}


class Server(Httpd):
    def __init__(self, built, mpm, processes):
        port = free_port()
        self.processes = processes
        campus = Campus(tool_base=f"http://localhost:{port}")
        super().__init__(campus, port, mpm)
        self.module_config = self.module_config.replace("LTISyncInterval 2s", "LTISyncInterval 1h")
        self.extra = (
            f"LoadModule empty_module {built / 'tests/bench/.libs/mod_empty.so'}\n<Location /empty>\nSetHandler bench-empty\n</Location>\n"
            "MaxKeepAliveRequests 0\nKeepAliveTimeout 60"
        )
        self.log_level = "warn"
        for number in range(COURSES):
            campus.state.add_course(f"C{number}", f"Introduction to {number}")
        for number in range(PEOPLE):
            person = campus.state.add_person(f"p{number:04}", f"Given{number}", f"Family{number}")
            for course in random.sample(range(COURSES), 4):
                campus.state.enrol(f"C{course}", person)

    def text(self):
        text = re.sub(r"^CustomLog .*$", "", super().text(), flags=re.M)
        if self.mpm == "event":
            for name, value in (("StartServers|ServerLimit", self.processes), ("ThreadsPerChild|ThreadLimit", 25), ("MaxRequestWorkers|MaxSpareThreads", 25 * self.processes)):
                text = re.sub(rf"^({name}) .*$", rf"\1 {value}", text, flags=re.M)
        return text

    def warm_up(self):
        """A launch into each course, until its roster came: then no roster is fetched while launches are measured."""
        self.campus.start()
        self.start()
        state = self.campus.state
        for number in range(COURSES):
            enrolled = next(iter(state.course(f"C{number}").enrolments))
            assert Browser().launch(self.campus, f"C{number}", enrolled).launch.status == 303
        done = "SELECT COUNT(*) FROM lti_sync WHERE succeeded_at > 0"
        wait_for(lambda: int(self.store.execute(done)[0][0]) == COURSES, "all rosters", 120)

    def prepare(self, count):
        """So many launches, each as the bytes that a browser would post."""
        state, requests = self.campus.state, []
        pairs = [(person, course.id) for course in state.courses.values() if course.label.startswith("C") for person in course.enrolments]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for _ in range(count):
            person, course = random.choice(pairs)
            query = urllib.parse.urlencode(protocol.login_parameters(self.campus, person, course, "proxied", "window"))
            connection.request("GET", f"/lti/login?{query}", headers={"Host": f"localhost:{self.port}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 302, answer.status
            form = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))
            action, fields = protocol.authorize(self.campus, form)
            assert "id_token" in fields, fields
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
            body = urllib.parse.urlencode(fields).encode()
            told = dict(HEADERS, Host=f"localhost:{self.port}", Origin=self.campus.issuer, Cookie=cookie)
            head = f"POST {urllib.parse.urlsplit(action).path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in told.items())
            requests.append(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        connection.close()
        return requests


class Bench:
    def __init__(self, built, server, connections):
        self.program, self.server, self.connections = built / "tests/bench/launch", server, connections

    def run(self, *arguments):
        return json.loads(subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, check=True).stdout)

    def verify(self):
        return self.run("rsa", 1, WORKERS)

    def insert(self):
        driver, params = re.search(r"DBDriver (\w+)\nDBDParams \"?([^\"\n]*)\"?", self.server.database).groups()
        return max(self.run("insert", 1, workers, driver, params) for workers in sorted({1, WORKERS}))

    def post(self, requests, wanted, path=None):
        """Requests a second, and microseconds of httpd's processor time for each."""
        file = self.server.root / "requests"
        with open(file, "wb") as out:
            for request in requests:
                if path is not None:
                    request = request.replace(b"POST /lti/launch ", b"POST %s " % path.encode(), 1)
                out.write(b"%d\n" % len(request) + request)
        before = self.processor_time()
        told = self.run("post", self.server.port, file, self.connections)
        cost = (self.processor_time() - before) / len(requests) / 1000
        assert told["statuses"] == {str(wanted): len(requests)}, f"{told}\n{self.server.log_text()[-2000:]}"
        return told["requests"] / told["seconds"], cost

    def processor_time(self):
        """Nanoseconds that all threads of httpd's children have run."""
        tasks = [task for pid in self.server.children() for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--launches", type=int, default=3000, help="in a round")
    options.add_argument("--connections", type=int, default=8, help="each with one request at a time")
    options.add_argument("--processes", type=int, default=1, help="of httpd, 25 threads each")
    options.add_argument("--mpm", choices=("event", "prefork"), default="event")
    options.add_argument("--profile", metavar="FILE", help="perf record of httpd while launches are measured")
    chosen = options.parse_args()
    if find_module() is None:
        sys.exit("there is no module: build first, or name it in LTI_MODULE")
    built = find_module().parent.parent
    server = Server(built, chosen.mpm, chosen.processes)
    bench, figures = Bench(built, server, chosen.connections), []
    try:
        server.warm_up()
        bench.post(server.prepare(500), 303)
        for number in range(chosen.rounds):
            requests = server.prepare(chosen.launches)
            (verify, verify_cost), (insert, insert_cost) = bench.verify(), bench.insert()
            profile = None
            if chosen.profile and number == 0:
                profile = subprocess.Popen(["perf", "record", "-q", "-g", "-o", chosen.profile, "-p", ",".join(map(str, server.children()))])
                time.sleep(0.5)
            # In turns, so that a slow moment of the machine does not always hit the same.
            order = [("empty", 200, EMPTY), ("launch", 303, None)]
            rates = {name: bench.post(requests, status, path) for name, status, path in (order if number % 2 == 0 else order[::-1])}
            if profile is not None:
                profile.terminate()
                profile.wait()
            (empty, empty_cost), (launches, cost) = rates["empty"], rates["launch"]
            limit = 1 / (1 / verify + 1 / empty + 1 / insert)
            work = verify_cost + empty_cost + insert_cost
            figures.append((verify, empty, insert, limit, launches, launches / limit, verify_cost, empty_cost, insert_cost, cost, work / cost))
            print("  " + LINE.format(*figures[-1]), flush=True)
    finally:
        server.close()
        server.campus.stop()
        database.close_server()
    load = os.getloadavg()[0]
    print(f"\nMedians of {chosen.rounds} rounds ({database.KIND}, mpm_{chosen.mpm} with {chosen.processes} processes, {WORKERS} processors, {chosen.connections} connections, load average {load:.1f}):")
    print("  " + LINE.format(*(statistics.median(column) for column in zip(*figures))))


LINE = (
    "verify {:,.0f}/s   empty POST {:,.0f}/s   INSERT {:,.0f}/s   limit {:,.0f}/s   launches {:,.0f}/s   ratio {:.2f}\n"
    "      processor time: {:.0f} + {:.0f} + {:.0f} us against {:.0f} us   ratio {:.2f}"
)

if __name__ == "__main__":
    main()
