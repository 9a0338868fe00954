# SPDX-License-Identifier: Apache-2.0
"""Issue 4, point 6: sections and groups, from launches, from the roster's message section, and from the Course Groups Service (SPEC 6.5, 7.2)."""
import json
from urllib.parse import parse_qs, unquote

import pytest
from campus_groups import GROUPS_SCOPE, Groups
from client import Browser

PLACE = """<Location "/s/{name}">
    AuthType LTI
    Require {require}
    AuthzSendForbiddenOnFailure On
</Location>
"""

PLACES = {
    "lab": 'lti-section "Lab, Monday"',
    "two": "lti-section elsewhere Tuesday",
    "none": "lti-section nobody",
    "team": 'lti-group "Team Ørsted"',
    "watch": 'lti-group "Watch list"',
}

ALL = {"launch": "LTISectionClaim sections", "roster": "LTISectionClaim sections\n    LTISectionsFromRoster rlid", "groups": "LTISectionsFromRoster On"}


def start(make_stage, directives, pace="LTISyncInterval 1h"):
    stage = make_stage()
    stage.campus.groups = Groups(stage.campus)
    stage.campus.groups.sections = {"zoe": ["Lab, Monday", "Übung 100% A"], "sam": ["Tuesday"]}
    stage.campus.groups.add("g-1", "Team Ørsted", ["zoe", "grace"])
    stage.campus.groups.add("g-2", "Watch list", ["zoe"], hidden=True)
    stage.campus.groups.add("g-3", "Team B", ["sam"])
    for name in PLACES:
        stage.httpd.put(f"s/{name}/index.txt", name)
    stage.httpd.allow_log("AH0163")
    stage.httpd.platform = stage.httpd.platform.replace("</LTIPlatform>", f"    {directives}\n</LTIPlatform>")
    places = "".join(PLACE.format(name=name, require=require) for name, require in PLACES.items())
    return stage.configure(pace=pace, extra=places).start()


def names(text):
    return [unquote(word) for word in text.split(" ")]


def admitted(stage, browser):
    return {name for name in PLACES if browser.get(stage.url(f"/s/{name}/index.txt")).status == 200}


def member(stage, key, login):
    return stage.members(key)[stage.campus.state.person(login).id]


# --- what launches say ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def launches(make_shared_stage):
    """No roster at all: launches tell sections."""
    return start(make_shared_stage, ALL["launch"], pace="LTISync Off")


@pytest.mark.parametrize("commas", [False, True])
def test_launch_tells_sections(launches, commas):
    launches.campus.groups.commas = commas
    told = ["Lab, Monday", "Übung 100% A"] if not commas else ["Lab", "Monday", "Übung 100% A"]
    zoe = launches.launch("zoe")
    header, variables = launches.echo(zoe), launches.environment(zoe)
    assert names(header["x-lti-sections"]) == told and variables["LTI_SECTIONS"] == header["x-lti-sections"].encode().decode()
    assert "x-lti-groups" not in header and "LTI_GROUPS" not in variables
    # It is told by that name, not by two.
    assert "x-lti-custom-sections" not in header and header["x-lti-custom-login"] == "zoe"
    launches.campus.groups.commas = False


def test_sections_open_places(launches):
    assert admitted(launches, launches.launch("zoe")) == {"lab"}
    assert admitted(launches, launches.launch("sam")) == {"two"}
    # The campus knows no sections of hers, so that its variable came as it was written.
    emmy = launches.launch("emmy")
    assert admitted(launches, emmy) == set() and "x-lti-sections" not in launches.echo(emmy)
    stranger = Browser().get(launches.url("/s/lab/index.txt"))
    assert (stranger.status, stranger.error) == (401, "session-none")


def test_a_client_cannot_bring_sections_of_its_own(launches):
    emmy = launches.launch("emmy")
    told = launches.echo(emmy, headers=[("X-LTI-Sections", "nobody"), ("X_LTI_Groups", "nobody")])
    assert "x-lti-sections" not in told and "x-lti-groups" not in told
    assert launches.environment(emmy, headers=[("X-LTI-Sections", "nobody")]).get("LTI_SECTIONS") is None


def test_many_sections_fit_into_the_session(launches):
    """More than a cookie holds (the surplus), and more than a header holds (cut between names)."""
    sections = launches.campus.groups.sections
    sections["emmy"] = [f"Section {number:03} of the course" for number in range(90)]
    told = launches.echo(launches.launch("emmy"))
    assert names(told["x-lti-sections"]) == sections["emmy"] and "x-lti-truncated" not in told
    sections["emmy"] = [f"Section {number:03} of a course with long names" for number in range(100)]
    told = launches.echo(launches.launch("emmy"))
    cut = names(told["x-lti-sections"])
    assert 50 < len(cut) < 100 and cut == sections["emmy"][: len(cut)]
    assert "X-LTI-Sections" in told["x-lti-truncated"]
    del sections["emmy"]


