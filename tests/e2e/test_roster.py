# SPDX-License-Identifier: Apache-2.0
"""Point 5: the roster is whole, right, and live in open sessions; what goes wrong at the platform hurts nobody (Invariants 2, 3, 4, 7)."""
import threading
import time

import pytest
from campus_protocol import NRPS_TYPE
from client import Browser
from httpd import free_port, wait_for
from stage import active


def ids(stage, *logins):
    return {stage.campus.state.person(login).id for login in logins}


# --- everybody -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cap", "short"), [(50, False), (3, True)])
def test_first_run_brings_people_who_never_launched(make_stage, cap, short):
    stage = make_stage()
    stage.campus.page_cap, stage.campus.short_roles = cap, short
    stage.start()
    browser = stage.launch("zoe")
    members = stage.members(stage.wait_roster(browser))
    assert set(members) == stage.enrolled() and len(members) == 14
    for person, _ in stage.campus.state.roster("BIO1"):
        member = members[person.id]
        assert member["name"] == person.name and member["email"] == person.email, person
        assert member.get("family_name", "") == person.family
        assert member["lis_person_sourcedid"] == person.sourcedid
    assert any(role.endswith("Instructor") for role in members[stage.campus.state.person("ada").id]["roles"])
    told = stage.echo(browser)
    assert told["x-lti-roster-size"] == "14" and int(told["x-lti-roster-age"]) < 60
    assert told["x-lti-roster-state"] == "current" and told["x-lti-member-status"] == "active"


def test_applications_show_the_class_list(stage):
    """SPEC N-49."""
    browser = stage.launch("zoe")
    stage.wait_roster(browser)
    for path in ("/app/", "/cgi/class.cgi"):
        page = browser.get(stage.url(path)).text
        assert "14 people" in page and "李小龍" in page and "Ørjan Łukasz" in page
        assert "&lt;b&gt;Bobby&lt;/b&gt;" in page and "<b>Bobby" not in page


def test_requests_to_the_platform_are_as_the_strictest_wants_them(stage):
    """SPEC 5.3, N-04, 6.2: the campus checks the assertion and the Accept header; here is what else counts."""
    stage.wait_roster(stage.launch("zoe"))
    for entry in stage.campus.requests("nrps") + stage.campus.requests("token"):
        assert entry.headers["User-Agent"]
    for entry in stage.campus.requests("nrps"):
        assert entry.headers["Authorization"].startswith("Bearer ") and entry.headers["Accept"] == NRPS_TYPE
        assert "role=" not in entry.query
    (assertion, *_) = stage.campus.assertions
    assert assertion["exp"] - assertion["iat"] <= 300
    assert assertion.get("https://purl.imsglobal.org/spec/lti/claim/deployment_id") == "d-1"


def test_token_is_kept_between_runs(quiet):
    browser = quiet.launch("ada")
    quiet.wait_roster(browser)
    for _ in range(3):
        quiet.sync_now(browser)
    assert len(quiet.campus.requests("token")) == 1 and len(quiet.campus.requests("nrps")) >= 4


def test_expired_token_is_replaced_once(quiet):
    """SPEC T-08."""
    browser = quiet.launch("ada")
    quiet.wait_roster(browser)
    quiet.campus.tokens.clear()
    quiet.campus.state.enrol("BIO1", "rosa")
    quiet.sync_now(browser)
    quiet.wait_roster(browser)
    assert len(quiet.campus.requests("token")) == 2


def test_courses_are_kept_apart(stage):
    ada, rosa = stage.launch("ada"), stage.launch("rosa", "HIS2")
    first, second = stage.wait_roster(ada), stage.wait_roster(rosa, "HIS2")
    assert first != second and len(stage.members(second)) == 3
    assert stage.echo(rosa)["x-lti-roster-size"] == "3"


def test_update_now_brings_the_new_person(quiet):
    browser = quiet.launch("ada")
    key = quiet.wait_roster(browser)
    quiet.campus.state.enrol("BIO1", "rosa")
    quiet.sync_now(browser)
    assert active(quiet.members(key)) == quiet.enrolled()
    assert quiet.sync_status(browser)["state"] == "current"


def test_timer_brings_the_new_person(stage):
    browser = stage.launch("zoe")
    stage.wait_roster(browser)
    stage.campus.state.enrol("BIO1", "rosa")
    stage.wait_roster(browser)


