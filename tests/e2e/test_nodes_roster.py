# SPDX-License-Identifier: Apache-2.0
"""Rosters on several httpds that share one database: one fetches, all publish; nodes that die, that are cut off, whose clocks differ (Invariants 5 and 6)."""
import os
import re
import shutil
import signal
import threading
import time
import urllib.parse
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import database
import pytest
from campus import Tool
from client import Browser
from httpd import is_alive, wait_for
from relay import Relay

TWO_SECONDS = 2.0
DIFFERENCE = 3  # seconds between the clocks of two nodes
LEASE = 120  # seconds
LOST = r"LTI0301: .* lease-lost"
# What a node says while its database is away; DBD and its drivers have words of their own.
AWAY = r"LTI0305|LTI0301|LTI02\d\d|LTI059\d|\(dbd\)|dbd:error|AH00632|AH03188|mod_dbd"

PREFORK = os.environ.get("LTI_MPM") == "prefork"

needs_server = pytest.mark.skipif(database.KIND == "sqlite3", reason="SQLite has no server that a node could lose")


class Nodes:
    """Stages of one campus and one database; people come through a load balancer that leads each connection to the next node, or to the one that `at` names."""

    def __init__(self, make, count, pace="LTISyncInterval 15m", wires=False, one_key=True):
        self.stages = [make() for _ in range(count)]
        self.campus = self.stages[0].campus
        self.store = self.stages[0].httpd.store
        self.wires = []
        self.turns, self.lock = 0, threading.Lock()
        self.balancer = Relay(self)
        self.url = f"http://localhost:{self.balancer.port}"
        self.campus.tool = Tool(self.url)
        self.chosen = None
        for stage in self.stages:
            text = self.store.directives
            if wires:
                self.wires.append(Relay(self.store.server.socket))
                text = self.store.server.directives_by_port(self.store.name, self.wires[-1].port) + "\nDBDMin 0"
            stage.configure(pace=pace, platform=self.stages[0].httpd.platform_block(), database=text)
            stage.httpd.module_config += f"\nLTIBaseURL {self.url}"
        self.stages[0].start()
        for stage in self.stages[1:]:
            for name in ("secret", *(["tool-key.pem"] if one_key else [])):
                shutil.copy(self.stages[0].httpd.root / "state" / name, stage.httpd.root / "state" / name)
            stage.start()

    # The balancer asks for its target with each connection.
    @property
    def port(self):
        with self.lock:
            self.turns += 1
            return (self.chosen or self.stages[self.turns % len(self.stages)]).httpd.port

    def at(self, number):
        """From now on all connections lead to this node; None: to each in turn."""
        self.chosen = None if number is None else self.stages[number]
        return self

    def close(self):
        for stage in self.stages:  # before the campus, which goes with the first of them
            stage.httpd.stop()
        for relay in [self.balancer, *self.wires]:
            relay.close()

    def launch(self, person, course="BIO1", at=None, check=True):
        if at is not None:
            self.at(at)
        browser = Browser()
        browser.steps = browser.launch(self.campus, course, person, check=check)
        return browser

    def told(self, browser, number):
        """What the application is told on that node."""
        response = self.at(number) and browser.get(self.url + "/app/echo")
        if response.status != 200:
            return {"status": response.status, "error": response.error}
        return {"status": 200, **{name.lower(): value for name, value in response.json()["headers"] if name.lower().startswith("x-lti-")}}

    def sync(self, browser, at):
        self.at(at)
        assert browser.post(self.url + "/lti/sync").status == 202

    def allow_log(self, regex):
        for stage in self.stages:
            stage.httpd.allow_log(regex)

    def enrolled(self, course="BIO1"):
        return self.stages[0].enrolled(course)

    def active(self, number, key):
        return {id for id, member in self.stages[number].members(key).items() if member["status"] == "Active"}

    def wait_current(self, browsers, course="BIO1", timeout=15):
        """Until all nodes say that the roster is current and as large as that of the campus; `browsers` is of one course. Returns its key."""
        size = str(len(self.enrolled(course)))
        for number in range(len(self.stages)):
            wait_for(
                lambda n=number: [self.told(browsers, n).get(f"x-lti-roster-{what}") for what in ("state", "size")] == ["current", size],
                f"the roster of {course} at node {number}", timeout,
            )  # fmt: skip
        key = self.told(browsers, 0)["x-lti-course-key"]
        for number in range(len(self.stages)):
            assert self.active(number, key) == self.enrolled(course)
        return key

    def owner(self):
        """The node that holds a lease now, None if none does."""
        rows = self.store.execute("SELECT lease_owner FROM lti_sync WHERE lease_owner IS NOT NULL")
        if not rows:
            return None
        pid = int(rows[0][0].split(":")[2])
        return next(number for number, stage in enumerate(self.stages) if pid in stage.httpd.children())

    def time_passes(self, seconds):
        """For the leases that are held now."""
        self.store.execute(f"UPDATE lti_sync SET lease_until = lease_until - {seconds * 1000000} WHERE lease_owner IS NOT NULL")

    def walks(self):
        """Course id -> offsets of its roster requests, in order."""
        found = defaultdict(list)
        for entry in list(self.campus.requests("nrps")):
            form = dict(urllib.parse.parse_qsl(entry.query))
            found[entry.path.split("/")[2]].append(int(form.get("offset", "0")))
        return found


