# SPDX-License-Identifier: Apache-2.0
"""The change feed: an application follows enrolment by GET events, without any launch; each change once, in order, whatever dies meanwhile."""
import os
import random
import re
import signal
import socket
import threading
import time
import urllib.parse

import pytest
from client import Browser
from httpd import SERVICE, wait_for
from stage import QUIET

TWO_SECONDS = 2.0
DAYS = 24 * 3600
SLOW = bool(os.environ.get("LTI_SLOW"))
FEED = SERVICE.replace('"/lti/roster"', '"/lti"')
DETAILS = {"name", "given_name", "family_name", "email", "lis_person_sourcedid"}


def feed_stage(make, pace=QUIET, more=""):
    stage = make().configure(pace=pace, service=FEED)
    stage.httpd.module_config += more
    return stage


@pytest.fixture
def feed(make_stage):
    return feed_stage(make_stage).start()


class Follower:
    """An application: it knows the service address, and nothing of browsers."""

    def __init__(self, stage, **query):
        self.stage, self.query = stage, query
        self.base = stage.httpd.roster_url.removesuffix("roster")
        self.next = None
        self.seen = []
        self.people = {}  # (course, user id) -> event that spoke of the person last

    def get(self, path="events", **query):
        query = {name: value for name, value in query.items() if value is not None}
        return Browser().get(f"{self.base}{path}?{urllib.parse.urlencode(query)}")

    def ask(self, **query):
        answer = self.get(since=self.next, **{**self.query, **query})
        assert answer.status == 200, answer
        told = answer.json()
        assert set(told) == {"events", "next", "more"}
        for event in told["events"]:
            assert self.next is None or event["number"] > self.next
            self.seen.append(event)
            place = event["course"], event["user_id"]
            if event["event"] == "left":
                assert place in self.people and event["status"] != "active", event
                del self.people[place]
            else:
                assert event["status"] == "active", event
                assert (place in self.people) == (event["event"] in ("role changed", "details changed")), event
                self.people[place] = event
        assert not told["events"] or told["next"] >= told["events"][-1]["number"]
        self.next = told["next"]
        return told

    def catch_up(self):
        before = len(self.seen)
        while self.ask()["more"]:
            pass
        return [(event["event"], event["user_id"]) for event in self.seen[before:]]

    def from_the_start(self):
        self.next = 0
        return self

    def ids(self, course=None):
        return {user for key, user in self.people if course in (None, key)}


def person(stage, login):
    return stage.campus.state.person(login)


def told(kind, stage, *logins):
    return sorted((kind, person(stage, login).id) for login in logins)


class Waiting(threading.Thread):
    """A request that takes its time."""

    def __init__(self, get):
        super().__init__(daemon=True)
        self.get, self.answer, self.ended = get, None, None
        self.start()
        self.began = time.monotonic()

    def run(self):
        try:
            self.answer = self.get()
        except OSError as error:
            self.answer = error
        self.ended = time.monotonic()

    def result(self, timeout=15):
        self.join(timeout)
        assert self.ended is not None, "the request still waits"
        return self.answer


# --- what is told ------------------------------------------------------------------------------------------------------------------------