def test_changed_name_is_changed(quiet):
    browser = quiet.launch("ada")
    key = quiet.wait_roster(browser)
    person = quiet.campus.state.person("orjan")
    person.family, person.email = "Ødegård", "new@example.edu"
    quiet.sync_now(browser)
    member = quiet.members(key)[person.id]
    assert (member["name"], member["email"]) == ("Ørjan Ødegård", "new@example.edu")


def test_unchanged_roster_writes_nothing(quiet):
    browser = quiet.launch("ada")
    quiet.wait_roster(browser)
    since = len(quiet.httpd.log_lines())
    quiet.sync_now(browser)
    assert quiet.httpd.wait_log(r"LTI0303.*joined 0, changed 0, left 0, returned 0", since=since)


# --- drop and change ------------------------------------------------------------------------------------------------------------------


def test_dropped_student_is_out_at_the_next_request_after_a_refresh(stage):
    """SPEC S-30, Invariant 3."""
    zoe, ada = stage.launch("zoe"), stage.launch("ada")
    key = stage.wait_roster(ada)
    assert stage.status(zoe)[0] == 200
    stage.campus.state.drop("BIO1", "zoe")
    wait_for(lambda: stage.status(zoe)[0] != 200, "the drop to arrive")
    response = zoe.get(stage.url("/app/"))
    assert (response.status, response.error) == (403, "member-left")
    assert "no longer on the list of people of this course" in response.text
    assert zoe.get(stage.url("/cgi/class.cgi")).status == 403
    assert not ids(stage, "zoe") & active(stage.members(key))
    assert stage.status(ada)[0] == 200


def test_student_who_is_enrolled_again_comes_back_with_a_new_launch(quiet):
    zoe, ada = quiet.launch("zoe"), quiet.launch("ada")
    key = quiet.wait_roster(ada)
    quiet.campus.state.drop("BIO1", "zoe")
    quiet.sync_now(ada)
    assert quiet.status(zoe) == (403, "member-left")
    quiet.campus.state.enrol("BIO1", "zoe")
    # Before any later run: the launch is the newer evidence.
    quiet.campus.faults["nrps"] = {"status": 503}
    quiet.httpd.allow_log("LTI0301")
    again = quiet.launch("zoe")
    assert quiet.status(again)[0] == 200
    assert quiet.status(zoe) == (403, "member-left")  # the old session stays out
    quiet.campus.faults.clear()
    quiet.sync_now(ada)
    assert active(quiet.members(key)) == quiet.enrolled()
    assert quiet.status(again)[0] == 200


def test_inactive_status_counts_as_left(quiet):
    """SPEC N-44."""
    zoe, ada = quiet.launch("zoe"), quiet.launch("ada")
    quiet.wait_roster(ada)
    quiet.campus.list_inactive = True
    quiet.campus.state.set_status("BIO1", "zoe", "Inactive")
    quiet.sync_now(ada)
    assert quiet.status(zoe) == (403, "member-left")


def test_changed_role_is_there_at_the_next_request_without_a_launch(stage):
    zoe, ada = stage.launch("zoe"), stage.launch("ada")
    stage.wait_roster(ada)
    assert stage.echo(zoe)["x-lti-role"] == "learner"
    stage.campus.state.set_role("BIO1", "zoe", "teaching-assistant")
    wait_for(lambda: stage.echo(zoe)["x-lti-role"] == "teaching-assistant", "the new role")
    told = stage.echo(zoe)
    assert told["x-lti-role-source"] == "roster" and "TeachingAssistant" in told["x-lti-roles"]
    assert stage.environment(zoe)["LTI_ROLE"] == "teaching-assistant"


def test_lost_teacher_role_closes_what_was_open(make_stage):
    stage = make_stage()
    stage.httpd.put("staff/index.txt", "for staff")
    extra = '<Location "/staff">\n    AuthType LTI\n    Require lti-role staff\n    AuthzSendForbiddenOnFailure On\n</Location>'
    stage.httpd.allow_log("AH0163")
    stage.configure(extra=extra).start()
    grace = stage.launch("grace")
    stage.wait_roster(grace)
    assert grace.get(stage.url("/staff/index.txt")).status == 200
    stage.campus.state.set_role("BIO1", "grace", "learner")
    wait_for(lambda: grace.get(stage.url("/staff/index.txt")).status == 403, "the role to be gone")
    assert grace.get(stage.url("/lti/roster")).status == 403