@pytest.fixture
def make_nodes(make_stage):
    made = []

    def make(count=2, **options):
        made.append(Nodes(make_stage, count, **options))
        return made[-1]

    yield make
    for nodes in made:
        nodes.close()


def hold_page(campus, count=1, after=0):
    """The next roster request of the campus hangs until the first event is set; the second tells that it came."""
    held, served = threading.Event(), threading.Event()
    campus.faults["nrps"] = {"wait": held, "times": count, "after": after}
    campus.on_answer = lambda endpoint, path, query: served.set() if endpoint == "nrps" else None
    return held, served


def changes(campus):
    campus.state.drop("BIO1", "zoe")
    campus.state.set_role("BIO1", "sam", "teaching-assistant")


def has_changed(nodes, people, number):
    zoe, sam = (nodes.told(people[login], number) for login in ("zoe", "sam"))
    return (zoe["status"], zoe.get("error"), sam.get("x-lti-role")) == (403, "member-left", "teaching-assistant")


def kill(stage):
    """A power cut: everything of this httpd is gone at the same instant."""
    root = str(stage.httpd.root).encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if root in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    parent = stage.httpd.pid()
    for pid in sorted(found, key=lambda pid: pid != parent):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(is_alive(pid) for pid in found), "the node to die")


def test_one_fetches_and_all_publish_within_two_seconds(make_nodes):
    """Launches of two courses on three nodes at once (the parts of a launch go to different nodes): no course is ever walked by two nodes at
    a time (SPEC N-48), and what one learned all show. Each node has a key of its own, which the campus asks any of them for."""
    nodes = make_nodes(3, one_key=False)
    nodes.campus.page_cap = 4
    nodes.campus.faults["nrps"] = {"slow": 0.1}
    people = [(login, course) for course in ("BIO1", "HIS2") for login in sorted(person.login for person, _ in nodes.campus.state.roster(course))]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda who: nodes.launch(*who), people * 2))
    for course in ("BIO1", "HIS2"):
        login = next(login for login, of in people if of == course)
        nodes.wait_current(nodes.launch(login, course), course)
    walks = nodes.walks()
    assert len(walks) == 2
    for course, offsets in walks.items():
        pages = list(range(0, len(nodes.enrolled(course)), 4))
        assert offsets == pages * (len(offsets) // len(pages)), f"two walks at a time: {offsets}"
    nodes.campus.faults.clear()
    # The change of a roster that one node fetched, on all of them.
    browsers = {login: nodes.launch(login) for login in ("ada", "zoe", "sam")}
    changes(nodes.campus)
    for stage in nodes.stages:
        stage.since = len(stage.httpd.log_lines())
    nodes.sync(browsers["ada"], at=1)
    wait_for(lambda: any("LTI0303" in line for stage in nodes.stages for line in stage.httpd.log_lines()[stage.since :]), "the run", 10, 0.01)
    applied = time.monotonic()
    for number in range(3):
        wait_for(lambda n=number: has_changed(nodes, browsers, n), f"node {number} to know", max(0.05, applied + TWO_SECONDS - time.monotonic()), 0.02)


def test_a_node_that_dies_in_a_run_loses_its_lease_by_time(make_nodes):
    """Nothing is applied half, nobody is dropped, and another node does the work."""
    nodes = make_nodes(2)
    nodes.allow_log("LTI0301")
    people = {login: nodes.launch(login) for login in ("ada", "zoe", "sam")}
    key = nodes.wait_current(people["ada"])
    before = nodes.active(0, key)
    nodes.campus.page_cap = 4
    changes(nodes.campus)
    held, served = hold_page(nodes.campus, after=2)
    nodes.sync(people["ada"], at=0)
    assert served.wait(15)
    wait_for(lambda: any(10 in offsets or 8 in offsets for offsets in nodes.walks().values()), "the third page to be asked for")
    dead = nodes.owner()
    alive = 1 - dead
    kill(nodes.stages[dead])
    held.set()
    nodes.campus.faults.clear()
    asked = len(nodes.campus.requests("nrps"))
    time.sleep(1.5)
    assert len(nodes.campus.requests("nrps")) == asked, "the lease holds"
    assert nodes.active(alive, key) == before
    nodes.time_passes(LEASE)
    wait_for(lambda: has_changed(nodes, people, alive), "the other node to take over", 10)
    assert nodes.active(alive, key) == nodes.enrolled()
    # The dead one comes back, with the roster as it is now.
    (nodes.stages[dead].httpd.root / "run/httpd.pid").unlink()
    nodes.stages[dead].httpd.start()
    wait_for(lambda: has_changed(nodes, people, dead), "the node that was dead", 10)
    assert nodes.owner() is None


def test_clocks_that_differ_by_seconds(make_nodes):
    """Each node judges leases and due times by its own clock: nobody steals, and nothing is missed that is fetched later than the difference after a launch."""
    nodes = make_nodes(2)
    for number, ahead in enumerate((0, DIFFERENCE)):
        nodes.stages[number].httpd.set_clock(ahead)
    nodes.campus.page_cap = 4
    people = {login: nodes.launch(login, at=index % 2) for index, login in enumerate(("ada", "zoe", "sam"))}
    nodes.wait_current(people["ada"])
    time.sleep(DIFFERENCE)
    changes(nodes.campus)
    for turn in range(3):
        held, served = hold_page(nodes.campus)
        nodes.sync(people["ada"], at=turn % 2)
        assert served.wait(15)
        for number in (0, 1):
            nodes.sync(people["ada"], at=number)
        time.sleep(0.3)
        held.set()
        wait_for(lambda: nodes.owner() is None, "the runs to end")
        nodes.campus.faults.clear()
    for number in (0, 1):
        wait_for(lambda n=number: has_changed(nodes, people, n), f"node {number} to know")
    for offsets in nodes.walks().values():
        starts = [place for place, offset in enumerate(offsets) if offset == 0]
        for begin, end in zip(starts, starts[1:] + [len(offsets)]):
            assert offsets[begin:end] == list(range(0, 4 * (end - begin), 4)), f"two walks at a time: {offsets}"


def test_generations_of_two_nodes_beside_each_other(make_nodes):
    """Graceful reloads of both nodes while rosters are fetched and people come and go: old processes and new ones use the database together."""
    nodes = make_nodes(2, pace="LTISyncInterval 1s")
    nodes.allow_log(LOST)
    people = {login: nodes.launch(login) for login in ("ada", "zoe", "sam")}
    nodes.wait_current(people["ada"])
    nodes.campus.page_cap = 4
    nodes.campus.faults["nrps"] = {"slow": 0.15}
    changes(nodes.campus)
    wrong, done = [], threading.Event()

    def come_and_go():
        while not done.is_set():
            try:
                steps = nodes.launch("ada", check=False).steps
                if steps.launch.status != 303 or steps.app.status != 200:
                    wrong.append(steps.launch)
            except (OSError, AssertionError) as error:
                wrong.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            for stage in nodes.stages:
                stage.httpd.graceful()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:5]
    for number in (0, 1):
        wait_for(lambda n=number: has_changed(nodes, people, n), f"node {number} to know", 20)


