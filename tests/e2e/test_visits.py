# SPDX-License-Identifier: Apache-2.0
"""What is remembered for the administrator: who launched, what the platform grants, how far its clock is off."""
import threading
import time

import pytest
from client import Browser
from httpd import wait_for
from stage import QUIET

TWO_SECONDS = 2.0
NRPS_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
CONTEXT = "https://purl.imsglobal.org/spec/lti/claim/context"


@pytest.fixture(scope="module")
def stage(make_shared_stage):
    stage = make_shared_stage().configure(pace=QUIET)
    stage.httpd.module_config += "\nLTIAnonymous allow"
    return stage.start()


def visits(stage):
    """(course key, user id) -> (first, last), in seconds."""
    rows = stage.httpd.store.execute("SELECT course_key, user_id, first_at, launched_at FROM lti_visit")
    return {row[:2]: (int(row[2]) / 1e6, int(row[3]) / 1e6) for row in rows}


def platform(stage, column):
    rows = stage.httpd.store.execute(f"SELECT {column} FROM lti_platform WHERE platform = 'campus'")
    return rows[0][0] if rows else None


def remembered(stage, key, login, since=0.0):
    place = key, stage.campus.state.person(login).id
    return wait_for(lambda: visits(stage).get(place, (0, 0))[1] >= since and visits(stage).get(place), f"the launch of {login}", TWO_SECONDS)


def key_of(stage, browser):
    return stage.echo(browser)["x-lti-course-key"]


def test_a_launch_is_remembered_within_two_seconds(stage):
    began = time.time()
    browser = stage.launch("ada")
    key = key_of(stage, browser)
    first, last = remembered(stage, key, "ada")
    assert began - 1 <= first == last <= time.time()
    assert int(platform(stage, "launched_at")) / 1e6 >= began - 1
    stage.launch("ada")
    time.sleep(1.5)
    assert remembered(stage, key, "ada") == (first, last), "to ten minutes"


def test_a_class_that_opens_the_tool_together_is_remembered_whole(stage):
    people = sorted(stage.enrolled("BIO1"))[:24]
    threads = [threading.Thread(target=stage.launch, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    key = key_of(stage, stage.launch(people[0]))
    wait_for(lambda: {place[1] for place in visits(stage) if place[0] == key} >= set(people), "everybody", TWO_SECONDS)


def test_launches_without_a_course_or_a_person_tell_of_the_platform_only(stage):
    before = set(visits(stage))
    for claim in (CONTEXT, "sub"):
        stage.httpd.store.execute("UPDATE lti_platform SET launched_at = 0")
        stage.campus.tamper_claims = lambda claims, claim=claim: {name: value for name, value in claims.items() if name != claim}
        try:
            browser = Browser()
            assert browser.launch(stage.campus, "BIO1", "ada").launch.status == 303
        finally:
            stage.campus.tamper_claims = None
        wait_for(lambda: int(platform(stage, "launched_at")) > 0, f"the launch without {claim}", TWO_SECONDS)
    assert set(visits(stage)) == before


def test_a_reload_in_between_loses_no_launch(stage):
    course = "HIS2"
    for login in sorted(stage.enrolled(course))[:3]:
        browser = stage.launch(login, course)
        key = key_of(stage, browser)
        stage.httpd.graceful()
        remembered(stage, key, login)


def test_scopes_and_the_platforms_clock_are_seen(stage):
    browser = stage.launch("ada")
    stage.wait_roster(browser)
    wait_for(lambda: platform(stage, "scopes") == NRPS_SCOPE and int(platform(stage, "clock_at")) > 0, "what its answers say", 5)
    assert abs(int(platform(stage, "clock_offset"))) < 2e6
    for offset in (90, -90, 0):
        stage.campus.clock = offset
        try:
            stage.sync_now(browser)
        finally:
            stage.campus.clock = 0
        wait_for(lambda: abs(int(platform(stage, "clock_offset")) - offset * 1e6) < 2e6, f"a clock that is off by {offset} s", 3)


def test_a_refused_token_is_remembered_until_one_is_given(stage):
    browser = stage.launch("ada")
    stage.wait_roster(browser)
    stage.httpd.expect_log("LTI0301.*token-refused")
    stage.httpd.store.execute("DELETE FROM lti_token")
    stage.campus.faults["token"] = {"status": 400, "body": b'{"error": "invalid_client", "error_description": "who is that?"}'}
    try:
        stage.httpd.restart()  # a process keeps its token
        stage.sync_now(browser)
        wait_for(lambda: platform(stage, "error_name") == "token-refused", "the refusal", 3)
        assert "who is that?" in platform(stage, "error_text")
    finally:
        stage.campus.faults.clear()
    stage.sync_now(browser)
    wait_for(lambda: platform(stage, "error_at") == "0", "the end of it", 3)
    assert int(platform(stage, "token_at")) > 0