def test_live_roster_can_be_switched_off(make_stage):
    stage = make_stage()
    stage.configure(pace="LTISyncInterval 1h", extra='<Location "/cgi">\n    LTILiveRoster Off\n</Location>').start()
    zoe, ada = stage.launch("zoe"), stage.launch("ada")
    stage.wait_roster(ada)
    stage.campus.state.drop("BIO1", "zoe")
    stage.sync_now(ada)
    assert stage.status(zoe) == (403, "member-left")
    assert stage.environment(zoe)["LTI_ROLE"] == "learner"


# --- the time rule (Invariant 3) ---------------------------------------------------------------------------------------------------------


def test_launch_decides_until_the_roster_changes_its_mind(quiet):
    """SPEC N-46. A Moodle teaching assistant launches as one and is listed as a learner; only a change between two rosters overrides."""
    grace_id = quiet.campus.state.person("grace").id
    listed = {"roles": ["Learner"]}
    quiet.campus.tamper_member = lambda member: dict(member, **listed) if member["user_id"] == grace_id else member
    grace, ada = quiet.launch("grace"), quiet.launch("ada")
    quiet.wait_roster(ada)
    quiet.sync_now(ada)
    told = quiet.echo(grace)
    assert (told["x-lti-role"], told["x-lti-role-source"]) == ("teaching-assistant", "launch")
    listed["roles"] = ["Instructor"]
    quiet.sync_now(ada)
    told = quiet.echo(grace)
    assert (told["x-lti-role"], told["x-lti-role-source"]) == ("instructor", "roster")
    # A launch after that run is the newer evidence again.
    again = quiet.launch("grace")
    assert quiet.echo(again)["x-lti-role"] == "teaching-assistant"


def test_who_was_never_listed_is_judged_by_the_launch(quiet):
    quiet.campus.tamper_claims = lambda claims: dict(claims, sub="u-account-administrator")
    boss = quiet.launch("ada")
    quiet.campus.tamper_claims = None
    ada = quiet.launch("ada")
    quiet.wait_roster(ada)
    quiet.sync_now(ada)
    assert quiet.status(boss)[0] == 200 and quiet.echo(boss)["x-lti-role"] == "instructor"


def test_run_that_began_before_a_launch_does_not_undo_it(quiet):
    zoe, ada = quiet.launch("zoe"), quiet.launch("ada")
    quiet.wait_roster(ada)
    quiet.campus.state.drop("BIO1", "zoe")
    held, served = threading.Event(), threading.Event()
    quiet.campus.faults["nrps"] = {"wait": held, "times": 1}
    quiet.campus.on_answer = lambda endpoint, path, query: served.set() if endpoint == "nrps" else None
    assert ada.post(quiet.url("/lti/sync")).status == 202
    assert served.wait(15), "the run did not begin"
    quiet.campus.on_answer = None
    # The answer without Zoë is on its way; now she is enrolled again and launches.
    quiet.campus.state.enrol("BIO1", "zoe")
    again = quiet.launch("zoe")
    since = len(quiet.httpd.log_lines())
    held.set()
    quiet.httpd.wait_log(r"LTI0303.*left 1", since=since)
    assert quiet.status(again)[0] == 200, "a run that began earlier beat the launch"
    assert quiet.status(zoe) == (403, "member-left")


# --- all pages or nothing (Invariant 2) -----------------------------------------------------------------------------------------------------


def roster_pages(stage):
    return [entry for entry in stage.campus.requests("nrps")]


def test_moving_offsets_remove_nobody_who_is_still_there(quiet):
    """Seen on Moodle: a drop on page 1 pulls somebody from page 2 to page 1, after that was read. A second walk finds them."""
    campus = quiet.campus
    campus.page_cap = 4
    order = [person.login for person, _ in campus.state.roster("BIO1")]
    dropped, hidden = order[0], order[4]  # the first of page 1 goes: the first of page 2 slips onto page 1
    ada, slipped = quiet.launch("ada"), quiet.launch(hidden)
    key = quiet.wait_roster(ada)

    def drop_once(endpoint, path, query):
        if endpoint == "nrps" and "offset" not in query:
            campus.on_answer = None
            campus.state.drop("BIO1", dropped)

    campus.log.clear()
    campus.on_answer = drop_once
    quiet.sync_now(ada)
    assert ids(quiet, hidden) <= active(quiet.members(key)), "somebody who never left was removed"
    assert quiet.status(slipped)[0] == 200
    assert len([entry for entry in roster_pages(quiet) if "offset" not in entry.query]) == 2, "no second walk was made"
    quiet.sync_now(ada)
    assert active(quiet.members(key)) == quiet.enrolled()