# --- what the roster says -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed(make_shared_stage):
    """The roster tells sections (rlid) and groups; launches say nothing."""
    stage = start(make_shared_stage, ALL["roster"])
    stage.campus.groups.in_launch = False
    stage.campus.page_cap = 5
    stage.browser = stage.launch("ada")
    stage.key = stage.wait_roster(stage.browser)
    return stage


def test_roster_is_asked_with_the_course_as_resource_link(listed):
    """SPEC N-50; next links are used as they are (N-11)."""
    course = listed.campus.state.course("BIO1")
    first = parse_qs(listed.campus.requests("nrps")[0].query)
    assert first["rlid"] == [course.id] and first["groups"] == ["true"]
    scopes = [parse_qs(entry.body.decode())["scope"] for entry in listed.campus.requests("token")]
    assert [GROUPS_SCOPE] in scopes and all(len(scope[0].split()) == 1 for scope in scopes), scopes


def test_roster_tells_sections_and_groups(listed):
    """SPEC K-27."""
    zoe = member(listed, listed.key, "zoe")
    assert zoe["sections"] == ["Lab, Monday", "Übung 100% A"]
    assert zoe["groups"] == ["Team Ørsted"], "a hidden group is told, or one is missing"
    assert member(listed, listed.key, "sam")["groups"] == ["Team B"]  # of the groups' second page
    assert not {"sections", "groups"} & set(member(listed, listed.key, "emmy"))
    rows = listed.httpd.store.execute(f"SELECT section_names, group_names FROM lti_member WHERE user_id = '{zoe['user_id']}'")
    assert [json.loads(column) for column in rows[0]] == [zoe["sections"], zoe["groups"]]


def test_requests_get_what_the_launch_did_not_say(listed):
    zoe = listed.launch("zoe")
    for _ in range(2):  # from the database, then from memory
        told = listed.echo(zoe)
        assert names(told["x-lti-sections"]) == ["Lab, Monday", "Übung 100% A"] and names(told["x-lti-groups"]) == ["Team Ørsted"]
    assert admitted(listed, zoe) == {"lab", "team"}
    assert admitted(listed, listed.launch("grace")) == {"team"}
    assert "x-lti-sections" not in listed.echo(listed.launch("emmy"))


def test_launch_counts_where_it_says_something(listed):
    listed.campus.groups.in_launch = True
    listed.campus.groups.sections["sam"] = ["nobody"]
    sam = listed.launch("sam")
    listed.campus.groups.sections["sam"] = ["Tuesday"]
    listed.campus.groups.in_launch = False
    assert listed.echo(sam)["x-lti-sections"] == "nobody"
    assert admitted(listed, sam) == {"none"}


def test_change_of_section_arrives_in_open_sessions(listed):
    zoe = listed.launch("zoe")
    assert "lab" in admitted(listed, zoe)
    listed.campus.groups.sections["zoe"] = ["Tuesday"]
    since = len(listed.httpd.log_lines())
    listed.sync_now(listed.browser)
    listed.httpd.wait_log(r"LTI0303.*joined 0, changed 1, left 0", since=since)
    assert admitted(listed, zoe) == {"two", "team"}
    listed.campus.groups.sections["zoe"] = ["Lab, Monday", "Übung 100% A"]
    since = len(listed.httpd.log_lines())
    listed.sync_now(listed.browser)
    listed.httpd.wait_log(r"LTI0303.*changed 1", since=since)


def test_order_of_sections_is_no_change(listed):
    listed.campus.groups.sections["zoe"].reverse()
    since = len(listed.httpd.log_lines())
    listed.sync_now(listed.browser)
    assert listed.httpd.wait_log(r"LTI0303.*joined 0, changed 0, left 0", since=since)
    listed.campus.groups.sections["zoe"].reverse()


def test_message_as_an_object_is_read_too(listed):
    """SPEC N-51."""
    listed.campus.groups.message_object = True
    since = len(listed.httpd.log_lines())
    listed.sync_now(listed.browser)
    assert listed.httpd.wait_log(r"LTI0303.*joined 0, changed 0, left 0", since=since)
    listed.campus.groups.message_object = False