def test_an_application_follows_enrolment_without_any_launch(feed):
    """One launch made the course known; from then on nobody opens the tool."""
    campus, state = feed.campus, feed.campus.state
    app = Follower(feed)
    start = app.ask()
    assert start == {"events": [], "next": 0, "more": False}
    ada = feed.launch("ada")
    key = feed.wait_roster(ada)
    (course,) = app.get("courses").json()["courses"]
    assert course["course"] == key
    assert sorted(app.catch_up()) == sorted(("joined", user) for user in feed.enrolled())
    assert app.ids(key) == feed.enrolled()
    first = app.people[key, person(feed, "ada").id]
    assert first["remote_user"] == f"{person(feed, 'ada').id}@campus" == feed.echo(ada)["x-lti-remote-user"]
    assert (first["role"], first["name"], first["email"]) == ("instructor", person(feed, "ada").name, person(feed, "ada").email)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["at"]) and any(role.endswith("#Instructor") for role in first["roles"])

    state.enrol("BIO1", "rosa")
    feed.sync_now(ada)
    assert app.catch_up() == told("joined", feed, "rosa")
    state.set_role("BIO1", "rosa", "teaching-assistant")
    feed.sync_now(ada)
    assert app.catch_up() == told("role changed", feed, "rosa")
    assert app.people[key, person(feed, "rosa").id]["role"] == "teaching-assistant"
    person(feed, "zoe").family = "Zimmer"
    feed.sync_now(ada)
    assert app.catch_up() == told("details changed", feed, "zoe")
    assert app.people[key, person(feed, "zoe").id]["family_name"] == "Zimmer"
    person(feed, "zoe").email = "z@example.edu"
    state.set_role("BIO1", "zoe", "instructor")
    feed.sync_now(ada)
    assert sorted(app.catch_up()) == told("details changed", feed, "zoe") + told("role changed", feed, "zoe")
    state.drop("BIO1", "rosa")
    campus.list_inactive = True
    state.set_status("BIO1", "sam", "Inactive")
    feed.sync_now(ada)
    assert sorted(app.catch_up()) == told("left", feed, "rosa", "sam")
    statuses = {event["user_id"]: event["status"] for event in app.seen[-2:]}
    assert statuses == {person(feed, "rosa").id: "left", person(feed, "sam").id: "inactive"}
    state.enrol("BIO1", "rosa")
    state.set_status("BIO1", "sam", "Active")
    feed.sync_now(ada)
    assert sorted(app.catch_up()) == told("returned", feed, "rosa", "sam")
    # Nothing changed: nothing is told, and nothing is written.
    feed.sync_now(ada)
    assert app.catch_up() == []
    assert app.ids(key) == feed.enrolled()
    ((count, newest),) = feed.httpd.store.execute("SELECT COUNT(*), MAX(number) FROM lti_event")
    assert int(count) == int(newest) == len(app.seen) == app.next
    # The same from the start, in small bites.
    again = Follower(feed, limit=4, course=key).from_the_start()
    while again.ask()["more"]:
        assert len(again.seen) % 4 == 0
    assert [event["number"] for event in again.seen] == list(range(1, app.next + 1)) and again.ids() == app.ids()
    assert again.next == app.next


def test_two_courses_at_once_in_one_order(make_stage):
    """A follower that asks all the time meets no number that is below one it has seen, and none is left out."""
    stage = feed_stage(make_stage, pace="LTISyncInterval 2s").start()
    ada, rosa = stage.launch("ada"), stage.launch("rosa", "HIS2")
    everything, done = Follower(stage).from_the_start(), threading.Event()
    following = threading.Thread(target=lambda: [everything.ask(limit=3) for _ in iter(done.is_set, True)], daemon=True)
    following.start()
    try:
        first, second = stage.wait_roster(ada), stage.wait_roster(rosa, "HIS2")
        for login in ("bobby", "sam", "fatima"):
            stage.campus.state.drop("BIO1", login)
            stage.campus.state.enrol("HIS2", login)
            for browser in (ada, rosa):
                browser.post(stage.url("/lti/sync"))
            time.sleep(0.3)
        for course, browser in (("BIO1", ada), ("HIS2", rosa)):
            stage.wait_roster(browser, course)
    finally:
        done.set()
        following.join(10)
    everything.catch_up()
    assert [event["number"] for event in everything.seen] == list(range(1, everything.next + 1))
    assert everything.ids(first) == stage.enrolled() and everything.ids(second) == stage.enrolled("HIS2")
    of_one = Follower(stage, course=second).from_the_start()
    of_one.catch_up()
    assert of_one.seen == [event for event in everything.seen if event["course"] == second] and of_one.next == everything.next


# --- waiting -----------------------------------------------------------------------------------------------------------------------------


