# SPDX-License-Identifier: Apache-2.0
"""The logs: at debug level one name leads from login through launch to the application; nothing secret and of a person no more than an id stands in any line; what goes on and on is said
loudly once, and its end is said too (Invariant 4); the variables serve LogFormat."""
import re
import time

import pytest
from client import Browser
from httpd import wait_for

HOUR = 3600
ACCESS = 'LogFormat "%>s %{LTI_PLATFORM}e %{LTI_COURSE_KEY}e %{LTI_USER_ID}e %{LTI_ROLE}e %{LTI_LAUNCH_ID}e %{LTI_ERROR}e" lti\nCustomLog logs/lti.log lti'


def lines_with(stage, text, since=0):
    return [line for line in stage.httpd.log_lines()[since:] if text in line]


def tags(lines):
    return [found[0] for line in lines if (found := re.search(r"LTI\d{4}", line))]


# --- the story of a launch -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(make_shared_stage):
    """A stage that logs all that there is."""
    stage = make_shared_stage()
    stage.configure(pace="LTISyncInterval 1h", log_level="warn lti_sync:trace8", extra=ACCESS)
    return stage.start()


def test_one_name_leads_from_login_to_application(told):
    browser = told.launch("zoe")
    key, name = told.echo(browser)["x-lti-course-key"], told.echo(browser)["x-lti-launch-id"]
    assert re.fullmatch("[a-z2-7]{13}", name)
    wait_for(lambda: len(lines_with(told, name)) >= 7, "the lines of the launch")
    lines = lines_with(told, name)
    wanted = ["LTI0760", "LTI0761", "LTI0762", "LTI0763", "LTI0764", "LTI0202", "LTI0765"]
    assert [tag for tag in dict.fromkeys(tags(lines)) if tag in wanted] == wanted, "in this order, each step once"
    story = "\n".join(lines)
    person = told.campus.state.person("zoe").id
    assert all("campus" in line for line in lines), "each names the platform"
    assert "d-1" in story and key in story and person in story and "learner" in story
    assert re.search(rf"LTI0765: launch {name}: GET /app/\S* by {person}, learner by the launch, course {key} \(campus, roster \w+\)", story)
    # and on to the run that it started, by the course
    assert told.httpd.wait_log(rf"LTI0303: the roster of course {key} \(campus\)")


def test_a_refused_launch_is_found_by_the_number_on_its_page(told):
    browser = Browser()
    form = browser.prepare(told.campus, "BIO1", "zoe")
    head, _, signature = form.fields["id_token"].rpartition(".")
    form.fields["id_token"] = head + "." + ("A" if signature[0] != "A" else "B") + signature[1:]
    refused = browser.submit(form)
    assert refused.error == "signature", refused
    number = re.search(r"request <code>([a-z2-7]{13})</code>", refused.text)[1]
    assert tags(lines_with(told, number)) == ["LTI0760", "LTI0761", "LTI0201"]


def test_what_ends_a_session_is_told_with_its_launch(told):
    browser = told.launch("alan")
    name = told.echo(browser)["x-lti-launch-id"]
    told.httpd.set_clock(9 * HOUR)
    told.httpd.allow_log("LTI0769|LTI0770")
    try:
        assert told.status(browser) == (401, "session-expired")
    finally:
        told.httpd.set_clock(0)
    assert any("LTI0766" in line and "session-expired" in line for line in lines_with(told, name))


def test_variables_in_an_access_log(told):
    browser = told.launch("ada")
    seen = told.echo(browser)
    person = told.campus.state.person("ada").id
    wanted = f"200 campus {seen['x-lti-course-key']} {person} instructor {seen['x-lti-launch-id']} -"
    log = told.httpd.root / "logs/lti.log"
    wait_for(lambda: wanted in log.read_text().splitlines(), f"the line {wanted}")
    Browser().get(told.url("/app/echo"))
    wait_for(lambda: "401 - - - - - session-none" in log.read_text().splitlines(), "the refusal's code")


def test_nothing_secret_and_nobodys_name(told):
    """All that was logged at the highest level, by all tests of this file and some more ways of failing."""
    campus = told.campus
    browser = Browser()
    steps = browser.launch(campus, "BIO1", "ada")
    for _ in range(2):
        browser.get(told.url("/app/echo"))
    told.wait_roster(browser)
    campus.tamper_claims = lambda claims: dict(claims, exp=1)
    try:
        late = Browser()
        late.launch(campus, "BIO1", "siobhan", check=False)
    finally:
        campus.tamper_claims = None
    campus.tokens.clear()
    campus.nrps_granted = False
    told.httpd.allow_log("LTI0301.*scope-refused")
    try:
        told.sync_now(browser)
    finally:
        campus.nrps_granted = True
    told.sync_now(browser)
    again = browser.submit(steps.form)  # the nonce is spent
    assert again.status != 303, again
    secrets = {steps.form.fields["state"], steps.form.fields["id_token"], *steps.form.fields["id_token"].split("."), *campus.tokens}
    secrets |= {value[0] for visitor in (browser, late) for value in visitor.cookies.values()}
    text = told.httpd.log_text()
    assert len(campus.tokens) >= 1 and "LTI0765" in text and "LTI0303" in text
    for secret in secrets:
        assert not secret or len(secret) < 8 or secret not in text, secret[:12]
    for nonce in campus.nonces:
        assert str(nonce) not in text
    for person in campus.state.people.values():
        for word in (person.email, person.name, person.sourcedid, f"{person.given} {person.family}"):
            assert not word or word not in text, word
    assert "eyJ" not in text, "the beginning of any token"


