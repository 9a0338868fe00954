# SPDX-License-Identifier: Apache-2.0
"""The schedule of rosters (Invariant 4, SPEC 5.4, 6.6): a slow platform delays no other, a platform's rate is kept, its wish for patience is obeyed for all of its courses
and on all nodes, and one access token serves all nodes."""
import shutil
import threading
import time

import pytest
from client import Browser
from httpd import free_port, wait_for

from campus import Campus

COURSES = 12


def add_courses(campus, count=COURSES):
    for number in range(count):
        course = campus.state.add_course(f"PACE{number}", f"Course {number}")
        for login in ("zoe", "ada"):
            campus.state.enrol(course, campus.state.person(login), "instructor" if login == "ada" else "learner")


def make_due(store, where="1 = 1"):
    store.execute(f"UPDATE lti_sync SET due_at = 1 WHERE {where}")


def rows(store, columns, where="1 = 1"):
    return store.execute(f"SELECT {columns} FROM lti_sync s JOIN lti_context c ON c.course_key = s.course_key WHERE {where} ORDER BY c.context_id")


@pytest.fixture(scope="module")
def two(make_shared_stage):
    """One httpd, two platforms of a campus each; the first has many courses, and answers when it pleases."""
    stage = make_shared_stage()
    second = Campus(tool_base=f"http://localhost:{stage.httpd.port}", port=free_port(), name="localhost")
    slow, stage.slow = stage.campus, stage.campus
    add_courses(slow)
    second.tool.client_id = "second-tool"
    blocks = [stage.httpd.platform_block("slow", LTISyncRate="off")]
    stage.httpd.campus = second
    blocks.append(stage.httpd.platform_block("fast"))
    stage.httpd.campus = slow
    stage.fast = second
    second.start()
    stage.configure(pace="LTISyncInterval 1h\nLTISyncConcurrency 4", platform="\n".join(blocks))
    stage.start()
    for number in range(COURSES):
        Browser().launch(slow, f"PACE{number}", "zoe", "proxied")
    Browser().launch(second, "BIO1", "zoe", "proxied")
    wait_for(lambda: {row[0] for row in rows(stage.httpd.store, "s.state")} == {"2"}, "all rosters", 30)
    yield stage
    second.stop()


def state_of(stage, platform):
    return rows(stage.httpd.store, "s.succeeded_at, s.error_name, s.failures, s.due_at", f"c.platform = '{platform}'")


def test_a_platform_that_hangs_delays_no_other(two):
    before = state_of(two, "fast")[0][0]
    held = threading.Event()
    asked = len(two.slow.requests("nrps"))
    two.slow.faults["nrps"] = {"wait": held}
    try:
        make_due(two.httpd.store, "course_key IN (SELECT course_key FROM lti_context WHERE platform = 'slow')")
        wait_for(lambda: len(two.slow.requests("nrps")) - asked == 2, "half of the places to be taken", 10)
        make_due(two.httpd.store, "course_key IN (SELECT course_key FROM lti_context WHERE platform = 'fast')")
        began = time.monotonic()
        wait_for(lambda: state_of(two, "fast")[0][0] != before, "the roster of the other platform", 5)
        assert time.monotonic() - began < 3
        assert len(two.slow.requests("nrps")) - asked == 2
    finally:
        del two.slow.faults["nrps"]
        held.set()
    wait_for(lambda: len(two.slow.requests("nrps")) - asked >= COURSES, "the others, when it works again", 15)
    wait_for(lambda: all(int(row[3]) > 1 for row in state_of(two, "slow")), "all to be done", 10)