def test_waiting_for_what_comes_next(feed):
    ada = feed.launch("ada")
    key = feed.wait_roster(ada)
    app, other = Follower(feed), Follower(feed, course="AAAAAAAAAAAAAAAA")
    app.ask()
    assert other.get(course="AAAAAAAAAAAAAAAA").error == "course-unknown"
    began = time.monotonic()
    assert app.ask(wait=1)["events"] == [] and 0.9 < time.monotonic() - began < 2, "nothing came, and the time was over"
    waiting = Waiting(lambda: app.ask(wait=30, course=key))
    time.sleep(0.5)
    assert waiting.ended is None
    feed.campus.state.enrol("BIO1", "rosa")
    since = len(feed.httpd.log_lines())
    assert ada.post(feed.url("/lti/sync")).status == 202
    feed.httpd.wait_log("LTI0303.*joined 1", since=since)
    applied = time.monotonic()
    assert [event["user_id"] for event in waiting.result()["events"]] == [person(feed, "rosa").id]
    assert waiting.ended - applied < TWO_SECONDS
    # What is there already is told at once.
    began = time.monotonic()
    assert Follower(feed).from_the_start().ask(wait=30)["events"] and time.monotonic() - began < 1


def raw_get(stage, path):
    """A request whose answer nobody waits for."""
    client = socket.create_connection(("127.0.0.1", stage.httpd.service_port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{stage.httpd.service_port}\r\n\r\n".encode())
    return client


def test_so_many_wait_and_no_more(make_stage):
    stage = feed_stage(make_stage, pace="LTISync Off", more="\nLTIEventWaiters 2").start()
    stage.httpd.expect_log(r"LTI0501: refused with events-busy .*2 requests wait for events already: raise LTIEventWaiters")
    app = Follower(stage)
    clients = [raw_get(stage, "/lti/events?wait=30") for _ in range(2)]
    time.sleep(0.5)
    refused = app.get(wait=30)
    assert (refused.status, refused.error) == (503, "events-busy") and int(refused.header("Retry-After")) > 0
    assert app.get().json() == {"events": [], "next": 0, "more": False}, "who does not wait is answered"
    # One goes, without a word: its place is free.
    clients.pop().close()
    wait_for(lambda: app.get(wait=1).status == 200, "a place", 3)
    clients.pop().close()


@pytest.mark.parametrize("how", ["graceful", "stop"])
def test_waits_end_when_httpd_does(make_stage, how):
    stage = feed_stage(make_stage, pace="LTISync Off").start()
    waiting = [Waiting(lambda: Follower(stage).get(wait=30)) for _ in range(3)]
    time.sleep(0.5)
    began = time.monotonic()
    getattr(stage.httpd, how)()
    for thread in waiting:
        answer = thread.result(5)
        assert thread.ended - began < 2, "a request kept its child"
        assert answer.status == 200 and answer.json() == {"events": [], "next": 0, "more": False}


def test_another_node_wakes_those_who_wait_here(make_stage):
    first, second = feed_stage(make_stage), feed_stage(make_stage, pace="LTISync Off")
    second.configure(database=first.httpd.database, platform=first.httpd.platform_block())
    for stage in (first, second):
        stage.httpd.allow_log("LTI0311")
        stage.start()
    ada = first.launch("ada")
    first.wait_roster(ada)
    app = Follower(second)
    wait_for(lambda: app.ask()["next"] == 14, "the events of the other node", 5)
    waiting = Waiting(lambda: app.ask(wait=30))
    first.campus.state.enrol("BIO1", "rosa")
    since = len(first.httpd.log_lines())
    assert ada.post(first.url("/lti/sync")).status == 202
    first.httpd.wait_log("LTI0303.*joined 1", since=since)
    applied = time.monotonic()
    assert [event["user_id"] for event in waiting.result()["events"]] == [person(first, "rosa").id]
    assert waiting.ended - applied < TWO_SECONDS


# --- too old, too new, wrong ---------------------------------------------------------------------------------------------------------------


def test_what_is_not_kept_any_more_is_gone(feed):
    ada = feed.launch("ada")
    feed.wait_roster(ada)
    app = Follower(feed).from_the_start()
    app.catch_up()
    feed.campus.state.drop("BIO1", "zoe")
    feed.sync_now(ada)
    refused = app.get(since=999)
    assert (refused.status, refused.error) == (410, "events-gone") and "rosters" in refused.text
    assert app.get(since=14).json()["events"][0]["event"] == "left"
    feed.httpd.allow_log("LTI0301")
    feed.httpd.set_clock(31 * DAYS)
    wait_for(lambda: app.get(since=0).status == 410, "the purge", 10)
    assert app.get(since=14).status == 410
    assert feed.httpd.store.execute("SELECT value FROM lti_schema WHERE name = 'event_floor'") == [("15",)]
    assert feed.httpd.store.execute("SELECT COUNT(*) FROM lti_event") == [("0",)]
    fresh = app.get().json()
    assert fresh == {"events": [], "next": 15, "more": False} and app.get(since=15).json() == fresh


@pytest.mark.parametrize(
    "query",
    ["since=x", "since=-1", "since=", "since=1&since=2", "since=9999999999999999999999", "since=+1", "wait=x", "wait=-1", "wait=1.5", "limit=0", "limit=x", "course=%ff"],
)
def test_bad_questions(shared, query):
    answer = Browser().get(f"{Follower(shared).base}events?{query}")
    assert (answer.status, answer.error) in ((400, answer.error), (404, "course-unknown")), query
    assert answer.error in ("parameter-invalid", "parameter-repeated", "course-unknown")


@pytest.fixture(scope="module")
def shared(make_shared_stage):
    """Two courses, nothing that moves."""
    stage = feed_stage(make_shared_stage).start()
    stage.ada, stage.rosa = stage.launch("ada"), stage.launch("rosa", "HIS2")
    stage.keys = stage.wait_roster(stage.ada), stage.wait_roster(stage.rosa, "HIS2")
    return stage


def test_wrong_methods(shared):
    for path in ("events", "courses"):
        for method in ("POST", "PUT", "DELETE"):
            refused = shared.ada.request(method, shared.url(f"/lti/{path}"), b"", {"Origin": shared.httpd.base_url, "Sec-Fetch-Site": "same-origin"})
            assert refused.status == 405 and "GET" in refused.header("Allow"), (method, path)
        assert shared.ada.request("HEAD", shared.url(f"/lti/{path}")).status == 200


# --- access --------------------------------------------------------------------------------------------------------------------------------


def test_sessions_see_the_events_of_their_course(shared):
    """As with rosters: instructors, their own course."""
    first, second = shared.keys
    answer = shared.rosa.get(shared.url("/lti/events?since=0"))
    assert answer.status == 200 and {event["course"] for event in answer.json()["events"]} == {second}
    assert len(answer.json()["events"]) == 3 and answer.json()["next"] == 17
    assert answer.header("Cache-Control") == "private, no-store" and answer.header("Content-Type").startswith("application/json")
    assert shared.rosa.get(shared.url(f"/lti/events?since=0&course={second}")).json() == answer.json()
    assert shared.rosa.get(shared.url(f"/lti/events?since=0&course={first}")).status == 403
    assert len(shared.ada.get(shared.url("/lti/events?since=0")).json()["events"]) == 14
    zoe = shared.launch("zoe")
    assert (zoe.get(shared.url("/lti/events")).status, zoe.get(shared.url("/lti/courses")).status) == (403, 403)
    assert Browser().get(shared.url("/lti/events")).status == Browser().get(shared.url("/lti/courses")).status == 401


def test_the_service_sees_all_or_one(shared):
    first, second = shared.keys
    app = Follower(shared).from_the_start()
    app.catch_up()
    assert (len(app.ids(first)), len(app.ids(second)), app.next) == (14, 3, 17)
    context = shared.campus.state.course("HIS2").id
    assert len(app.get(since=0, context=context).json()["events"]) == 3
    for event in app.seen:
        assert event["remote_user"] == f"{event['user_id']}@campus" and DETAILS & set(event)


def test_courses_are_listed(shared):
    first, second = shared.keys
    app = Follower(shared)
    courses = {course["course"]: course for course in app.get("courses").json()["courses"]}
    assert set(courses) == {first, second}
    course = courses[first]
    wanted = shared.campus.state.course("BIO1")
    assert (course["platform"], course["context_id"], course["label"], course["title"]) == ("campus", wanted.id, wanted.label, wanted.title)
    assert (course["state"], course["stale"], course["active"]) == ("current", False, 14)
    assert course["issuer"] == shared.campus.issuer and course["deployment_id"] == "d-1" and course["succeeded_at"] and course["launched_at"]
    listed, address = [], f"{app.base}courses?limit=1"
    while address:
        answer = Browser().get(address)
        listed += [course["course"] for course in answer.json()["courses"]]
        link = answer.header("Link")
        address = link.partition("<")[2].partition(">")[0] if 'rel="next"' in link else None
    assert listed == sorted([first, second])
    assert [course["course"] for course in shared.rosa.get(shared.url("/lti/courses")).json()["courses"]] == [second]
    assert shared.rosa.get(shared.url(f"/lti/courses?after={second}")).json() == {"courses": []}


def test_a_course_is_told_to_be_stale(feed):
    ada = feed.launch("ada")
    feed.wait_roster(ada)
    feed.campus.faults["nrps"] = {"status": 500}
    feed.httpd.allow_log("LTI030|LTI059")
    feed.httpd.set_clock(4 * 3600)
    (course,) = wait_for(lambda: [course for course in Follower(feed).get("courses").json()["courses"] if course["stale"]], "the course to be stale")
    assert course["state"] == "stale" and course["active"] == 14


def test_who_may_not_any_more_gets_nothing_that_came_meanwhile(feed):
    """Invariant 11: a request that waits is judged anew before it is answered."""
    feed.campus.state.set_role("BIO1", "grace", "instructor")
    ada, grace = feed.launch("ada"), feed.launch("grace")
    feed.wait_roster(ada)
    assert grace.get(feed.url("/lti/events")).status == 200
    waiting = Waiting(lambda: grace.get(feed.url("/lti/events?wait=20")))
    time.sleep(0.3)
    feed.campus.state.set_role("BIO1", "grace", "learner")
    feed.sync_now(ada)
    assert waiting.result().status == 403


# --- deaths --------------------------------------------------------------------------------------------------------------------------------


def test_killed_at_any_moment_none_is_lost_and_none_is_told_twice(feed):
    feed.httpd.allow_log(r"child pid \d+ exit signal Killed")
    feed.httpd.allow_log(r"AH0|LTI030|LTI059")
    ada = feed.launch("ada")
    key = feed.wait_roster(ada)
    app = Follower(feed).from_the_start()
    app.catch_up()
    rounds, clock = 12 if SLOW else 4, 0
    logins = ["rosa", "zoe", "bobby", "sam"]
    random.seed(4)

    def one_change(number):
        login = logins[number % len(logins)]
        listed = person(feed, login).id in feed.enrolled()
        (feed.campus.state.drop if listed else feed.campus.state.enrol)("BIO1", login)

    for number in range(rounds):
        one_change(number)
        assert ada.post(feed.url("/lti/sync")).status == 202
        time.sleep(random.uniform(0.0, 0.35))
        for child in feed.httpd.children():
            os.kill(child, signal.SIGKILL)
        # The lease of the dead ends by time.
        clock += 130
        feed.httpd.set_clock(clock)

        def followed():
            try:
                app.catch_up()
            except OSError:
                return False
            return app.ids(key) == feed.enrolled()

        wait_for(followed, "the events of a run that came after the kill", 20)
    changes = [event for event in app.seen if event["number"] > 14]
    assert len(changes) == rounds
    assert [event["number"] for event in app.seen] == list(range(1, app.next + 1))
