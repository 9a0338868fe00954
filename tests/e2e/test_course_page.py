# SPDX-License-Identifier: Apache-2.0
"""Issue 5, point 2: the page of a course for administrators: what is the matter, do the numbers match, who is in it, what did the runs do; update now, accept, end sessions; all of it
without scripts, and better with them. With LTI_SCREENSHOTS=DIR, pictures."""
import re
import urllib.parse

import pytest
from campus_protocol import Answer
from client import Browser
from httpd import wait_for
from page_facts import HTML, Facts, complaints, dark, fits, look, phone, press, rest, start_big, update_slowly
from stage import QUIET

browsing = pytest.importorskip("test_browser")
from selenium.webdriver.common.by import By  # noqa: E402
from test_browser import chromium, find, picture  # noqa: E402,F401

ADMIN = """<Location "/lti/status">
    LTIAdmin On
    Require local
</Location>
"""


def status_url(stage, **query):
    return stage.url("/lti/status") + ("?" + urllib.parse.urlencode(query) if query else "")


def course_json(stage, key, **query):
    answer = Browser().get(status_url(stage, course=key, format="json", **query))
    assert answer.status == 200 and answer.header("Content-Type") == "application/json", answer
    return answer.json()


def course_page(stage, key, **query):
    return look(Browser(), status_url(stage, course=key, **query))


def people_of(facts):
    """Those who left stand below a fold."""
    return {row[0]: row for name in ("people", "left") if name in facts.tables for row in facts.rows(name)}


@pytest.fixture(scope="module")
def office(make_shared_stage):
    stage = make_shared_stage().configure(pace=QUIET, extra=ADMIN).start()
    stage.ada = stage.launch("ada")
    stage.zoe = stage.launch("zoe")
    stage.key = stage.wait_roster(stage.ada)
    return stage


# --- what stands there ---------------------------------------------------------------------------------------------------------------


def test_course_as_json(office):
    told = course_json(office, office.key)
    assert (told["course"], told["platform"], told["title"], told["state"]) == (office.key, "campus", "Biology I: Cells & Tissues", "current")
    assert told["active"] == told["listed"] == 14 and told["held"] is None
    assert told["diagnosis"]["state"] == "well" and told["diagnosis"]["severity"] == 0
    people = {person["user_id"]: person for person in told["people"]["rows"]}
    assert set(people) == office.enrolled() and told["people"]["next"] is None
    ada = people[office.campus.state.person("ada").id]
    assert (ada["name"], ada["role"], ada["status"]) == ("Ada Lovelace", "instructor", "active")
    assert told["runs"] and told["runs"][-1]["joined"] == 14 and told["runs"][0]["error"] is None
    assert len(told["events"]) == 14 and {event["event"] for event in told["events"]} == {"joined"}


def test_course_as_a_page(office):
    facts = course_page(office, office.key)
    assert facts.text("h1") == "Biology I: Cells & Tissues"
    assert facts.text("here") == facts.text("there") == "14" and "The numbers match" in facts.text("numbers")
    assert "learner 12" in facts.text("numbers") and "instructor 1" in facts.text("numbers")
    people = people_of(facts)
    assert len(people) == 14
    row = next(row for name, row in people.items() if "<b>Bobby</b>" in name)
    assert row[1:3] == ["learner", "active"]
    assert facts.refresh is None and "update" in facts.texts
    # What is wrong stands first.
    order = [values["id"] for _, values in facts.tags if values.get("id") in ("diagnosis", "update", "numbers", "people", "runs", "changes", "sessions")]
    assert order == ["diagnosis", "update", "numbers", "people", "runs", "changes", "sessions"]


def test_page_needs_nothing_from_elsewhere(office):
    answer = Browser().get(status_url(office, course=office.key), [HTML])
    policy = answer.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)[1]
    for tag, values in Facts(answer).tags:
        assert tag not in ("img", "iframe", "object", "b"), tag
        assert not any(name.startswith("on") or name == "style" for name in values), values
        if tag in ("script", "style"):
            assert values.get("nonce") == nonce and "src" not in values


def test_who_launched_is_told(office):
    """A launch is remembered by the watch thread, a moment later."""

    def launched():
        rows = {person["name"]: person["launched_at"] for person in course_json(office, office.key)["people"]["rows"]}
        return rows["Ada Lovelace"] and rows["Zoë Müller"] and not rows["Alan Turing"]

    wait_for(launched, "the launches of Ada and Zoë", 10, 0.3)
    told = course_json(office, office.key)
    assert told["visitors"] == told["visitors_recent"] == 2
    people = people_of(course_page(office, office.key))
    assert [row[4] for name, row in people.items() if "Alan Turing" in name] == ["never"]
    assert [row[4] for name, row in people.items() if "Ada Lovelace" in name] != ["never"]


def test_unknown_course_is_404(office):
    for key in ("aaaaaaaaaaaaaaaa", "x", "a" * 300, "%22><script>"):
        answer = Browser().get(status_url(office, course=key), [HTML])
        assert (answer.status, answer.error) == (404, "course-unknown"), answer
        assert Browser().get(status_url(office, course=key, format="json")).status == 404
    assert Browser().get(status_url(office, course=office.key), [("Host", "evil.example")]).status == 421


