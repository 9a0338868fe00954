# SPDX-License-Identifier: Apache-2.0
"""What starts a roster's run: a course that is named beforehand (LTICourse), and launches (LTISyncOnLaunch), which may wait for the first roster."""
import re
import socket
import threading
import time
import urllib.parse

import pytest
from client import Browser
from httpd import wait_for

WAIT = "LTISyncInterval 1h\nLTISyncOnLaunch wait=3s"
SPAN = 3.0
PLACES = 4  # of a child with eight threads: half of them


def add_course(stage, label, links=True):
    """A course with a teacher and a student; without links it has no assignment, quiz or link at all."""
    state = stage.campus.state
    course = state.add_course(label, f"Course {label}")
    if not links:
        course.links = {}
    for login in ("zoe", "ada"):
        state.enrol(course, state.person(login), "instructor" if login == "ada" else "learner")
    return course


def walks(stage, course):
    return [entry for entry in stage.campus.requests("nrps") if entry.path == f"/nrps/{course.id}"]


def standing(stage, course):
    """State, active members, due time, address of its roster; None if nobody knows the course."""
    found = stage.httpd.store.execute(
        f"SELECT s.state, s.active, s.due_at, c.nrps_url, c.launched_at FROM lti_sync s JOIN lti_context c ON c.course_key = s.course_key WHERE c.context_id = '{course.id}'"
    )
    assert len(found) <= 1, "one course, one row"
    return found[0] if found else None


def wait_current(stage, course, timeout=10):
    wait_for(lambda: (standing(stage, course) or "-")[0] == "2", f"the roster of {course.label}", timeout)


def name(stage, course, path=None, rest="d-1"):
    return f"LTICourse campus {course.id} {stage.campus.issuer}{path or '/nrps/' + course.id} {rest}"


def open_course(stage, course, times=None):
    """Opens the tool as a student: what the first request of the application is told of the roster."""
    browser = Browser()
    form = browser.prepare(stage.campus, course.label, "zoe", "proxied")
    began = time.monotonic()
    answer = browser.submit(form)
    if times is not None:
        times.append(time.monotonic() - began)
    assert answer.status == 303, answer
    return browser