FAULTS = {
    "503": {"status": 503},
    "404": {"status": 404},
    "html": {"html": True},
    "malformed": {"malformed": True},
    "down": {"down": True},
    "truncate": {"truncate": True},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_failing_groups_service_costs_nothing(listed, fault):
    """The roster comes, and the names of before stay."""
    listed.httpd.allow_log("LTI0570")
    listed.campus.faults["groups"] = dict(FAULTS[fault])
    person = listed.campus.state.person("rosa")
    listed.campus.state.enrol("BIO1", "rosa")
    since = len(listed.httpd.log_lines())
    listed.sync_now(listed.browser)
    listed.httpd.wait_log(r"LTI0303.*joined 1, changed 0, left 0|LTI0303.*changed 0, left 0, returned 1", since=since)
    listed.httpd.wait_log(r"LTI0570.*names of sections or groups could not be read", since=since)
    listed.campus.faults.clear()
    assert member(listed, listed.key, "zoe")["groups"] == ["Team Ørsted"] and person.id in listed.members(listed.key)
    listed.campus.state.drop("BIO1", "rosa")
    listed.sync_now(listed.browser)


def test_refused_scope_is_not_asked_for_again_at_once(listed):
    """SPEC 5.4, invalid_scope."""
    listed.httpd.allow_log("LTI0570")
    listed.campus.groups.granted = False
    listed.campus.tokens.clear()
    asked = len(listed.campus.requests("token"))
    for _ in range(2):
        listed.sync_now(listed.browser)
    scopes = [parse_qs(entry.body.decode())["scope"][0] for entry in listed.campus.requests("token")[asked:]]
    assert scopes.count(GROUPS_SCOPE) <= 1
    assert member(listed, listed.key, "zoe")["groups"] == ["Team Ørsted"]
    listed.campus.groups.granted = True


def test_refused_rlid_costs_the_sections_only(make_stage):
    """SPEC N-52, N-53: nobody is dropped."""
    stage = start(make_stage, ALL["roster"])
    stage.campus.groups.takes_rlid = False
    stage.httpd.allow_log("LTI0570")
    browser = stage.launch("ada")
    key = stage.wait_roster(browser)
    assert len(stage.members(key)) == 14 and "sections" not in member(stage, key, "zoe")
    assert stage.httpd.wait_log("LTI0570.*rlid, HTTP 400")


def test_groups_without_rlid(make_stage):
    """LTISectionsFromRoster On: where a course's id is no rlid. `Require lti-group` needs no directive."""
    stage = start(make_stage, "LTISectionsFromRoster On")
    zoe = stage.launch("zoe")
    stage.wait_roster(stage.launch("ada"))
    assert "rlid" not in stage.campus.requests("nrps")[0].query
    assert names(stage.echo(zoe)["x-lti-groups"]) == ["Team Ørsted"] and admitted(stage, zoe) == {"team"}


def test_place_asks_the_roster_without_the_directive(make_stage):
    stage = start(make_stage, "LTISectionClaim groups=teams")
    zoe = stage.launch("zoe")
    stage.wait_roster(stage.launch("ada"))
    assert "x-lti-groups" not in stage.echo(zoe)
    assert admitted(stage, zoe) == {"team"}


# --- what cannot be -------------------------------------------------------------------------------------------------------------------

REFUSED = {
    "LTISectionClaim": "takes 1-2 arguments",
    'LTISectionClaim ""': "takes 1-2 arguments",
    "LTISectionClaim $com.instructure.User.sectionNames": "must be the name of a custom parameter",
    "LTISectionClaim group=teams": "must be the name of a custom parameter",
    "LTISectionClaim a b": "names the parameter of sections twice",
    "LTISectionsFromRoster yes": "must be Off, On or rlid",
    "LTISectionsFromRoster rlid": "needs LTISectionClaim",
}


@pytest.mark.parametrize("line", REFUSED)
def test_apachectl_says_what_is_wrong(make_stage, line):
    httpd = make_stage().httpd
    httpd.platform = httpd.platform.replace("</LTIPlatform>", f"    {line}\n</LTIPlatform>")
    code, output = httpd.configtest()
    assert code != 0 and REFUSED[line] in output, output


@pytest.mark.parametrize("family", ["moodle", "blackboard", "brightspace", "sakai", "schoology"])
def test_rlid_is_for_canvas(make_stage, family):
    """SPEC N-53: elsewhere the id of a course is no resource link."""
    httpd = make_stage().httpd
    key = " key" if family == "sakai" else ""
    lines = f"LTIPreset {family} https://lms.example.edu{key}\n    LTISectionClaim sections\n    LTISectionsFromRoster"
    for word, good in (("rlid", False), ("On", True)):
        httpd.platform = httpd.platform_block().replace("</LTIPlatform>", f"    {lines} {word}\n</LTIPlatform>")
        code, output = httpd.configtest()
        assert (code == 0) == good and (good or f"{family} does not take it" in output), output


def test_outside_a_platform_they_say_where_they_belong(make_stage):
    for line in ("LTISectionClaim sections", "LTISectionsFromRoster On"):
        code, output = make_stage().configure(extra=line).httpd.configtest()
        assert code != 0 and "belongs inside an <LTIPlatform NAME> block" in output
