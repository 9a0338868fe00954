# SPDX-License-Identifier: Apache-2.0
"""Shared memory of rosters over reloads, beyond its size, and with writers that die: nobody is ever judged by anything but a whole roster."""
import http.client
import os
import random
import re
import signal
import threading
import time

import database
import pytest
from client import Browser
from httpd import wait_for
from test_database import FAULTS, dropped_and_promoted, lock

RIGHT = {"zoe": (403, "member-left"), "sam": (200, "current", "teaching-assistant")}


def told(stage, browser):
    """What an application is told of this person, or why not."""
    response = browser.get(stage.url("/app/echo"))
    if response.status != 200:
        return response.status, response.error
    headers = dict(response.json()["headers"])
    return response.status, headers["X-LTI-Roster-State"], headers["X-LTI-Role"]


class Load:
    """Threads that ask all the time and compare what they are told; all of it must be right."""

    def __init__(self, stage, people, right=None, each=3, pause=0.0):
        self.stage, self.right, self.pause = stage, right or RIGHT, pause
        self.done, self.wrong, self.asked = threading.Event(), [], 0
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self.ask, args=(name, people[name])) for name in self.right for _ in range(each)]

    def ask(self, name, browser):
        while not self.done.is_set():
            began = time.monotonic()
            try:
                answer = told(self.stage, browser)
            except OSError as error:
                answer = error
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.asked += 1
            if answer != self.right[name]:
                self.wrong.append((name, answer))
            time.sleep(self.pause)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.done.set()
        for thread in self.threads:
            thread.join()


def test_reloads_while_the_database_is_locked(quiet):
    """The new generation knows the rosters of the old one before its first request (Invariants 3 and 6), though every launch is older than the five
    minutes in which people are served without any."""
    quiet.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(quiet)
    quiet.httpd.set_clock(400)
    unlock = lock(quiet)
    try:
        with Load(quiet, people, pause=0.01) as load:
            for number in range(20):
                # The segment may grow and shrink.
                size = (64, 64, 32, 96)[number % 4]
                quiet.httpd.module_config = re.sub(r"\nLTISharedMemory .*", "", quiet.httpd.module_config) + f"\nLTISharedMemory {size}M"
                quiet.httpd.graceful()
                wait_for(lambda: quiet.httpd.log_text().count("LTI0631") > number, "the reload", 10)
        assert not load.wrong, (len(load.wrong), load.asked, load.wrong[:5])
        assert load.asked > 200
    finally:
        unlock()
    assert quiet.httpd.log_text().count("LTI0631: 1 courses with 14 people were taken over in shared memory, 0") == 20
    # And goes on from there.
    quiet.campus.state.enrol("BIO1", "rosa")
    quiet.httpd.set_clock(0)
    quiet.sync_now(people["ada"])
    quiet.wait_roster(people["ada"])


def test_another_database_takes_nothing_over(quiet):
    people = dropped_and_promoted(quiet)
    assert told(quiet, people["zoe"]) == RIGHT["zoe"]
    before = quiet.httpd.log_text().count("LTI0631")
    quiet.httpd.database += "\nDBDKeep 1"
    quiet.httpd.graceful()
    assert quiet.httpd.log_text().count("LTI0631") == before
    wait_for(lambda: told(quiet, people["zoe"]) == RIGHT["zoe"], "the roster from the database", 10)


def test_a_course_deleted_during_a_reload_is_no_more(quiet):
    people = dropped_and_promoted(quiet)
    key = quiet.echo(people["ada"])["x-lti-course-key"]
    for table in ("lti_member", "lti_sync", "lti_context"):
        quiet.httpd.store.execute(f"DELETE FROM {table}")
    quiet.httpd.graceful()
    wait_for(lambda: Browser().get(f"{quiet.httpd.roster_url}?course={key}").status == 404, "the course to be unknown", 10)
    wait_for(lambda: told(quiet, people["zoe"]) != RIGHT["zoe"], "the old roster to be forgotten", 10)


# --- a segment that is too small ----------------------------------------------------------------------------------------------


def enrol_many(stage, count, course="BIO1"):
    state = stage.campus.state
    for number in range(count):
        state.enrol(course, state.add_person(f"many{number:05}", "Student" * 20, f"Number{number:05}" * 15))


def test_more_people_than_shared_memory_holds(make_stage):
    """Everybody is judged by the roster all the same; the log says once which figure to set, and with that figure everything fits."""
    stage = make_stage().configure(pace="LTISyncInterval 1h\nLTISharedMemory 1M")
    enrol_many(stage, 1600)
    stage.httpd.expect_log("LTI0304: .*with 1[0-9]{3} people does not fit.*set LTISharedMemory to at least [0-9]+ M")
    stage.start()
    people = {login: stage.launch(login) for login in ("ada", "zoe", "sam")}
    stage.wait_roster(people["ada"], timeout=30)
    stage.campus.state.drop("BIO1", "zoe")
    stage.campus.state.set_role("BIO1", "sam", "teaching-assistant")
    for _ in range(2):
        stage.sync_now(people["ada"])
        assert {login: told(stage, people[login]) for login in RIGHT} == RIGHT
    warnings = [line for line in stage.httpd.log_lines() if "LTI0304" in line]
    assert len(warnings) == 1, warnings
    figure = re.search(r"at least (\d+) M", warnings[0])[1]
    stage.httpd.module_config = stage.httpd.module_config.replace("LTISharedMemory 1M", f"LTISharedMemory {figure}M")
    stage.httpd.graceful()
    # Now without the database.
    wait_for(lambda: "LTI0631" in stage.httpd.log_text(), "the reload", 10)
    time.sleep(1.5)
    unlock = lock(stage)
    try:
        assert {login: told(stage, people[login]) for login in RIGHT} == RIGHT
    finally:
        unlock()
    assert len([line for line in stage.httpd.log_lines() if "LTI0304" in line]) == 1