def test_a_429_on_one_course_pauses_its_platform_and_nothing_else(two):
    store = two.httpd.store
    fast = state_of(two, "fast")[0][0]
    asked = len(two.slow.requests("nrps"))
    two.httpd.expect_log(r"LTI0301: .*roster-busy: HTTP 429")
    two.httpd.expect_log(r"LTI0530: platform slow is not asked for \d+ s: HTTP 429")
    two.slow.faults["nrps"] = {"status": 429, "headers": [("Retry-After", "60")], "times": 1}
    first = store.execute("SELECT MIN(course_key) FROM lti_context WHERE platform = 'slow'")[0][0]
    make_due(store, f"course_key = '{first}'")
    wait_for(lambda: store.execute("SELECT platform, error_name FROM lti_pace") == [("slow", "rate-limited")], "the pause", 10)
    make_due(store, f"course_key <> '{first}'")
    wait_for(lambda: state_of(two, "fast")[0][0] != fast, "the other platform's roster meanwhile", 5)
    wait_for(lambda: [row[1] for row in state_of(two, "slow")].count("rate-limited") == COURSES - 1, "all others to be put off", 3)
    assert len(two.slow.requests("nrps")) == asked + 1
    told = state_of(two, "slow")
    assert sorted(int(row[2]) for row in told) == [0] * (COURSES - 1) + [1], "being put off is no failure"
    assert len({int(row[3]) // 100000 for row in told}) > COURSES // 2, "they do not come back all at once"
    time.sleep(1.2)
    assert len(two.slow.requests("nrps")) == asked + 1
    two.httpd.set_clock(150)
    two.slow.clock = two.fast.clock = 150
    wait_for(lambda: all(row[2] == "0" and row[1] in ("", "None", "NULL") for row in state_of(two, "slow")), "all rosters after the pause", 15)
    two.httpd.set_clock(0)


def test_the_rate_of_a_platform_is_kept(make_stage):
    stage = make_stage()
    add_courses(stage.campus)
    stage.configure(pace="LTISyncInterval 1h", platform=stage.httpd.platform_block(LTISyncRate="3/s")).start()
    for number in range(COURSES):
        stage.launch("zoe", f"PACE{number}")
    wait_for(lambda: {row[0] for row in rows(stage.httpd.store, "s.state")} == {"2"}, "all rosters", 20)
    sent = sorted(entry.at for endpoint in ("token", "nrps") for entry in stage.campus.requests(endpoint))
    assert len(sent) == COURSES + 1
    for place, moment in enumerate(sent):
        within = [other for other in sent[place:] if other < moment + 1]
        assert len(within) <= 3 + 3 + 1, "three at once, and three a second"
    assert sent[-1] - sent[0] > (len(sent) - 3) / 3 - 0.5


def test_two_nodes_ask_for_one_token(make_stage):
    first, second = make_stage(), make_stage()
    add_courses(first.campus, 6)
    for stage in (first, second):
        stage.configure(pace="LTISyncInterval 1h", platform=first.httpd.platform_block(), database=first.httpd.database)
    first.campus.faults["token"] = {"slow": 1.2, "times": 1}
    first.start()
    shutil.copy(first.httpd.root / "state/secret", second.httpd.root / "state/secret")
    shutil.copy(first.httpd.root / "state/tool-key.pem", second.httpd.root / "state/tool-key.pem")
    second.start()
    for number in range(6):
        first.launch("zoe", f"PACE{number}")
    store = first.httpd.store
    wait_for(lambda: {row[0] for row in rows(store, "s.state")} == {"2"}, "all rosters", 20)
    assert len(first.campus.requests("token")) == 1
    token = next(iter(first.campus.tokens))
    assert [row[0] for row in store.execute("SELECT COUNT(*) FROM lti_token WHERE sealed IS NOT NULL")] == ["1"]
    assert token not in store.execute("SELECT sealed FROM lti_token")[0][0]
    # A process that knows of nothing finds it.
    second.httpd.stop()
    first.httpd.restart()
    asked = len(first.campus.requests("nrps"))
    make_due(store)
    wait_for(lambda: len(first.campus.requests("nrps")) >= asked + 6, "the runs of a new process", 20)
    assert len(first.campus.requests("token")) == 1
    # One that the platform refuses is asked for anew, once.
    first.campus.tokens.clear()
    make_due(store)
    wait_for(lambda: len(first.campus.requests("token")) == 2, "a new one", 20)
    wait_for(lambda: all(int(row[0]) > 1 for row in rows(store, "s.due_at")), "runs with it", 20)
    assert len(first.campus.requests("token")) == 2
    for stage in (first, second):
        assert token not in stage.httpd.log_text()