# --- a node that loses its database ---------------------------------------------------------------------------------------------


@needs_server
def test_a_node_that_is_cut_off_serves_what_it_knew_and_catches_up(make_nodes):
    nodes = make_nodes(2, wires=True)
    nodes.allow_log(AWAY)
    people = {login: nodes.launch(login) for login in ("ada", "zoe", "sam")}
    nodes.wait_current(people["ada"])

    def count(tag):
        return len(re.findall(tag, nodes.stages[1].httpd.log_text()))

    for round in (1, 2):
        nodes.wires[1].cut()
        nodes.campus.state.enrol("BIO1", "zoe")
        (changes if round == 1 else lambda campus: campus.state.drop("BIO1", "zoe"))(nodes.campus)
        nodes.sync(people["ada"], at=0)
        wait_for(lambda: has_changed(nodes, people, 0), "the node that has its database", 10)
        wait_for(lambda: count("LTI0305") == round, "the node to say so", 10)
        assert nodes.told(people["zoe"], 1)["status"] == (200 if round == 1 else 403), "what it knew"
        began = time.monotonic()
        refused = nodes.launch("ada", at=1, check=False).steps.launch
        assert refused.status == 503 and refused.error.startswith("store"), refused
        assert time.monotonic() - began < 5
        if round == 1:
            nodes.stages[1].httpd.set_clock(3600)
            wait_for(lambda: nodes.told(people["ada"], 1).get("x-lti-roster-state") == "stale", "the state", 3)
            nodes.stages[1].httpd.set_clock(0)
        nodes.wires[1].heal()
        wait_for(lambda: has_changed(nodes, people, 1), "the node that was cut off to catch up", 8)
        wait_for(lambda: count("LTI0306") == round, "the node to say so")
        assert nodes.launch("ada", at=1).steps.app.status == 200
    assert count("LTI0305") == count("LTI0306") == 2, "once each time"
    assert "LTI0305" not in nodes.stages[0].httpd.log_text()