def test_looking_at_people_leaves_a_line(office):
    def looks():
        return [line for line in office.httpd.log_lines() if office.key in line and "people" in line and "from=127.0.0.1" in line]

    before = len(looks())
    course_page(office, office.key)
    assert len(looks()) == before + 1
    course_json(office, office.key)
    assert len(looks()) == before + 2
    assert not any("Zo%C3%AB" in line or "Lovelace" in line for line in looks())


# --- update now ----------------------------------------------------------------------------------------------------------------------


def test_update_now_without_scripts(office):
    state = office.campus.state
    state.enrol("BIO1", "rosa", "learner")
    state.drop("BIO1", "alan")
    office.campus.faults["nrps"] = {"slow": 0.4}
    try:
        pressed = press(Browser(), course_page(office, office.key), "sync")
        assert pressed.status == 303, pressed
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(pressed.location).query)
        assert query["course"] == [office.key] and query["since"][0].isdigit()
        seen, facts = rest(Browser(), look(Browser(), pressed.location))
    finally:
        office.campus.faults.clear()
        state.drop("BIO1", "rosa")
        state.enrol("BIO1", "alan", "learner")
    assert len(seen) > 1 and "1 person joined, 1 left" in seen[-1] and "14 people are on the platform's list" in seen[-1], seen
    people = people_of(facts)
    assert any("Rosa Parks" in name for name in people) and "1 more who left" in facts.text("left")
    assert [row[2] for name, row in people.items() if "Alan Turing" in name] == ["left"]
    told = course_json(office, office.key, since=query["since"][0])
    assert (told["request"]["state"], told["request"]["joined"], told["request"]["left"]) == ("applied", 1, 1)
    assert "1 joined, 1 left" in facts.text("runs") and "left" in facts.text("changes")
    office.sync_now(office.ada)


def test_failed_run_is_told_with_advice(office):
    office.httpd.expect_log(r"LTI0301: .*http-status")
    office.campus.faults["nrps"] = {"status": 500}
    try:
        pressed = press(Browser(), course_page(office, office.key), "sync")
        seen, facts = rest(Browser(), look(Browser(), pressed.location))
    finally:
        office.campus.faults.clear()
    told = course_json(office, office.key)
    run = told["runs"][0]
    assert run["error"] and run["advice"], run
    assert "did not work" in seen[-1] and run["error"] in seen[-1]
    assert run["error"] in facts.text("runs") and run["advice"] in facts.text("runs")
    assert told["diagnosis"]["severity"] >= 1 and told["diagnosis"]["sentence"] in facts.text("diagnosis")
    assert len([person for person in told["people"]["rows"] if person["status"] == "active"]) == 14
    office.sync_now(office.ada)
    assert course_json(office, office.key)["diagnosis"]["state"] == "well"


def test_secrets_that_a_platform_repeats_go_nowhere(office):
    """Proxies show what they refuse, with all its headers; and so do token end points with the form."""

    def repeat(handler, answer):
        return Answer(401, f"refused: {office.campus.log[-1].body.decode()} {handler.headers}".encode(), "text/plain")

    office.httpd.expect_log(r"LTI0301: ")
    told = []
    for endpoint in ("nrps", "token"):
        office.campus.faults[endpoint] = {"act": repeat}
        try:
            office.sync_now(office.ada)
            if endpoint == "nrps":
                secrets = list(office.campus.tokens)
                office.campus.tokens.clear()
        finally:
            if endpoint == "token":
                office.campus.faults.clear()
        told.append(course_json(office, office.key)["error_text"])
    secrets += [urllib.parse.parse_qs(asked.body.decode())["client_assertion"][0][:40] for asked in office.campus.requests("token")]
    assert "Bearer ***" in told[0] and "client_assertion=***" in told[1], told
    seen = office.httpd.log_text() + "".join(Browser().get(status_url(office, **query)).text for query in ({}, {"course": office.key}, {"doctor": "campus"}))
    assert not [secret for secret in secrets if secret in seen]
    office.sync_now(office.ada)
    assert course_json(office, office.key)["diagnosis"]["state"] == "well"


def test_old_or_foreign_times_in_the_address_are_nobodys_update(office):
    for since in ("0", "1", "9" * 30, "-5", "abc", ""):
        facts = course_page(office, office.key, since=since)
        assert facts.text("progress") == "" and facts.refresh is None


# --- held ---------------------------------------------------------------------------------------------------------------------------------


def leave(stage, course="BIO1", stay=("ada", "grace", "zoe")):
    """All others are gone from the campus; returns how to bring them back."""
    state = stage.campus.state
    kept = dict(state.course(course).enrolments)
    for person, _ in state.roster(course):
        if person.login not in stay:
            state.drop(course, person)
    return kept