def test_real_drop_from_several_pages_needs_two_walks_that_agree(quiet):
    campus = quiet.campus
    campus.page_cap = 4
    ada = quiet.launch("ada")
    key = quiet.wait_roster(ada)
    campus.state.drop("BIO1", "zoe")
    campus.log.clear()
    quiet.sync_now(ada)
    assert active(quiet.members(key)) == quiet.enrolled()
    assert len([entry for entry in roster_pages(quiet) if "offset" not in entry.query]) == 2


def test_failed_second_walk_removes_nobody_and_keeps_the_joins(quiet):
    campus = quiet.campus
    campus.page_cap = 4
    ada = quiet.launch("ada")
    key = quiet.wait_roster(ada)
    campus.state.drop("BIO1", "zoe")
    campus.state.enrol("BIO1", "rosa")
    campus.faults["nrps"] = {"after": 5, "status": 500}
    quiet.httpd.allow_log("LTI030")
    quiet.sync_now(ada)
    listed = active(quiet.members(key))
    assert ids(quiet, "zoe", "rosa") <= listed
    campus.faults.clear()
    quiet.sync_now(ada)
    assert active(quiet.members(key)) == quiet.enrolled()


def test_broken_later_page_changes_nothing(quiet):
    """SPEC N-41."""
    campus = quiet.campus
    campus.page_cap = 4
    ada = quiet.launch("ada")
    key = quiet.wait_roster(ada)
    before = quiet.members(key)
    campus.state.drop("BIO1", "zoe")
    campus.state.enrol("BIO1", "rosa")
    campus.state.set_role("BIO1", "sam", "instructor")
    for fault in ({"after": 2, "status": 500}, {"after": 3, "truncate": True}, {"after": 1, "malformed": True}):
        campus.faults["nrps"] = dict(fault)
        quiet.httpd.expect_log("LTI0301")
        quiet.sync_now(ada)
        assert quiet.members(key) == before, fault
    campus.faults.clear()


def test_empty_list_after_a_full_one_is_never_applied(quiet):
    quiet.httpd.expect_log(r"LTI030\d.*roster-empty")
    ada, zoe = quiet.launch("ada"), quiet.launch("zoe")
    key = quiet.wait_roster(ada)
    quiet.campus.faults["nrps"] = {"empty": True}
    for _ in range(3):
        status = quiet.sync_now(ada)
    assert "roster-empty" in str(status)
    assert len(quiet.members(key)) == 14 and quiet.status(zoe)[0] == 200


def test_guard_holds_what_looks_like_half_a_class(quiet):
    quiet.httpd.expect_log(r"LTI0302.*8 people are missing.*roster-held")
    ada, zoe = quiet.launch("ada"), quiet.launch("zoe")
    key = quiet.wait_roster(ada)
    for login in ("zoe", "xiaolong", "orjan", "bobby", "sam", "fatima", "siobhan", "nikola"):
        quiet.campus.state.drop("BIO1", login)
    quiet.campus.state.enrol("BIO1", "rosa")
    quiet.campus.state.set_role("BIO1", "alan", "teaching-assistant")
    quiet.sync_now(ada)
    quiet.sync_now(ada)
    members = quiet.members(key)
    assert len(active(members)) == 15 and ids(quiet, "zoe", "rosa") <= active(members)
    assert any("TeachingAssistant" in role for role in members[quiet.campus.state.person("alan").id]["roles"])
    assert quiet.status(zoe)[0] == 200 and quiet.state(ada) == "held"
    # They come back: all is well again.
    for login in ("zoe", "xiaolong", "orjan", "bobby", "sam", "fatima", "siobhan", "nikola"):
        quiet.campus.state.enrol("BIO1", login)
    quiet.sync_now(ada)
    assert quiet.state(ada) == "current" and active(quiet.members(key)) == quiet.enrolled()


def test_guard_lets_smaller_drops_through(quiet):
    ada = quiet.launch("ada")
    key = quiet.wait_roster(ada)
    for login in ("zoe", "xiaolong", "orjan", "bobby", "sam", "fatima"):
        quiet.campus.state.drop("BIO1", login)
    quiet.sync_now(ada)
    assert active(quiet.members(key)) == quiet.enrolled()


