# SPDX-License-Identifier: Apache-2.0
"""httpd's processes come and go while rosters are read, written and published: readers see one roster or the next, never a mix or none, nothing is lost, and no run is forgotten.

A reload or a kill in the middle of a download: test_lifecycle.py, with one MPM; here it happens at moments that nobody chose, over and over, under load, with both.
"""
import http.client
import os
import random
import re
import signal
import threading
import time

import pytest
from httpd import is_alive, wait_for
from stage import active

ROLES = ("learner", "teaching-assistant")
LOG = r"child pid \d+ exit signal Killed|AH0|LTI0301.*(lease-lost|http-aborted|store)|LTI0303"


USUAL = os.environ.get("LTI_MPM", "event")
OTHER = {"event": "prefork", "prefork": "event"}[USUAL]


@pytest.fixture(params=[USUAL, pytest.param(OTHER, marks=pytest.mark.slow)])
def busy(make_stage, request):
    """A stage with a course of 200 people in pages of 50, synced again and again."""
    stage = make_stage(mpm=request.param)
    stage.httpd.allow_log(LOG)
    state = stage.campus.state
    for number in range(186):
        state.enrol("BIO1", state.add_person(f"s{number:03}", "Student", f"Number{number:03}"))
    stage.configure(pace="LTISyncInterval 1s")
    return stage


class Watcher:
    """Asks for what two people are, all the time: both change roles together, so one of two pairs of answers is right."""

    def __init__(self, stage, zoe, sam):
        self.stage, self.zoe, self.sam = stage, zoe, sam
        self.wrong, self.refused, self.asked = [], 0, 0
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(3)]

    def ask(self):
        while not self.done.is_set():
            for browser in (self.zoe, self.sam):
                try:
                    response = browser.get(self.stage.url("/app/echo"))
                except (OSError, http.client.HTTPException):
                    self.refused += 1  # the process that had the connection was killed
                    time.sleep(0.01)
                    continue
                self.asked += 1
                told = dict(response.json()["headers"]) if response.status == 200 else {}
                if response.status != 200 or told["X-LTI-Role"] not in ROLES or int(told["X-LTI-Roster-Size"]) != 200:
                    self.wrong.append((response, told.get("X-LTI-Role"), told.get("X-LTI-Roster-Size")))
            time.sleep(0.005)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()
        assert not self.wrong, (len(self.wrong), self.wrong[:3])
        assert self.asked > 20


def begin(stage):
    stage.start()
    people = {login: stage.launch(login) for login in ("ada", "zoe", "sam")}
    key = stage.wait_roster(people["ada"], timeout=30)
    return people, key


def turn(stage, number):
    """The two, and a hundred others, change their roles: each run has something to write and to publish."""
    role = ROLES[number % 2]
    for person, enrolment in stage.campus.state.roster("BIO1"):
        if enrolment.role in ROLES:
            stage.campus.state.set_role("BIO1", person, role)
    return role


def move_clock(stage, seconds):
    stage.campus.clock += seconds
    stage.httpd.set_clock(stage.campus.clock)


def check_end(stage, people, key):
    """All is well again, by itself."""
    state = stage.campus.state
    role = turn(stage, 1)
    state.drop("BIO1", "emmy")
    state.enrol("BIO1", "rosa")
    # A writer that was killed in a run still holds its lease, two minutes of it.
    move_clock(stage, 130)

    def right():
        try:
            members = stage.members(key)
        except (AssertionError, OSError):
            return False
        return active(members) == stage.enrolled()

    wait_for(right, "the roster to be that of the campus", 30)
    wait_for(lambda: role_of(stage, people["zoe"]) == role and role_of(stage, people["sam"]) == role, "the roles", 10)
    assert stage.state(people["ada"]) == "current"
    assert stage.httpd.store.execute("SELECT COUNT(*) FROM lti_member")[0][0] == str(len(stage.enrolled()) + 1)


def role_of(stage, browser):
    try:
        return stage.echo(browser)["x-lti-role"]
    except (AssertionError, OSError, http.client.HTTPException):
        return None


def test_reloads_while_rosters_come(busy):
    people, key = begin(busy)
    with Watcher(busy, people["zoe"], people["sam"]) as watcher:
        for number in range(3):
            turn(busy, number)
            people["ada"].post(busy.url("/lti/sync"))
            time.sleep(random.uniform(0, 0.3))
            busy.httpd.graceful()
    assert watcher.refused == 0
    check_end(busy, people, key)


def kill_writers(stage, people, times):
    """SIGKILL for whichever process runs the engine: it is the one that wrote the last line about a roster."""
    killed = 0
    for number in range(times):
        turn(stage, number)
        try:
            people["ada"].post(stage.url("/lti/sync"))
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(random.uniform(0, 0.15))
        runs = re.findall(r"\[pid (\d+).*LTI0303", stage.httpd.log_text())
        children = stage.httpd.children()
        writer = int(runs[-1]) if runs and int(runs[-1]) in children else random.choice(children)
        os.kill(writer, signal.SIGKILL)
        killed += 1
        wait_for(lambda pid=writer: not is_alive(pid), "the child to die")
        wait_for(lambda: stage.httpd.children(), "another child", 10)
    return killed


def test_writers_killed_at_any_moment(busy):
    """In a run, while its outcome is written, while it is published: whatever the moment hits."""
    people, key = begin(busy)
    with Watcher(busy, people["zoe"], people["sam"]):
        kill_writers(busy, people, 6)
    check_end(busy, people, key)


@pytest.mark.slow
def test_writers_killed_a_hundred_times(busy):
    people, key = begin(busy)
    with Watcher(busy, people["zoe"], people["sam"]):
        for _ in range(10):
            kill_writers(busy, people, 10)
            move_clock(busy, 130)  # leases end
            time.sleep(1)
    check_end(busy, people, key)


def test_children_are_recycled(busy):
    """MaxConnectionsPerChild: each process ends after some connections, the one with the engine too; no request fails, no run is forgotten."""
    busy.configure(extra="MaxConnectionsPerChild 15\nKeepAlive Off")
    people, key = begin(busy)
    before = set(busy.httpd.children())
    with Watcher(busy, people["zoe"], people["sam"]) as watcher:
        for number in range(3):
            turn(busy, number)
            time.sleep(0.7)
    assert watcher.refused == 0
    assert not before & set(busy.httpd.children()), "no child was recycled"
    check_end(busy, people, key)


@pytest.mark.slow
def test_stop_and_start_in_the_middle_of_everything(busy):
    """SIGTERM, as an init system sends it, while a roster is written; what comes after starts from what the database has."""
    people, key = begin(busy)
    for number in range(2):
        turn(busy, number)
        people["ada"].post(busy.url("/lti/sync"))
        time.sleep(random.uniform(0.02, 0.2))
        busy.httpd.stop(at_once=True)
        busy.httpd.start()
        assert role_of(busy, people["zoe"]) in ROLES
        assert busy.echo(people["sam"])["x-lti-roster-size"] == "200"
    check_end(busy, people, key)