def test_four_fifths_are_told_once(make_stage):
    stage = make_stage().configure(pace="LTISyncInterval 1h\nLTISharedMemory 1M")
    stage.httpd.expect_log(r"LTI0632: .*[89]\d percent.*set LTISharedMemory to 2M")
    enrol_many(stage, 560)
    stage.start()
    ada = stage.launch("ada")
    stage.wait_roster(ada, timeout=30)
    for number in range(3):
        stage.campus.state.set_role("BIO1", "sam", ("teaching-assistant", "learner")[number % 2])
        stage.sync_now(ada)
    assert stage.httpd.log_text().count("LTI0632") == 1
    assert "LTI0304" not in stage.httpd.log_text()


# --- a writer that dies -------------------------------------------------------------------------------------------------------


class Republisher:
    """What another node does that applies runs: with each version all people of the course have another role, and the size says which."""

    sizes = {"Learner": 500, "Instructor": 501}

    def __init__(self, stage):
        self.file, self.version, self.done = stage.httpd.store.file, 1000, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def write(self, connection):
        role = ("Learner", "Instructor")[self.version % 2]
        now = int((time.time() + 3600) * 1_000_000)
        connection.execute("BEGIN IMMEDIATE")
        uri = "http://purl.imsglobal.org/vocab/lis/v2/membership#" + role
        connection.execute("UPDATE lti_member SET roles = ?, role_at = ?", (uri, now))
        connection.execute("UPDATE lti_schema SET value = value + 1 WHERE name = 'change'")
        connection.execute(
            "UPDATE lti_sync SET version = ?, active = ?, change_no = (SELECT value FROM lti_schema WHERE name = 'change')",
            (self.version, self.sizes[role]),
        )
        connection.execute("COMMIT")
        self.version += 1

    def run(self):
        connection = database.sqlite3.connect(self.file, isolation_level=None, timeout=10)
        while not self.done.is_set():
            self.write(connection)
            time.sleep(0.05)
        connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.done.set()
        self.thread.join()


def ask_for_a_mix(stage, browser, done, wrong, seen):
    """Role and size are of one roster: the role is a person's, out of the chunks, the size the course's, out of the slot."""
    pairs = {("instructor", "501"), ("learner", "500")}
    while not done.is_set():
        began = time.monotonic()
        try:
            response = browser.get(stage.url("/app/echo"))
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)  # its process was killed
            continue
        headers = dict(response.json()["headers"]) if response.status == 200 else {}
        pair = headers.get("X-LTI-Role"), headers.get("X-LTI-Roster-Size")
        seen[pair] = seen.get(pair, 0) + 1
        if pair not in pairs or time.monotonic() - began > 3:
            wrong.append((response.status, pair, time.monotonic() - began))
        time.sleep(0.005)


def any_child(stage):
    """Any child: nothing tells from outside which has the watch thread, and its successor is hit as soon."""
    children = stage.httpd.children()
    return random.choice(children) if children else None


def test_writers_killed_at_any_moment(make_stage):
    if database.KIND != "sqlite3":
        pytest.skip("the rosters are rewritten in the file")
    kills = 200 if os.environ.get("LTI_SLOW") else 6
    stage = make_stage().configure(pace="LTISyncInterval 1h")
    stage.httpd.allow_log(r"exit signal Killed|AH0|LTI030[156]")
    enrol_many(stage, 500 - len(stage.enrolled()))
    stage.start()
    people = [stage.launch(login) for login in ("zoe", "sam")]
    stage.wait_roster(people[0], timeout=30)
    done, wrong, seen = threading.Event(), [], {}
    with Republisher(stage):
        wait_for(lambda: told(stage, people[0])[2] == "instructor", "the first version", 10)
        wait_for(lambda: told(stage, people[1])[2] in ("instructor", "learner"), "the first version", 10)
        readers = [threading.Thread(target=ask_for_a_mix, args=(stage, person, done, wrong, seen)) for person in people * 2]
        for reader in readers:
            reader.start()
        killed = 0
        while killed < kills:
            victim = any_child(stage)
            time.sleep(random.random() * 0.25)
            try:
                os.kill(victim, signal.SIGKILL)
                killed += 1
            except (ProcessLookupError, TypeError):
                time.sleep(0.05)
        wait_for(lambda: len(seen) == 2 and min(seen.values()) > 5 or wrong, "both rosters to be seen", 20)
        before = seen.copy()
        wait_for(lambda: wrong or all(seen[pair] > before[pair] + 3 for pair in before), "rosters to be published still", 20)
        done.set()
        for reader in readers:
            reader.join()
    assert not wrong, wrong[:5]