@needs_server
@pytest.mark.parametrize("end", ["goes on", "breaks"])
def test_a_node_whose_connections_hang(make_nodes, end):
    """In the midst of a run nothing moves between node and database, and nothing breaks either. Open sessions are served as if nothing were,
    launches are refused rather than kept (under prefork each costs a process until the connection breaks), the lease is lost by time, and
    what the node knows from before is not applied when it awakes."""
    nodes = make_nodes(2, wires=True)
    nodes.allow_log(AWAY)
    people = {login: nodes.launch(login) for login in ("ada", "zoe", "sam")}
    key = nodes.wait_current(people["ada"])
    held, served = hold_page(nodes.campus)
    nodes.sync(people["ada"], at=0)
    assert served.wait(15)
    hung = nodes.owner()
    other = 1 - hung
    nodes.wires[hung].hang()
    held.set()
    changes(nodes.campus)
    refused, threads = [], []

    def try_launch():
        try:
            refused.append(nodes.launch("ada", check=False).steps.launch)
        except (OSError, AssertionError):
            pass  # what hung was let go when all had been seen

    nodes.at(hung)
    for _ in range(4 if PREFORK else 12):
        threads.append(threading.Thread(target=try_launch))
        threads[-1].start()
    slowest = 0.0
    for _ in range(40):
        began = time.monotonic()
        assert nodes.told(people["zoe"], hung)["status"] == 200
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.1)
    assert slowest < 2.5, f"a request with a session took {slowest:.1f} s"
    if not PREFORK:
        assert len([answer for answer in refused if answer.status == 503]) >= 4, "launches were kept waiting"
        nodes.stages[hung].httpd.wait_log("LTI0590", 10)
    nodes.time_passes(LEASE)
    wait_for(lambda: has_changed(nodes, people, other), "the other node to take over", 10)
    if end == "breaks":
        nodes.wires[hung].cut()
    nodes.wires[hung].heal()
    wait_for(lambda: has_changed(nodes, people, hung), "the node that hung to catch up", 15)
    for thread in threads:
        thread.join()
    assert nodes.launch("ada", at=hung).steps.app.status == 200
    assert nodes.active(other, key) == nodes.active(hung, key) == nodes.enrolled()


def test_an_update_is_followed_on_any_node(make_nodes):
    """Asked for on one node, done by whichever takes it, followed on both."""
    nodes = make_nodes()
    ada = nodes.launch("ada", at=0)
    nodes.wait_current(ada)
    nodes.campus.state.enrol("BIO1", "rosa")
    for asks, tells in ((0, 1), (1, 0)):
        nodes.at(asks)
        location = ada.post(nodes.url + "/lti/sync").location
        nodes.at(tells)

        def applied():
            found = ada.get(location).json()["request"]
            return found["state"] == "applied" and found

        assert wait_for(applied, "the end of the update")["members"] == 15