def test_held_removal_is_shown_by_name_and_accepted(office):
    office.httpd.expect_log(r"LTI0302: 11 people are missing")
    kept = leave(office)
    gone = {office.campus.state.people[key].name for key in kept} - {"Ada Lovelace", "Grace Hopper", "Zoë Müller"}
    try:
        office.sync_now(office.ada)
        told = course_json(office, office.key)
        assert told["state"] == "held" and told["held"]["missing"] == 11 and not told["held"]["accepted"]
        assert {person["name"] for person in told["held_people"]} == gone
        facts = course_page(office, office.key)
        assert "11 people would be removed" in facts.text("held") and all(re.sub(r"\s+", " ", name) in facts.text("held-people") for name in gone)
        assert facts.text("here") == "14" and facts.text("there") == "3" and "More here" in facts.text("numbers")
        seen, facts = rest(Browser(), look(Browser(), press(Browser(), facts, "accept").location))
        assert "11 people left" in seen[-1] and course_json(office, office.key)["active"] == 3, seen
        assert "held" not in facts.texts and "The numbers match" in facts.text("numbers")
    finally:
        office.campus.state.course("BIO1").enrolments.update(kept)
    office.sync_now(office.ada)
    assert course_json(office, office.key)["active"] == 14


# --- sessions -------------------------------------------------------------------------------------------------------------------------------


def out(stage, browser):
    return wait_for(lambda: stage.status(browser) == (401, "session-ended"), "the session to be over", 5, 0.1)


def test_sessions_end_after_a_question(office):
    zoe, sam = office.launch("zoe"), office.launch("sam")
    facts = course_page(office, office.key)
    # One person first.
    link = next(address for address in facts.links.values() if "confirm=end-sessions" in address and urllib.parse.quote(office.campus.state.person("zoe").id) in address)
    question = look(Browser(), link)
    assert "Zoë Müller" in question.text("question") and office.status(zoe)[0] == 200
    assert press(Browser(), question, "end-sessions").status == 303
    out(office, zoe)
    assert office.status(sam)[0] == 200
    # Then all of the course.
    link = next(address for address in facts.links.values() if address.endswith("confirm=end-sessions"))
    question = look(Browser(), link)
    assert "Everybody" in question.text("question")
    pressed = press(Browser(), question, "end-sessions")
    assert pressed.status == 303 and look(Browser(), pressed.location).text("h1")
    out(office, sam)
    office.ada = office.launch("ada")
    assert office.status(office.ada)[0] == 200


# --- many people, odd names ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big_office(make_shared_stage):
    return start_big(make_shared_stage().configure(pace=QUIET, extra=ADMIN))


def test_a_thousand_people_come_page_by_page(big_office):
    facts, people, pages = course_page(big_office, big_office.key), [], 0
    while facts is not None:
        rows = facts.rows("people")
        assert 1 <= len(rows) <= 200
        people += [row[0] for row in rows]
        pages += 1
        facts = look(Browser(), facts.links["next"]) if "next" in facts.links else None
    assert len(people) == len(set(people)) == 1021 and pages > 5
    assert any("<script>document.title='taken'</script>" in name for name in people)
    told, found = course_json(big_office, big_office.key), []
    while True:
        found += [person["user_id"] for person in told["people"]["rows"]]
        if told["people"]["next"] is None:
            break
        told = course_json(big_office, big_office.key, after=told["people"]["next"])
    assert set(found) == big_office.enrolled() and len(found) == 1021


@browsing.pytestmark
def test_administrator_updates_and_accepts_in_a_browser(chromium, big_office):  # noqa: F811
    state = big_office.campus.state
    chromium.get(status_url(big_office, course=big_office.key))
    assert find(chromium, "#people table") and not chromium.title.startswith("taken") and fits(chromium)
    picture(chromium, "course-page")
    # Update now: progress without loading the page anew, then what changed.
    state.enrol("BIO1", "plato", "learner")
    update_slowly(chromium, big_office, "course-page-progress")
    assert find(chromium, "#here").text == "1,022" and find(chromium, "#update button").is_enabled()
    assert "since=" in chromium.current_url
    big_office.httpd.expect_log(r"LTI0302: 700 people are missing")
    # Half of the course is gone: held, shown by name, accepted.
    gone = [person for person, _ in state.roster("BIO1") if person.login.startswith("s0")][:700]
    for person in gone:
        state.drop("BIO1", person)
    find(chromium, "#update button").click()
    wait_for(lambda: chromium.find_elements(By.ID, "held"), "what is held", 20)
    assert "700 people would be removed" in find(chromium, "#held").text
    assert len(chromium.find_elements(By.CSS_SELECTOR, "#held-people li")) == 700
    picture(chromium, "course-page-held")
    find(chromium, "#held button.danger").click()

    def accepted():
        chromium.refresh()
        return find(chromium, "#here").text == "322"

    wait_for(accepted, "the accepted removal", 20, 0.3)
    assert not chromium.find_elements(By.ID, "held")
    phone(chromium)
    dark(chromium)
    chromium.refresh()
    assert fits(chromium)
    picture(chromium, "course-page-phone-dark")
    chromium.execute_script("document.getElementById('people').scrollIntoView()")
    picture(chromium, "course-page-phone-dark-people")
    chromium.execute_script("document.getElementById('runs').scrollIntoView()")
    picture(chromium, "course-page-phone-dark-runs")
    assert not complaints(chromium, big_office)

