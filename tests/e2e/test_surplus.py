# SPDX-License-Identifier: Apache-2.0
"""What a launch says beyond 1 KiB of cookie: it stays with the session, in the database and in a copy in shared memory."""
import time

import pytest
from client import Browser

CUSTOM = "https://purl.imsglobal.org/spec/lti/claim/custom"
# Three KiB in all, with what a header or an environment could spoil: blanks, quotes, a percent sign, UTF-8.
LONG = {
    "plan": "Plan " + "0123456789" * 99,
    "rubric": 'Größe 100 % = "voll"; ' + "ß" * 490,
    "notes": "-._~!$&'()*+,;=:@/? " + "abcdefghijklmnopqrstuvwxyz" * 42,
}
REQUESTS = 12  # enough to meet every child


def talkative(stage):
    """The campus tells much from now on."""
    assert sum(len(value.encode()) for value in LONG.values()) >= 3 * 1024

    def tell(claims):
        return claims | {CUSTOM: claims[CUSTOM] | LONG}

    stage.campus.tamper_claims = tell
    return stage


def customs_in_headers(stage, browser):
    told = stage.echo(browser)
    return {name: told.get(f"x-lti-custom-{name}") for name in LONG}


def customs_in_environment(stage, browser):
    told = stage.environment(browser)
    return {name: told.get(f"LTI_CUSTOM_{name.upper()}") for name in LONG}


def assert_whole(stage, browser, times=1):
    for _ in range(times):
        assert customs_in_headers(stage, browser) == LONG
        assert customs_in_environment(stage, browser) == LONG


def session_cookie(browser):
    ((name, value),) = browser.named("lti_").items()
    return f"{name}={value}"


def launches(stage):
    """The rows of the launch table."""
    return stage.httpd.store.execute("SELECT * FROM lti_launch")


def forget_launches(stage):
    """The database loses them; returns them."""
    rows = launches(stage)
    stage.httpd.store.execute("DELETE FROM lti_launch")
    assert rows and launches(stage) == []
    return rows


def remember_launches(stage, rows):
    for row in rows:
        stage.httpd.store.execute("INSERT INTO lti_launch VALUES (" + ", ".join(f"'{value}'" for value in row) + ")")


def test_a_long_launch_arrives_whole_and_its_cookie_stays_small(still):
    browser = talkative(still).launch("zoe")
    assert_whole(still, browser, 3)
    assert still.echo(browser)["x-lti-name"] == "Zoë Müller"
    assert len(session_cookie(browser)) <= 1024
    assert len(launches(still)) == 1


def test_two_long_launches_do_not_mix(still):
    talkative(still)
    zoe, ada = still.launch("zoe"), still.launch("ada")
    for browser, login in ((zoe, "zoe"), (ada, "ada")) * 3:
        assert_whole(still, browser)
        assert still.echo(browser)["x-lti-custom-login"] == login


def test_requests_read_memory_when_the_database_knows_nothing(still):
    """From the first request on: the launch itself leaves the copy. Any request for the database would leave LTI0102 in the log, which fails the test."""
    browser = Browser()
    assert browser.submit(browser.prepare(talkative(still).campus, "BIO1", "zoe")).status == 303
    forget_launches(still)  # before the browser follows the launch into the application
    assert_whole(still, browser, REQUESTS)


@pytest.mark.parametrize("how", ["restart", "graceful"])
def test_after_a_restart_they_come_from_the_database_once(still, how):
    browser = talkative(still).launch("zoe")
    getattr(still.httpd, how)()
    assert_whole(still, browser)
    forget_launches(still)  # what was read is in memory now, for all children
    assert_whole(still, browser, REQUESTS)


def test_a_launch_beyond_a_slot_is_served_from_the_database(still):
    """What no slot holds is not cut and not lost."""
    much = {f"part{number}": str(number) * 2000 for number in range(4)}
    still.campus.tamper_claims = lambda claims: claims | {CUSTOM: much}
    browser = still.launch("zoe")
    for _ in range(3):
        told = still.environment(browser)
        assert {name: told.get(f"LTI_CUSTOM_{name.upper()}") for name in much} == much
    assert len(session_cookie(browser)) <= 1024
    still.httpd.expect_log(r"LTI0102: .*not in the launch table")
    forget_launches(still)
    assert "LTI_CUSTOM_PART0" not in still.environment(browser)


def test_a_session_whose_details_are_missing_is_not_sealed_without_them(make_stage):
    stage = make_stage()
    stage.httpd.expect_log(r"LTI0102: .*not in the launch table")
    stage.configure(pace="LTISync Off\nLTISessionIdle 24s").start()  # a session is sealed anew after an eighth of that
    browser = talkative(stage).launch("zoe")
    rows = forget_launches(stage)
    stage.httpd.restart()
    time.sleep(3.1)
    before = session_cookie(browser)
    answer = browser.get(stage.url("/app/echo"))
    assert answer.status == 200 and "X-LTI-Custom-plan".lower() not in {name.lower() for name, _ in answer.json()["headers"]}
    assert answer.set_cookies == [], "sealed without its details"
    remember_launches(stage, rows)
    assert_whole(stage, browser)
    assert session_cookie(browser) != before, "it was not due, so nothing is proved"
    # What was sealed anew still knows that there is more.
    assert_whole(stage, browser)
    fresh = Browser()
    fresh.cookies = dict(browser.cookies)
    assert_whole(stage, fresh)