def together(stage, course, count):
    """Launches of one moment: how long each of them took."""
    browsers = [Browser() for _ in range(count)]
    forms = [browser.prepare(stage.campus, course.label, "zoe", "proxied") for browser in browsers]
    times, answers = [0.0] * count, [None] * count

    def post(number):
        began = time.monotonic()
        answers[number] = browsers[number].submit(forms[number])
        times[number] = time.monotonic() - began

    threads = [threading.Thread(target=post, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [303] * count
    return times


# --- courses named beforehand -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def named(make_shared_stage):
    stage = make_shared_stage()
    stage.bare = add_course(stage, "BARE", links=False)
    stage.first = add_course(stage, "FIRST")
    stage.moved = add_course(stage, "MOVED")
    lines = [name(stage, stage.bare), name(stage, stage.first), name(stage, stage.moved, "/nrps/nowhere")]
    stage.httpd.expect_log(r"LTI0301: .*roster-")
    stage.configure(pace="LTISyncInterval 1h", extra="\n".join(lines)).start()
    wait_for(lambda: len(stage.campus.requests("nrps")) == 3, "all three to be asked for")
    return stage


def test_a_named_course_has_its_roster_without_any_launch(named):
    """A course without assignment, quiz or link syncs like all others."""
    for course in (named.bare, named.first):
        wait_current(named, course)
        state, active, due_at, url, launched_at = standing(named, course)
        assert (active, launched_at) == ("2", "0")
        assert url == f"{named.campus.issuer}/nrps/{course.id}"
        assert len(walks(named, course)) == 1
        left = int(due_at) / 1e6 - time.time()
        assert 3000 < left < 4200, "named courses are asked each interval, not once a day"


def test_a_launch_joins_the_course_that_was_named(named):
    wait_current(named, named.first)
    browser = open_course(named, named.first)
    told = named.echo(browser)
    assert told["x-lti-roster-state"] == "current" and told["x-lti-member-status"] == "active", told
    assert standing(named, named.first)[4] != "0"
    assert told["x-lti-course-key"] == named.httpd.store.execute(f"SELECT course_key FROM lti_context WHERE context_id = '{named.first.id}'")[0][0]


def test_an_address_that_is_corrected_counts_at_the_next_start(named):
    """Until a launch tells one; processes that begin ask nobody else anew."""
    assert [entry.path for entry in named.campus.requests("nrps")].count("/nrps/nowhere") == 1
    open_course(named, named.first)
    before = {course.id: len(walks(named, course)) for course in (named.bare, named.first)}
    named.httpd.extra = named.httpd.extra.replace("/nrps/nowhere", f"/nrps/{named.moved.id}")
    named.httpd.extra = named.httpd.extra.replace(f"/nrps/{named.first.id}", "/nrps/astray")
    named.httpd.graceful()
    wait_current(named, named.moved)
    assert standing(named, named.first)[3] == f"{named.campus.issuer}/nrps/{named.first.id}", "a launch told it"
    time.sleep(0.5)
    assert {course.id: len(walks(named, course)) for course in (named.bare, named.first)} == before


COURSE = "LTICourse campus c-1 "
# what is written -> (what of the platform differs, what the message says)
FAULTS = {
    "LTICourse moodle c-1 {issuer}/nrps/1 d-1": ({}, r"a platform that is not configured"),
    COURSE + "{issuer}/nrps/1": ({}, r"write the deployment id behind the address"),
    COURSE + "{issuer}/nrps/2": ({"LTIDeployment": "d-1 d-2"}, r"write the deployment id behind the address"),
    COURSE + "{issuer}/nrps/1 d-9": ({"LTIDeployment": "d-1"}, r"add LTIDeployment d-9"),
    COURSE + "nrps/1 d-1": ({}, r"the address of its roster"),
    COURSE + "http://lms.example.edu/nrps/1 d-1": ({}, r"https"),
    COURSE + "https://elsewhere.example.edu/nrps/1 d-1": ({}, r"LTIServiceHosts elsewhere.example.edu"),
    "LTICourse campus c-1": ({}, r"takes a platform, the context id"),
    COURSE + "{issuer}/nrps/1 d-1 more": ({}, r"takes a platform, the context id"),
    "LTICourse campus '' {issuer}/nrps/1 d-1": ({}, r"1 to 255 bytes"),
    COURSE + "{issuer}/nrps/1 d-1\n# and again\n" + COURSE + "{issuer}/nrps/2 d-1": ({}, r"stands at .*too: remove one"),
    "LTISyncOnLaunch maybe": ({}, r"such as wait=2s"),
    "LTISyncOnLaunch wait=11s": ({}, r"at most 10s"),
    "LTISyncOnLaunch wait=soon": ({}, r"duration"),
    "LTISyncOnLaunch wait=0": ({}, r"at most 10s"),
}
FINE = {
    COURSE + "{issuer}/nrps/1": {"LTIDeployment": "d-1"},
    COURSE + "{issuer}/nrps/1 any-of-them": {"LTIDeployment": "ask"},
    COURSE + "https://elsewhere.example.edu/nrps/1 d-1\nLTIServiceHosts elsewhere.example.edu": {},
    "<VirtualHost 127.0.0.1:9>\nServerName http://x.localhost:9\n" + COURSE + "{issuer}/nrps/1 d-1\nLTISyncOnLaunch Off\n</VirtualHost>": {},
    "LTISyncOnLaunch wait=500ms": {},
    "LTISyncOnLaunch on": {},
}


@pytest.fixture(scope="module")
def unstarted(make_shared_stage):
    return make_shared_stage()


@pytest.mark.parametrize("lines", FAULTS)
def test_what_cannot_be_is_found_with_its_place_and_its_remedy(unstarted, lines):
    httpd, (changes, says) = unstarted.httpd, FAULTS[lines]
    httpd.platform, httpd.extra = httpd.platform_block(**changes), lines.format(issuer=unstarted.campus.issuer)
    code, output = httpd.configtest()
    assert code != 0 and re.search(says, output), output
    number = httpd.line_of(httpd.extra.splitlines()[-1])
    assert f"{httpd.conf}:{number}" in output or re.search(rf"line {number} of {re.escape(str(httpd.conf))}", output), output


@pytest.mark.parametrize("lines", FINE)
def test_what_can_be_is_fine(unstarted, lines):
    httpd = unstarted.httpd
    httpd.platform, httpd.extra = httpd.platform_block(**FINE[lines]), lines.format(issuer=unstarted.campus.issuer)
    code, output = httpd.configtest()
    assert code == 0, output


# --- launches -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def waiting(make_shared_stage):
    stage = make_shared_stage().configure(pace=WAIT)
    for label in ("SOON", "SLOW", "MANY", "FAILS", "CLASS", "GONE"):
        add_course(stage, label)
    return stage.start()


def test_the_very_first_request_knows_the_roster(waiting):
    times = []
    browser = open_course(waiting, waiting.campus.state.course("SOON"), times)
    told = waiting.echo(browser)
    assert told["x-lti-roster-state"] == "current" and told["x-lti-member-status"] == "active", told
    assert told["x-lti-roster-size"] == "2"
    assert times[0] < SPAN - 0.5, "not longer than it takes"
    open_course(waiting, waiting.campus.state.course("SOON"), times)
    assert times[1] < 0.5, "who has a roster does not wait"


def test_a_platform_that_hangs_costs_no_more_than_the_time(waiting):
    course, held, times = waiting.campus.state.course("SLOW"), threading.Event(), []
    waiting.campus.faults["nrps"] = {"wait": held, "times": 1}
    try:
        browser = open_course(waiting, course, times)
        assert SPAN - 0.1 < times[0] < SPAN + 1
        assert waiting.state(browser) == "pending"
    finally:
        held.set()
    wait_current(waiting, course)


def test_beyond_a_few_nobody_waits(waiting):
    if waiting.httpd.mpm == "prefork":
        pytest.skip("a process has one thread: its launch is the only one")
    course, held = waiting.campus.state.course("MANY"), threading.Event()
    waiting.campus.faults["nrps"] = {"wait": held, "times": 1}
    try:
        times = sorted(together(waiting, course, 16))
    finally:
        held.set()
    places = len(waiting.httpd.children()) * PLACES
    patient = [taken for taken in times if taken > SPAN - 0.3]
    assert 1 <= len(patient) <= places, times
    assert len(patient) < 16, "some did not wait"
    assert times[-1] < SPAN + 1.5, times
    wait_current(waiting, course)


def test_nobody_waits_for_a_client_that_has_gone(waiting):
    course, held, browser = waiting.campus.state.course("GONE"), threading.Event(), Browser()
    form = browser.prepare(waiting.campus, course.label, "zoe", "proxied")
    body = urllib.parse.urlencode(form.fields)
    head = (
        f"POST /lti/launch HTTP/1.1\r\nHost: localhost:{waiting.httpd.port}\r\nCookie: {browser.cookie_header(form.action)}\r\nOrigin: {form.origin}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    waiting.campus.faults["nrps"] = {"wait": held, "times": 1}
    done = len(re.findall("LTI0202", waiting.httpd.log_text()))
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", waiting.httpd.port)) as client:
            client.sendall((head + body).encode())
            wait_for(lambda: walks(waiting, course), "the run to begin", 2)
            assert len(re.findall("LTI0202", waiting.httpd.log_text())) == done
        wait_for(lambda: len(re.findall("LTI0202", waiting.httpd.log_text())) > done, "the launch to end", 2)
        assert time.monotonic() - began < SPAN - 0.5
    finally:
        held.set()
    wait_current(waiting, course)


def test_a_run_that_failed_is_not_waited_for(waiting):
    waiting.httpd.expect_log(r"LTI0301: .*HTTP 500")
    course, times = waiting.campus.state.course("FAILS"), []
    waiting.campus.faults["nrps"] = {"status": 500}
    try:
        open_course(waiting, course, times)
        open_course(waiting, course, times)
    finally:
        del waiting.campus.faults["nrps"]
    assert times[0] < SPAN - 0.5, "it ends with the run"
    assert times[1] < 0.5, "and the next launch does not wait at all"


def test_a_class_that_opens_the_tool_together_is_one_run(waiting):
    course = waiting.campus.state.course("CLASS")
    together(waiting, course, 30)
    wait_current(waiting, course)
    together(waiting, course, 10)
    time.sleep(0.7)
    assert len(walks(waiting, course)) == 1


def test_with_off_launches_start_nothing(make_stage):
    stage = make_stage().configure(pace="LTISyncInterval 1h\nLTISyncOnLaunch Off").start()
    course, times = add_course(stage, "OFF"), []
    browser = open_course(stage, course, times)
    assert times[0] < 0.5
    time.sleep(1.3)
    assert walks(stage, course) == [] and stage.state(browser) == "pending"
    left = int(standing(stage, course)[2]) / 1e6 - time.time()
    assert 3000 < left < 3700, "it is on the schedule all the same"


# --- another configuration -------------------------------------------------------------------------------------------------------------


def test_a_mended_configuration_is_tried_at_once(make_stage):
    """The next try is an hour away; whoever mends the reason and reloads does not wait for it. A reload that changes nothing of the platform makes nothing due."""
    stage = make_stage().configure(pace="LTISyncInterval 1h")
    right = stage.httpd.platform
    stage.httpd.platform = stage.httpd.platform_block(LTITokenEndpoint=stage.campus.token_url + "-wrong")
    stage.httpd.allow_log("LTI0301")
    stage.start()
    course = stage.campus.state.course("BIO1")
    ada = stage.launch("ada")
    wait_for(lambda: stage.sync_status(ada)["failures"] > 0, "the first failure")
    assert walks(stage, course) == []
    stage.httpd.store.execute("UPDATE lti_sync SET due_at = due_at + 3600000000")
    stage.httpd.graceful()
    time.sleep(1.5)
    assert stage.sync_status(ada)["failures"] == 1, "a reload alone is no reason to try"
    stage.httpd.platform = right
    stage.httpd.graceful()
    stage.wait_roster(ada, timeout=10)
    first = len(walks(stage, course))
    stage.httpd.platform = right.replace("</LTIPlatform>", "    LTISectionClaim sections\n    LTISectionsFromRoster on\n</LTIPlatform>")
    stage.httpd.graceful()
    wait_for(lambda: len(walks(stage, course)) > first, "the roster to be asked for what is wanted of it now", 10)