# --- said once ------------------------------------------------------------------------------------------------------------------------


def outcomes(stage):
    return sum(bool(re.search("LTI030[123]", line)) for line in stage.httpd.log_lines())


def run_again(stage, times=1):
    """Makes the course due and waits for what becomes of it."""
    for _ in range(times):
        before = outcomes(stage)
        stage.httpd.store.execute("UPDATE lti_sync SET due_at = 1")
        wait_for(lambda: outcomes(stage) > before, "the run")


def levels(stage, tag, since=0):
    return [re.search(r"\[lti_sync:(\w+)\]", line)[1] for line in lines_with(stage, tag, since)]


def test_failing_held_stale_and_recovered_are_said_once(make_stage):
    stage = make_stage().configure(pace="LTISyncInterval 1h").start()
    campus, httpd = stage.campus, stage.httpd
    browser = stage.launch("ada")
    key = stage.wait_roster(browser)
    httpd.expect_log(rf"LTI0301.*{key}.*(http-status|roster-forbidden)")
    httpd.expect_log(rf"LTI0302.*{key}")
    httpd.expect_log(rf"LTI0769.*{key}")
    since = len(httpd.log_lines())

    # failing: loudly once, and again when the reason changes
    campus.faults["nrps"] = {"status": 500}
    run_again(stage, 2)
    assert levels(stage, "LTI0301", since) == ["warn", "info"]
    campus.faults["nrps"] = {"status": 403}
    run_again(stage, 2)
    assert levels(stage, "LTI0301", since) == ["warn", "info", "warn", "info"]

    # stale: once, whatever runs do
    campus.clock = 4 * HOUR
    httpd.set_clock(campus.clock)
    httpd.wait_log(rf"LTI0769: the roster of course {key} \(campus, context \S+\) is stale: the last good run began 1\d{{4}} s ago, \d+ failed since: roster-forbidden", since=since)
    run_again(stage)
    httpd.set_clock(4 * HOUR + 300)

    # recovered: once, at notice
    campus.faults.clear()
    run_again(stage, 2)
    assert levels(stage, "LTI0769", since) == ["warn"]
    assert levels(stage, "LTI0767", since) == ["notice"]
    assert "it was stale" in lines_with(stage, "LTI0767", since)[0] and "roster-forbidden" in lines_with(stage, "LTI0767", since)[0]
    assert set(levels(stage, "LTI0303", since)) == {"info"}, "what goes well is no more than info"

    # held: loudly once; its end at notice
    since = len(httpd.log_lines())
    people = [person for person, _ in campus.state.roster("BIO1") if person.login != "ada"]
    kept = {person.id: campus.state.course("BIO1").enrolments[person.id] for person in people[:9]}
    for person in people[:9]:
        campus.state.drop("BIO1", person)
    run_again(stage, 2)
    assert levels(stage, "LTI0302", since) == ["warn", "info"]
    campus.state.course("BIO1").enrolments.update(kept)
    run_again(stage, 2)
    assert levels(stage, "LTI0768", since) == ["notice"]
    assert levels(stage, "LTI0767", since) == []


def test_what_was_stale_at_the_start_is_counted(make_stage):
    stage = make_stage().configure(pace="LTISyncInterval 1h").start()
    httpd = stage.httpd
    key = stage.wait_roster(stage.launch("ada"))
    httpd.stop()
    stage.configure(module_config=httpd.module_config + "\nLTISync Off")
    httpd.expect_log("LTI0770: 1 courses that are not named here have stale rosters")
    httpd.set_clock(8 * HOUR)
    httpd.start()
    later = (time.time() + 7 * HOUR) * 1000000
    wait_for(lambda: httpd.store.execute(f"SELECT node FROM lti_node WHERE seen_at > {later:.0f}"), "the engine to begin")
    assert not lines_with(stage, "LTI0770")
    httpd.set_clock(8 * HOUR + 70)
    httpd.wait_log("LTI0770")
    assert not lines_with(stage, "LTI0769") and key
