# SPDX-License-Identifier: Apache-2.0
"""Issue 5, point 5: GET roster in a browser: the instructor's own course, in plain words, with "Update now". Programs go on getting NRPS JSON from the same address.
With LTI_SCREENSHOTS=DIR, pictures."""
import re
import threading
import urllib.parse

import pytest
from campus_state import Link
from client import Browser
from httpd import free_port, wait_for
from notebook import start_notebook
from page_facts import HTML, Facts, complaints, dark, fits, look, phone, press, rest, start_big, update_slowly
from stage import QUIET

NRPS = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
ROSTER = "/lti/roster"


@pytest.fixture(scope="module")
def class_room(make_shared_stage):
    stage = make_shared_stage().configure(pace=QUIET).start()
    stage.ada = stage.launch("ada")
    stage.key = stage.wait_roster(stage.ada)
    return stage


def page_of(stage, browser, query=""):
    return look(browser, stage.url(ROSTER) + query)


# --- programs and people ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (None, False),
        ("*/*", False),
        ("", False),
        (NRPS, False),
        (NRPS + ", */*;q=0.1", False),
        ("application/json", False),
        ("application/json, text/plain, */*", False),
        ("text/*", False),
        ("text/htmlx", False),
        ("text/html;q=0", False),
        ("text/html;q=0.0, */*", False),
        ("text/html;q=0.5, application/json", False),
        (f"text/html;q=0.8, {NRPS};q=0.9", False),
        ("text/html;q=nonsense", False),
        ("text/html", True),
        ("TEXT/HTML ; Q=0.8", True),
        ("text/html;level=1", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7", True),
        ("application/json;q=0.9, text/html", True),
    ],
)
def test_who_asks_for_a_page_gets_one_and_others_what_they_always_got(class_room, accept, page):
    answer = class_room.ada.get(class_room.url(ROSTER), [] if accept is None else [("Accept", accept)])
    assert answer.status == 200, answer
    assert answer.header("Content-Type").partition(";")[0] == ("text/html" if page else NRPS)
    assert "Accept" in answer.header("Vary")
    if not page:
        assert {member["user_id"] for member in answer.json()["members"]} == class_room.enrolled()


def test_an_application_that_reads_all_courses_never_gets_the_page(class_room):
    answer = Browser().get(f"{class_room.httpd.roster_url}?course={class_room.key}", [HTML])
    assert answer.status == 200 and answer.header("Content-Type") == NRPS
    answer = Browser().get(f"{class_room.httpd.roster_url}/{class_room.key}", [HTML])
    assert answer.status == 200 and answer.header("Content-Type") == NRPS


def test_only_instructors_of_the_course_see_it(class_room):
    for person, course, status, error in (("zoe", "BIO1", 403, "role-required"), ("grace", "BIO1", 403, "role-required"), ("rosa", "HIS2", 200, "")):
        answer = class_room.launch(person, course).get(class_room.url(ROSTER), [HTML])
        assert (answer.status, answer.error) == (status, error), answer
        assert "Zoë" not in answer.text or course == "HIS2"
    rosa = class_room.launch("rosa", "HIS2")
    for query in ("?course=" + class_room.key, "/" + class_room.key):
        assert (rosa.get(class_room.url(ROSTER + query), [HTML])).status == 403
    assert Browser().get(class_room.url(ROSTER), [HTML]).status == 401


# --- what stands there -----------------------------------------------------------------------------------------------------------------


def test_people_with_role_and_status_and_how_it_stands(class_room):
    facts = page_of(class_room, class_room.ada)
    people = {row[0]: row[1:] for row in facts.rows("people")}
    assert set(people) == {person.name for person, _ in class_room.campus.state.roster("BIO1")}
    assert people["Ada Lovelace"] == ["instructor", "active"] and people["Grace Hopper"][0] == "teaching assistant"
    assert people['<b>Bobby</b> "Tables" & Söhne'] == ["learner", "active"]
    assert "Biology I: Cells & Tissues" in facts.text("h1")
    assert re.search(r"14 people", facts.text("count")), facts.text("count")
    assert re.search(r"up to date", facts.text("standing")) and re.search(r"\d+ (second|minute)s? ago|just now", facts.text("standing"))
    assert facts.refresh is None
    # e-mail addresses and ids are not for everybody who looks over the shoulder
    assert "@students.example.edu" not in facts.response.text and "SIS-zoe" not in facts.response.text