def test_small_courses_are_not_guarded(quiet):
    rosa = quiet.launch("rosa", "HIS2")
    key = quiet.wait_roster(rosa, "HIS2")
    for login in ("zoe", "ada"):
        quiet.campus.state.drop("HIS2", login)
    quiet.sync_now(rosa)
    assert active(quiet.members(key)) == ids(quiet, "rosa")


# --- faults of the platform (Invariant 4) ---------------------------------------------------------------------------------------------------

FAULTS = {
    "nrps closes the connection": ("nrps", {"down": True}, {"http-aborted", "http-connect"}),
    "nrps 500": ("nrps", {"status": 500}, {"http-status"}),
    "nrps 404": ("nrps", {"status": 404}, {"roster-gone"}),
    "nrps 403": ("nrps", {"status": 403}, {"roster-forbidden"}),
    "nrps 401": ("nrps", {"status": 401}, {"roster-forbidden", "token-refused"}),
    "nrps 429": ("nrps", {"status": 429, "headers": [("Retry-After", "1")]}, {"roster-busy"}),
    "nrps 503": ("nrps", {"status": 503, "headers": [("Retry-After", "1")]}, {"roster-busy"}),
    "nrps redirects": ("nrps", {"status": 302, "headers": [("Location", "http://127.0.0.1:1/")]}, {"http-redirect"}),
    "nrps cut short": ("nrps", {"truncate": True}, {"http-aborted", "roster-malformed"}),
    "nrps malformed": ("nrps", {"malformed": True}, {"roster-malformed"}),
    "nrps sends a login page": ("nrps", {"html": True}, {"roster-type"}),
    "nrps leads in a circle": ("nrps", {"loop": True}, {"roster-loop"}),
    "nrps leads to a stranger": ("nrps", {"next": "http://127.0.0.1:1/steal"}, {"roster-origin"}),
    "token closes the connection": ("token", {"down": True}, {"http-aborted", "http-connect"}),
    "token 500": ("token", {"status": 500}, {"http-status", "token-answer"}),
    "token malformed": ("token", {"malformed": True}, {"token-answer"}),
    "token sends a login page": ("token", {"html": True}, {"token-answer"}),
    "token refuses": (
        "token",
        {"status": 400, "body": b'{"error":"invalid_client"}', "headers": []},
        {"token-refused", "token-answer"},
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_fault_keeps_the_roster_and_says_why(quiet, case):
    endpoint, fault, codes = FAULTS[case]
    quiet.httpd.expect_log(r"LTI0301: .*(" + "|".join(codes) + ")")
    ada, zoe = quiet.launch("ada"), quiet.launch("zoe")
    key = quiet.wait_roster(ada)
    before = quiet.members(key)
    if endpoint == "token":
        quiet.campus.tokens.clear()  # so that a new one is asked for
    quiet.campus.state.drop("BIO1", "zoe")
    quiet.campus.faults[endpoint] = fault
    status = quiet.sync_now(ada)
    assert any(code in str(status) for code in codes), status
    assert quiet.members(key) == before
    assert quiet.status(zoe)[0] == 200 and quiet.state(ada) == "failing"
    quiet.campus.faults.clear()
    quiet.sync_now(ada)
    assert active(quiet.members(key)) == quiet.enrolled() and quiet.state(ada) == "current"


def test_service_that_is_not_granted_is_named(quiet):
    quiet.httpd.expect_log(r"LTI0301.*scope-refused")
    quiet.campus.nrps_granted = False
    ada = quiet.launch("ada")
    assert "scope-refused" in str(wait_for(lambda: "scope" in str(quiet.sync_status(ada)) and quiet.sync_status(ada), "the reason"))
    assert quiet.echo(ada)["x-lti-roster-state"] in ("pending", "failing")


def test_platform_that_is_down_keeps_the_roster_and_is_asked_again(stage):
    stage.httpd.expect_log(r"LTI0301.*http-connect")
    ada, zoe = stage.launch("ada"), stage.launch("zoe")
    key = stage.wait_roster(ada)
    stage.campus.stop()
    stage.httpd.wait_log("LTI0301")
    assert len(stage.members(key)) == 14 and stage.status(zoe)[0] == 200
    stage.campus.state.drop("BIO1", "zoe")
    stage.campus.start()
    stage.sync_now(ada)
    assert stage.status(zoe) == (403, "member-left")


def test_token_goes_to_its_own_origin_only(quiet):
    """SPEC T-07, N-13. Invariant 7, SPEC S-07: a next link to another origin, on the same machine, gets no request at all."""
    from campus import Campus

    quiet.httpd.expect_log(r"LTI0301.*roster-origin")
    other = Campus("http://localhost:1", free_port()).start()
    try:
        ada = quiet.launch("ada")
        quiet.wait_roster(ada)
        for foreign in (
            f"{other.issuer}/nrps/x",
            quiet.campus.issuer.replace("localhost", "127.0.0.1") + "/nrps/x",
            quiet.campus.issuer.replace("http", "https") + "/nrps/x",
            f"//localhost:{other.port}/nrps/x",
        ):
            quiet.campus.faults["nrps"] = {"next": foreign}
            assert "roster-origin" in str(quiet.sync_now(ada)), foreign
        assert other.log == []
    finally:
        other.stop()


def test_relative_next_link_is_followed(quiet):
    """SPEC N-12."""
    course = quiet.campus.state.course("BIO1")
    ada = quiet.launch("ada")
    key = quiet.wait_roster(ada)
    quiet.campus.page_cap = 7
    quiet.campus.faults["nrps"] = {"next": f"/nrps/{course.id}?limit=7&offset=7", "times": 1}
    quiet.sync_now(ada)
    assert active(quiet.members(key)) == quiet.enrolled()
    assert any("offset=7" in entry.query for entry in quiet.campus.requests("nrps"))


def test_retry_after_is_obeyed(stage):
    stage.httpd.expect_log(r"LTI0301.*roster-busy")
    ada = stage.launch("ada")
    stage.wait_roster(ada)
    stage.campus.faults["nrps"] = {"status": 429, "headers": [("Retry-After", "3600")]}
    stage.httpd.wait_log("LTI0301.*roster-busy")
    asked = len(stage.campus.requests("nrps"))
    time.sleep(3)  # more than one interval
    assert len(stage.campus.requests("nrps")) == asked
    stage.campus.faults.clear()
    stage.sync_now(ada)  # "update now" is exempt from waiting
    assert stage.state(ada) == "current"


def test_slow_roster_does_not_slow_requests(quiet):
    """SPEC N-48."""
    ada = quiet.launch("ada")
    quiet.wait_roster(ada)
    held = threading.Event()
    quiet.campus.faults["nrps"] = {"wait": held, "times": 1}
    try:
        assert ada.post(quiet.url("/lti/sync")).status == 202
        began = time.monotonic()
        for _ in range(20):
            assert quiet.status(ada)[0] == 200
        assert time.monotonic() - began < 5
        told = wait_for(lambda: quiet.sync_status(ada)["running"] and quiet.sync_status(ada), "the run to be seen")
        assert told["state"] == "current"
    finally:
        held.set()


def test_member_oddities(quiet):
    """SPEC 6.4: numbers as ids, roles as text, nulls, members on two pages, strangers' fields."""
    state = quiet.campus.state

    def odd(member):
        login = next(person.login for person in state.people.values() if person.id == member["user_id"])
        if login == "sam":
            return dict(member, user_id=1002)
        if login == "jose":
            return dict(member, roles="Learner", name=None, email=None)
        if login == "mei":
            return {"user_id": member["user_id"]}
        if login == "alan":
            return dict(member, name="A\r\nB\x7fC", vendor={"deep": [1, 2, {"x": None}]}, status="active")
        return member

    quiet.campus.tamper_member = odd
    quiet.httpd.allow_log("lti_sync:warn")
    ada = quiet.launch("ada")
    key = quiet.echo(ada)["x-lti-course-key"]
    members = wait_for(lambda: quiet.state(ada) == "current" and quiet.members(key), "the roster")
    assert "1002" in members and len(members) == 14
    assert state.person("mei").id in members and "name" not in members[state.person("jose").id]
    assert "\r" not in str(members[state.person("alan").id].get("name", ""))


# --- what applications and instructors may ask --------------------------------------------------------------------------------------------


def test_instructors_read_their_own_course_and_students_do_not(stage):
    ada, zoe = stage.launch("ada"), stage.launch("zoe")
    key = stage.wait_roster(ada)
    own = ada.get(stage.url("/lti/roster"), {"Accept": NRPS_TYPE})
    assert own.status == 200 and own.header("Content-Type").startswith(NRPS_TYPE)
    body = own.json()
    assert body["context"]["id"] == stage.campus.state.course("BIO1").id and len(body["members"]) == 14
    assert "no-store" in own.header("Cache-Control") or "private" in own.header("Cache-Control")
    for path in ("/lti/roster", f"/lti/roster?course={key}", "/lti/sync"):
        refused = zoe.get(stage.url(path))
        assert (refused.status, refused.error) == (403, "role-required"), path
        assert Browser().get(stage.url(path)).status == 401, path
    assert zoe.post(stage.url("/lti/sync")).status == 403 and Browser().post(stage.url("/lti/sync")).status == 401


def test_instructors_do_not_read_other_courses(stage):
    ada, rosa = stage.launch("ada"), stage.launch("rosa", "HIS2")
    stage.wait_roster(ada)
    other = stage.wait_roster(rosa, "HIS2")
    response = ada.get(stage.url(f"/lti/roster?course={other}"))
    assert response.status in (403, 404), response
    assert "Parks" not in response.text


def test_service_address_reads_every_course_by_key_or_context(stage):
    ada, rosa = stage.launch("ada"), stage.launch("rosa", "HIS2")
    first, second = stage.wait_roster(ada), stage.wait_roster(rosa, "HIS2")
    assert len(stage.members(first)) == 14 and len(stage.members(second)) == 3
    context = stage.campus.state.course("HIS2").id
    answer = Browser().get(f"{stage.httpd.roster_url}?context={context}")
    assert answer.status == 200 and len(answer.json()["members"]) == 3
    unknown = Browser().get(f"{stage.httpd.roster_url}?course=AAAAAAAAAAAAAAAA")
    assert (unknown.status, unknown.error) == (404, "course-unknown")
    assert 400 <= Browser().get(stage.httpd.roster_url).status < 500


def test_roster_pages_of_our_own(stage):
    ada = stage.launch("ada")
    key = stage.wait_roster(ada)
    answer = Browser().get(f"{stage.httpd.roster_url}?course={key}&limit=5")
    assert len(answer.json()["members"]) == 5 and 'rel="next"' in answer.header("Link")
    everybody, address, browser, pages = set(), f"{stage.httpd.roster_url}?course={key}&limit=5", Browser(), 0
    while address:
        answer = browser.get(address)
        page = {member["user_id"] for member in answer.json()["members"]}
        assert not page & everybody
        everybody, pages = everybody | page, pages + 1
        link = answer.header("Link")
        address = link.partition("<")[2].partition(">")[0] if 'rel="next"' in link else None
    assert everybody == stage.enrolled() and pages == 3


def test_roster_by_role_and_unchanged_answers(stage):
    ada = stage.launch("ada")
    key = stage.wait_roster(ada)
    url = f"{stage.httpd.roster_url}?course={key}"
    teachers = Browser().get(url + "&role=Instructor").json()["members"]
    assert {member["user_id"] for member in teachers} >= ids(stage, "ada")
    assert not {member["user_id"] for member in teachers} & ids(stage, "zoe", "sam")
    first = Browser().get(url)
    assert first.header("ETag")
    again = Browser().get(url, {"If-None-Match": first.header("ETag")})
    assert again.status == 304 and again.body == b""


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=99999999999999999999", "course=", "course=%00", "course=../../x", "role=%ff", "context="])
def test_bad_roster_questions(stage, query):
    ada = stage.launch("ada")
    key = stage.wait_roster(ada)
    address = f"{stage.httpd.roster_url}?{query}" if query.startswith(("course", "context")) else f"{stage.httpd.roster_url}?course={key}&{query}"
    assert Browser().get(address).status in (200, 400, 404), query


def test_wrong_methods_at_roster_and_sync(stage):
    ada = stage.launch("ada")
    stage.wait_roster(ada)
    for method, path in (("POST", "roster"), ("PUT", "roster"), ("DELETE", "roster"), ("DELETE", "sync"), ("PUT", "sync")):
        refused = ada.request(method, stage.url(f"/lti/{path}"), b"", {"Origin": stage.httpd.base_url, "Sec-Fetch-Site": "same-origin"})
        assert refused.status == 405 and "GET" in refused.header("Allow"), (method, path)


def test_update_now_does_not_come_from_other_sites(stage):
    """Invariant 10."""
    ada = stage.launch("ada")
    stage.wait_roster(ada)
    refused = ada.post(stage.url("/lti/sync"), origin="https://evil.example")
    assert (refused.status, refused.error) == (403, "cross-site")