def test_page_is_safe_to_frame_and_to_look_at(class_room):
    answer = class_room.ada.get(class_room.url(ROSTER), [HTML])
    policy = answer.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and f"frame-ancestors 'self' http://localhost:{class_room.campus.port}" in policy
    assert "unsafe" not in policy and "no-store" in answer.header("Cache-Control") and answer.header("X-Content-Type-Options") == "nosniff"
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)[1]
    for tag, values in Facts(answer).tags:
        assert tag not in ("img", "iframe", "object", "b"), tag
        assert not any(name.startswith("on") for name in values), values
        if tag in ("script", "style"):
            assert values.get("nonce") == nonce and "src" not in values


def test_head_and_other_methods(class_room):
    answer = class_room.ada.request("HEAD", class_room.url(ROSTER), headers=[HTML])
    assert answer.status == 200 and answer.header("Content-Type").startswith("text/html") and answer.body == b""
    assert class_room.ada.post(class_room.url(ROSTER), headers=[HTML]).status == 405


# --- update now --------------------------------------------------------------------------------------------------------------------------


def test_update_now_without_scripts_shows_what_changed(class_room):
    state = class_room.campus.state
    facts = page_of(class_room, class_room.ada)
    state.enrol("BIO1", "rosa", "learner")
    state.drop("BIO1", "alan")
    class_room.campus.faults["nrps"] = {"slow": 0.4}
    try:
        pressed = press(class_room.ada, facts, "sync")
        assert pressed.status == 303 and urllib.parse.urlsplit(pressed.location).path == ROSTER, pressed
        facts = look(class_room.ada, pressed.location)
        assert facts.refresh is not None
        seen, facts = rest(class_room.ada, facts)
    finally:
        class_room.campus.faults.clear()
        state.drop("BIO1", "rosa")
        state.enrol("BIO1", "alan", "learner")
    assert any("being" in text or "waits" in text for text in seen[:-1]), seen
    assert "1 person joined" in seen[-1] and "1 left" in seen[-1], seen
    people = [row[0] for row in facts.rows("people")]
    assert "Rosa Parks" in people and "Alan Turing" not in people
    class_room.sync_now(class_room.ada)
    seen, facts = rest(class_room.ada, look(class_room.ada, press(class_room.ada, facts, "sync").location))
    assert "Nothing changed" in seen[-1], seen


def test_update_that_fails_says_so_and_keeps_the_list(class_room):
    class_room.httpd.expect_log(r"LTI0301: .*http-status")
    class_room.campus.faults["nrps"] = {"status": 500}
    try:
        pressed = press(class_room.ada, page_of(class_room, class_room.ada), "sync")
        seen, facts = rest(class_room.ada, look(class_room.ada, pressed.location))
    finally:
        class_room.campus.faults.clear()
    assert "did not work" in seen[-1] and "http-status" in facts.response.text, seen
    assert len(facts.rows("people")) == 14
    class_room.sync_now(class_room.ada)
    assert "up to date" in page_of(class_room, class_room.ada).text("standing")


def test_programs_go_on_getting_202(class_room):
    answer = class_room.ada.post(class_room.url("/lti/sync"))
    assert answer.status == 202 and answer.header("Content-Type") == "application/json"
    class_room.sync_now(class_room.ada)


def test_button_of_another_site_does_nothing(class_room):
    answer = class_room.ada.post(class_room.url("/lti/sync"), headers=[HTML], origin="https://evil.example")
    assert (answer.status, answer.error) == (403, "cross-site")
    assert class_room.launch("zoe").post(class_room.url("/lti/sync"), headers=[HTML]).status == 403


def test_course_without_a_roster_yet_says_what_it_waits_for(make_stage):
    stage = make_stage().configure(pace=QUIET).start()
    gate = threading.Event()
    stage.campus.faults["nrps"] = {"wait": gate}
    ada = stage.launch("ada")
    facts = page_of(stage, ada)
    assert "not been read yet" in facts.text("standing") and "people" not in facts.tables
    gate.set()
    stage.wait_roster(ada)
    # A course of a platform that offers no roster.
    stage.campus.nrps_claim = False
    facts = page_of(stage, stage.launch("rosa", "HIS2"))
    assert "does not give" in facts.text("standing") and not facts.forms


# --- many people, odd names ----------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def big_class(make_shared_stage):
    return start_big(make_shared_stage().configure(pace=QUIET))


def test_a_thousand_people_come_page_by_page(big_class):
    facts, people, pages = page_of(big_class, big_class.ada), [], 0
    assert "1,021 people" in facts.text("count")
    while facts is not None:
        rows = facts.rows("people")
        assert 1 <= len(rows) <= 500
        people += [row[0] for row in rows]
        pages += 1
        facts = look(big_class.ada, facts.links["next"]) if "next" in facts.links else None
    assert len(people) == 1021 and pages == 3
    assert "<script>document.title='taken'</script>" in people and len([name for name in people if name.startswith("Student Number")]) == 1000


# --- several courses in one browser -----------------------------------------------------------------------------------------------------------


def test_pages_of_two_courses_stay_their_own(make_stage):
    stage, port = make_stage(), free_port()
    server = start_notebook(port, "/notes/")
    try:
        stage.httpd.module_config = f"LTIStateDir {stage.httpd.root}/state\nLTIApplication /notes/\n{QUIET}"
        stage.configure(
            extra=f'ProxyPass "/notes/" "http://127.0.0.1:{port}/notes/"\n<Location "/notes">\n    AuthType LTI\n    Require valid-user\n'
            "    AuthzSendForbiddenOnFailure On\n    LTICoursePaths On\n</Location>"
        )
        for course in stage.campus.state.courses.values():
            course.links["notes"] = Link(f"rl-{course.label}-notes", "Notes", "/notes/")
        stage.campus.state.enrol("HIS2", "ada", "instructor")
        stage.start()
        browser, pages = Browser(), {}
        for label in ("BIO1", "HIS2"):
            opened = browser.launch(stage.campus, label, "ada", "notes")
            response = wait_for(
                lambda: (answer := browser.get(stage.url(ROSTER), [HTML, ("Referer", opened.app.url)])).status == 200 and "people" in Facts(answer).tables and answer, "the roster", 20, 0.2
            )
            pages[label] = Facts(response)
        assert browser.get(stage.url(ROSTER), [HTML]).status == 409
        for label, count in (("BIO1", 14), ("HIS2", 3)):
            facts = pages[label]
            assert len(facts.rows("people")) == count
            # As browsers do: the Referer is this page, which has no segment.
            form = dict(facts.form("sync"))
            where = urllib.parse.urljoin(facts.response.url, form.pop("")["action"])
            pressed = browser.post(where, form, headers=[HTML, ("Referer", facts.response.url)])
            assert pressed.status == 303, pressed
            _, facts = rest(browser, look(browser, pressed.location))
            assert len(facts.rows("people")) == count
        # Who left the course in this browser does not get the other one in its place.
        where = re.sub(r"session=[a-z2-7]{16}", "session=" + "a" * 16, where)
        assert browser.post(where, form, headers=[HTML]).status == 401
    finally:
        server.shutdown()
        server.server_close()


# --- in a browser --------------------------------------------------------------------------------------------------------------------------------

browsing = pytest.importorskip("test_browser")
from test_browser import chromium, find, open_in_frame, picture  # noqa: E402,F401


@browsing.pytestmark
def test_instructor_updates_the_list_in_the_frame_of_the_course(chromium, big_class):  # noqa: F811
    open_in_frame(chromium, big_class, "ada")
    chromium.execute_script("location = arguments[0]", big_class.url(ROSTER))
    assert find(chromium, "#people")
    assert not chromium.title.startswith("taken") and fits(chromium)
    chromium.switch_to.default_content()
    picture(chromium, "instructor-page-frame")
    chromium.switch_to.frame(find(chromium, "iframe#tool"))
    big_class.campus.state.enrol("BIO1", "plato", "learner")
    update_slowly(chromium, big_class, "instructor-page-progress")
    big_class.campus.state.drop("BIO1", "plato")
    # The same page by itself: on a phone, in the dark.
    chromium.get(big_class.url(ROSTER))
    phone(chromium)
    dark(chromium)
    chromium.refresh()
    assert find(chromium, "#people") and fits(chromium)
    assert not complaints(chromium, big_class)
    picture(chromium, "instructor-page-phone-dark")
