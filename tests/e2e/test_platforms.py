# SPDX-License-Identifier: Apache-2.0
"""What platforms of each family were seen to do with tokens and rosters, a test for each habit. One httpd serves all of them; each test has a course of its own."""
import itertools
import json

import pytest
from campus import Campus
from campus_families import FAMILIES
from campus_protocol import NRPS_SCOPE, NRPS_TYPE
from campus_state import MEMBERSHIP
from client import Browser
from httpd import free_port, wait_for
from stage import QUIET, active

EXPLICIT = """LTIIssuer {issuer}
    LTIAuthorizationEndpoint {issuer}/auth
    LTITokenEndpoint {issuer}/token
    LTIKeySet {issuer}/jwks
    LTIDeployment any"""

# As an administrator would write it; what a preset cannot know here is that the platform runs on this machine.
BLOCKS = {
    "canvas": "LTIPreset canvas {issuer}\n    LTIIssuer {issuer}",
    "moodle": "LTIPreset moodle {issuer}",
    "blackboard": "LTIPreset blackboard {issuer}\n    " + EXPLICIT,
    "brightspace": "LTIPreset brightspace {issuer}\n    LTITokenEndpoint {issuer}/token",
    "schoology": "LTIPreset schoology {issuer}\n    " + EXPLICIT,
    "sakai": "LTIPreset sakai {issuer} 12",
    "openedx": EXPLICIT,
    "small": EXPLICIT,
}
# A platform that asked for patience is left alone for a while, so these tests have one of their own.
PATIENCE = {"canvas-429": "canvas", "canvas-403": "canvas", "moodle-503": "moodle"}
CROWD = [f"p{number:03}" for number in range(240)]
labels = (f"T{number}" for number in itertools.count(1))


class Course:
    """A course at a platform, new for one test: Ada teaches it, some more are in it."""

    def __init__(self, stage, campus, learners=("zoe", "sam", "alan")):
        self.stage, self.campus, self.family, self.state = stage, campus, campus.family, campus.state
        self.course = self.state.add_course(next(labels), "Things & such")
        self.label = self.course.label
        self.enrol("ada", "instructor")
        for login in learners:
            self.enrol(login)
        self.since = len(stage.httpd.log_lines())
        campus.log.clear()
        campus.assertions.clear()

    def enrol(self, login, role="learner"):
        self.state.enrol(self.label, login, role)

    def drop(self, *logins):
        for login in logins:
            self.state.drop(self.label, login)

    def id(self, login):
        return self.family.user_id(self.state.person(login))

    def ids(self, *logins):
        return {self.id(login) for login in logins}

    def launch(self, login="ada"):
        browser = Browser()
        browser.steps = browser.launch(self.campus, self.label, login, "proxied")
        return browser

    def key(self, browser):
        return self.stage.echo(browser)["x-lti-course-key"]

    def roster(self, browser):
        """The members once the roster has come."""
        wait_for(lambda: self.stage.state(browser) == "current", "the roster", 15)
        return self.stage.members(self.key(browser))

    def sync(self, browser):
        """Update now; the roster after it."""
        self.stage.sync_now(browser)
        return self.stage.members(self.key(browser))

    def fails(self, browser, code, sync=False):
        """The run fails for this reason, in the log and at the course; returns what is told about it."""
        self.stage.httpd.allow_log(rf"LTI0301.*{code}")
        if sync:
            self.stage.sync_now(browser)
        self.stage.httpd.wait_log(rf"LTI0301.*{self.key(browser)}.*{code}", since=self.since)
        told = wait_for(lambda: code in str(self.stage.sync_status(browser)) and self.stage.sync_status(browser), f"the reason {code}")
        self.since = len(self.stage.httpd.log_lines())
        return str(told)

    def pages(self):
        return [entry.query for entry in self.campus.requests("nrps")]


@pytest.fixture(scope="module")
def stage(make_shared_stage):
    stage = make_shared_stage()
    stage.families = {}
    for name in [*FAMILIES, *PATIENCE]:
        campus = Campus(stage.campus.tool.base_url, free_port()).play(PATIENCE.get(name, name))
        for login in CROWD:
            campus.state.add_person(login, login.upper(), "Crowd")
        stage.families[name] = campus.start()
    blocks = [
        f'<LTIPlatform "{name}">\n    {BLOCKS[PATIENCE.get(name, name)].format(issuer=campus.issuer)}\n    LTIClientID {campus.tool.client_id}\n</LTIPlatform>'
        for name, campus in stage.families.items()
    ]
    stage.configure(pace=QUIET, platform="\n".join(blocks)).start()
    yield stage
    for campus in stage.families.values():
        campus.stop()


@pytest.fixture
def make_course(stage):
    """Course(...) at the platform of a family; its switches are as ever afterwards."""
    used = []

    def make(family, **options):
        campus = stage.families[family]
        used.append(campus)
        campus.family.__init__(campus)
        return Course(stage, campus, **options)

    yield make
    for campus in used:
        campus.family.__init__(campus)
        campus.faults.clear()
        campus.tamper_member = campus.tamper_claims = None
        campus.tool.jwks_url = f"{campus.tool.base_url}/lti/jwks"


# --- the campus plays what was seen ---------------------------------------------------------------------------------------------------


def test_campus_plays_moodle_as_it_was_seen():
    """Accept is one literal string, Bearer has a capital, next links lose the role, unknown roles and limits are ignored."""
    campus = Campus("http://localhost:1").play("moodle")
    family, course = campus.family, campus.state.course("BIO1")
    campus.tokens["t"] = (4e9, [NRPS_SCOPE])

    def ask(query="", accept=NRPS_TYPE, scheme="Bearer"):
        return family.roster(family.context_id(course), query, {"Authorization": f"{scheme} t", "Accept": accept})

    for accept in (f"{NRPS_TYPE};q=1.0", f"{NRPS_TYPE}, application/json", NRPS_TYPE.upper(), "application/json"):
        assert ask(accept=accept).status == 400 and b"No handler found" in ask(accept=accept).body
    assert ask(accept="text/html, */*").status == 200 and b"pageOf" in ask(accept="application/vnd.ims.lis.v2.membershipcontainer+json").body
    assert ask(scheme="bearer").status == 401
    assert len(json.loads(ask().body)["members"]) == 14 and not ask().headers
    first = ask("role=Learner&limit=3")
    assert [member["roles"] for member in json.loads(first.body)["members"]] == [["Learner"]] * 3
    assert "limit=3&from=3" in first.headers[0][1] and "role" not in first.headers[0][1]
    for query in ("role=learner", "limit=0", "limit=-1", "limit=x", "from=3"):
        assert len(json.loads(ask(query).body)["members"]) == 14, query
    assert json.loads(ask("limit=3&from=99").body)["members"] == [] and ask("rlid=abc").status == 500
    assert b"\\/" in ask().body and ask().body.isascii()


# --- every family ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_roster_of_every_family_is_read_with_its_preset(make_course, family):
    """SPEC N-04, 6.2: one media type, spelled as Moodle compares it, the address of the claim as it is, no role and no resource link in it. SPEC N-37: what is
    unknown is ignored. SPEC N-38: each family's type."""
    course = make_course(family)
    course.stage.httpd.allow_log("LTI0570.*elsewhere")
    ada = course.launch()
    members = course.roster(ada)
    assert set(members) == course.ids("ada", "zoe", "sam", "alan")
    assert all("Learner" in str(members[course.id(login)]["roles"]) for login in ("zoe", "sam", "alan"))
    assert "Instructor" in str(members[course.id("ada")]["roles"])
    assert course.stage.echo(ada)["x-lti-user-id"] == course.id("ada") and course.stage.echo(ada)["x-lti-role"] == "instructor"
    for entry in course.campus.requests("nrps"):
        assert entry.headers["Accept"] == "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
        assert "role=" not in entry.query and "rlid=" not in entry.query
    for entry in course.campus.requests("nrps") + course.campus.requests("token"):
        assert "mod_lti_sync" in entry.headers["User-Agent"]


@pytest.mark.parametrize(
    ("family", "limit", "pages"),
    [("canvas", "limit=50", 3), ("moodle", "", 1), ("blackboard", "limit=1000", 1), ("schoology", "limit=100", 2), ("openedx", "limit=100", 2)],
)
def test_page_sizes(make_course, family, limit, pages):
    """SPEC N-10, N-15, 6.8: Canvas gives 50 whatever is asked, Schoology 100 at most, Blackboard 1000, Moodle all at once."""
    course = make_course(family, learners=CROWD[:120])
    ada = course.launch()
    assert set(course.roster(ada)) == course.ids("ada", *CROWD[:120])
    assert len(course.pages()) == pages
    assert limit in course.pages()[0] and ("limit" in course.pages()[0]) == bool(limit)


# --- Canvas ---------------------------------------------------------------------------------------------------------------------------


def test_canvas_wants_an_audience_without_port(make_course):
    """The token's address with neither a port nor a slash at its end."""
    course = make_course("canvas")
    course.campus.tokens.clear()
    course.roster(course.launch())
    assert [claims["aud"] for claims in course.campus.assertions] == ["http://localhost/login/oauth2/token"]


@pytest.mark.parametrize("status", [429, 403])
def test_canvas_throttles_with_429_and_once_with_403(make_course, status):
    """The first kind of 403: a rate limit. The token is not to blame."""
    course = make_course(f"canvas-{status}")
    ada = course.launch()
    before = course.roster(ada)
    course.family.bucket, course.family.throttle_status = 0.0, status
    course.campus.log.clear()
    told = course.fails(ada, "roster-busy", sync=True)
    assert "Rate Limit Exceeded" in told and len(course.pages()) == 1 and not course.campus.requests("token")
    assert course.stage.members(course.key(ada)) == before


def test_canvas_visitor_without_a_role_in_the_course(make_course):
    """Who opens a course that the institution may see has no course role, and is in no roster: the launch decides."""
    course = make_course("canvas")
    institution = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#Student"
    course.campus.tamper_claims = lambda claims: dict(
        claims, sub="u-visitor", **{"https://purl.imsglobal.org/spec/lti/claim/roles": [institution]}
    )
    visitor = course.launch("zoe")
    course.campus.tamper_claims = None
    ada = course.launch()
    assert "u-visitor" not in course.roster(ada)
    told = course.stage.echo(visitor)
    assert (told["x-lti-user-id"], told["x-lti-roles"]) == ("u-visitor", institution)


# --- Moodle ---------------------------------------------------------------------------------------------------------------------------


def test_moodle_escapes_names_in_rosters_only(make_course):
    """The names of roster and launch are the same text, however it looks."""
    course = make_course("moodle", learners=["bobby", "siobhan"])
    person = course.state.person("siobhan")
    full = person.full
    try:
        person.full = 'R&D &amp; "O\'Brien" <x> &lt;'
        bobby, siobhan, ada = course.launch("bobby"), course.launch("siobhan"), course.launch()
        members = course.roster(ada)
        for login, browser in (("bobby", bobby), ("siobhan", siobhan)):
            told = course.stage.echo(browser)
            assert members[course.id(login)]["name"] == course.state.person(login).name == told["x-lti-name"]
        assert members[course.id("bobby")]["family_name"] == '"Tables" & Söhne'
        # In other rosters the same letters are what somebody typed.
        other = make_course("sakai", learners=[])
        other.state.person("ada").full = "Ampers &amp; Sons"
        assert other.roster(other.launch())[other.id("ada")]["name"] == "Ampers &amp; Sons"
        other.state.person("ada").full = ""
    finally:
        person.full = full


def test_moodle_assistant_launches_as_teacher_and_is_listed_as_learner(make_course):
    """Roles of launch and roster differ: the launch decides until the roster changes its mind (Invariant 3)."""
    course = make_course("moodle")
    course.enrol("grace", "teaching-assistant")
    grace, ada = course.launch("grace"), course.launch()
    members = course.roster(ada)
    assert members[course.id("grace")]["roles"] == ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"]
    course.sync(ada)
    assert (course.stage.echo(grace)["x-lti-role"], course.stage.echo(grace)["x-lti-role-source"]) == ("instructor", "launch")


def test_moodle_names_an_administrator_as_no_vocabulary_does(make_course):
    course = make_course("moodle")
    course.campus.tamper_member = lambda member: (
        dict(member, roles=["https://purl.imsglobal.org/vocab/lis/v2/person#Administrator", "Instructor"])
        if member["user_id"] == course.id("zoe")
        else member
    )
    members = course.roster(course.launch())
    assert MEMBERSHIP + "#Instructor" in members[course.id("zoe")]["roles"]


def test_moodle_gives_tokens_as_html(make_course):
    """SPEC T-01: JSON, whatever it is labelled."""
    course = make_course("moodle")
    course.campus.tokens.clear()
    course.roster(course.launch())
    assert len(course.campus.requests("token")) == 1 and course.family.token_answer("x", 1, []).content_type.startswith("text/html")


def test_moodle_that_cannot_fetch_our_keys_answers_404_with_a_page(make_course):
    course = make_course("moodle")
    ada = course.launch()
    course.roster(ada)
    course.campus.tokens.clear()
    course.campus.tool.jwks_url = "http://localhost:1/jwks"
    told = course.fails(ada, "token-refused", sync=True)
    assert "could not fetch this tool" in told


def test_moodle_error_that_is_no_json(make_course):
    course = make_course("moodle")
    ada = course.launch()
    course.roster(ada)
    course.campus.tokens.clear()
    course.campus.tool.jwks_url = course.campus.jwks_url  # a key set, but not with our key
    assert "unable to lookup correct key" in course.fails(ada, "token-refused", sync=True)


def test_moodle_without_the_service_offers_none(make_course):
    """The commonest cause of "no roster": the launch works, the claim is absent."""
    course = make_course("moodle")
    course.family.service_on = False
    ada = course.launch()
    assert course.stage.state(ada) == "none"
    assert not course.pages()


def test_moodle_service_switched_off_and_on(make_course):
    """SPEC T-05, T-08: 401 is an old token or no permission; only a new request for a token tells which."""
    course = make_course("moodle")
    ada = course.launch()
    course.roster(ada)
    course.family.service_on = False
    course.campus.log.clear()
    told = course.fails(ada, "scope-refused", sync=True)
    assert "invalid_scope" in told and len(course.pages()) == 1
    course.family.service_on = True
    course.enrol("emmy")
    assert course.id("emmy") in course.sync(ada)


def test_moodle_course_that_was_deleted(make_course):
    course = make_course("moodle")
    ada = course.launch()
    before = course.roster(ada)
    context_id = course.family.context_id(course.course)
    course.family.course = lambda wanted: None
    try:
        told = course.fails(ada, "roster-gone", sync=True)
    finally:
        del course.family.course
    assert f"Not Found: Course {context_id} " in told
    assert course.stage.members(course.key(ada)) == before


def test_moodle_in_maintenance_asks_for_patience(make_course):
    """503 with Retry-After and a page, from all end points."""
    course = make_course("moodle-503")
    ada = course.launch()
    before = course.roster(ada)
    course.family.maintenance = True
    course.fails(ada, "roster-busy", sync=True)
    assert course.stage.members(course.key(ada)) == before


def test_moodle_without_permission_for_names(make_course):
    """SPEC N-36: a tool lives without names and addresses."""
    course = make_course("moodle")
    course.family.names_on = False
    members = course.roster(course.launch())
    assert set(members) == course.ids("ada", "zoe", "sam", "alan")
    assert not any(name in member for member in members.values() for name in ("name", "given_name", "email"))
    assert members[course.id("zoe")]["lis_person_sourcedid"] == "SIS-zoe"


def test_moodle_leaves_out_who_left_and_knows_them_when_they_return(make_course):
    """SPEC N-43: the word Inactive never comes; leaving is absence from a complete list."""
    course = make_course("moodle")
    ada = course.launch()
    course.roster(ada)
    course.drop("zoe")
    assert active(course.sync(ada)) == course.ids("ada", "sam", "alan")
    course.enrol("zoe")
    assert active(course.sync(ada)) == course.ids("ada", "zoe", "sam", "alan")


def test_moodle_token_reads_every_course_but_only_the_launch_says_where_we_are(make_course):
    """SPEC N-05: an address that did not come in a signed claim is never asked."""
    course = make_course("moodle")
    other = course.state.add_course(next(labels), "Elsewhere")
    ada = course.launch()
    course.roster(ada)
    answer = ada.get(course.stage.url(f"/lti/roster?context={course.family.context_id(other)}"))
    assert answer.status in (403, 404)
    assert {entry.path for entry in course.campus.requests("nrps")} == {f"/nrps/{course.family.context_id(course.course)}"}


# --- Blackboard -----------------------------------------------------------------------------------------------------------------------


def test_blackboard_leads_back_to_an_earlier_page(make_course):
    """SPEC N-14: addresses that were seen are remembered, and the run ends; nothing of it counts."""
    course = make_course("blackboard", learners=CROWD[:8])
    ada = course.launch()
    before = course.roster(ada)
    course.family.page_most, course.family.goes_in_circles = 4, True
    course.enrol("zoe")
    course.campus.log.clear()
    course.fails(ada, "roster-loop", sync=True)
    assert course.stage.members(course.key(ada)) == before and len(course.pages()) == 3


def test_blackboard_keeps_its_own_query(make_course):
    """SPEC N-04, T-03: placement_id stays, limit is added; the type of the token is bearer in any spelling; the claim's scope is tolerated."""
    course = make_course("blackboard")
    course.campus.tokens.clear()
    course.roster(course.launch())
    assert set(course.pages()) == {"placement_id=_220_1&limit=1000"}
    assert len(course.campus.requests("token")) == 1 and b"bEARER" in course.family.token_answer("x", 1, []).body


# --- Brightspace ----------------------------------------------------------------------------------------------------------------------


def test_brightspace_audience_is_not_the_address_of_its_tokens(make_course):
    course = make_course("brightspace")
    course.campus.tokens.clear()
    course.roster(course.launch())
    assert [claims["aud"] for claims in course.campus.assertions] == ["https://api.brightspace.com/auth/token"]


def test_brightspace_that_lists_only_who_has_launched(make_course):
    """It looks healthy, and is what the platform says; whoever launches is let in and listed at the next run."""
    course = make_course("brightspace")
    course.family.only_known = True
    ada = course.launch()
    assert set(course.roster(ada)) == course.ids("ada")
    zoe = course.launch("zoe")
    assert course.stage.status(zoe)[0] == 200
    assert active(course.sync(ada)) == course.ids("ada", "zoe")
    assert course.stage.status(zoe)[0] == 200


def test_brightspace_without_a_course_and_with_empty_mail(make_course):
    """SPEC N-36: "" is as absent."""
    course = make_course("brightspace")
    assert "email" not in course.roster(course.launch())[course.id("zoe")]
    course.family.org_unit_on = False
    told = course.stage.echo(course.launch("zoe"))
    assert told["x-lti-user-id"] == course.id("zoe") and "x-lti-context-id" not in told


# --- Schoology ------------------------------------------------------------------------------------------------------------------------


def test_schoology_refuses_a_resource_link_in_the_query(make_course):
    """400 "query.rlid" is not allowed: so none is sent, on no page."""
    course = make_course("schoology", learners=CROWD[:150])
    course.roster(course.launch())
    assert len(course.pages()) == 2 and not any("rlid" in query for query in course.pages())


# --- Sakai ----------------------------------------------------------------------------------------------------------------------------


def test_sakai_pages_of_a_site_with_a_cap(make_course):
    course = make_course("sakai", learners=CROWD[:7])
    course.family.site_cap = 3
    assert set(course.roster(course.launch())) == course.ids("ada", *CROWD[:7])
    assert course.pages() == ["", "limit=3&start=3", "limit=3&start=6"]


def test_sakai_gives_an_empty_body_for_an_empty_course(make_course):
    """SPEC N-39: as an empty list, which is not applied to a course that had people (N-42)."""
    course = make_course("sakai")
    ada = course.launch()
    course.roster(ada)
    course.drop("ada", "zoe", "sam", "alan")
    course.stage.httpd.allow_log(r"LTI0302.*roster-empty")
    assert active(course.sync(ada)) == course.ids("ada", "zoe", "sam", "alan")
    assert course.stage.state(ada) == "held"


def test_sakai_says_403_to_a_token_that_is_over(make_course):
    """The third 403 that is none of permission: a new token mends it."""
    course = make_course("sakai")
    ada = course.launch()
    course.roster(ada)
    course.campus.tokens.clear()
    course.campus.log.clear()
    course.enrol("emmy")
    assert course.id("emmy") in course.sync(ada)
    assert len(course.campus.requests("token")) == 1


def test_sakai_without_an_order_misses_nobody_for_long(make_course):
    """Pages that overlap and miss people: who is missing from one walk only stays (Invariant 2). SPEC N-17: who is named twice is one person."""
    course = make_course("sakai", learners=CROWD[:7])
    ada = course.launch()
    before = set(course.roster(ada))
    course.family.site_cap, course.family.turns = 3, True
    course.stage.httpd.allow_log("LTI0570.*named before")
    calm = course.family.page

    def page(people, form, walks=[]):  # noqa: B006: one list for all pages
        walks.append(form.get("start"))
        if walks.count(None) > 1:
            course.family.turns = False
        return calm(people, form)

    course.family.page = page
    try:
        assert active(course.sync(ada)) == before
    finally:
        del course.family.page
    assert len([query for query in course.pages() if "start" not in query]) == 3, "no second walk was made"


# --- Open edX and others --------------------------------------------------------------------------------------------------------------


def test_open_edx_gives_no_roster_above_its_limit(make_course):
    """The second kind of 403: too many people. Neither a permission nor a rate limit, and its own sentence."""
    course = make_course("openedx")
    course.family.most, course.family.pages = 3, False
    ada = course.launch()
    told = course.fails(ada, "roster-too-large")
    assert "above_response_limit" in told and course.stage.state(ada) != "current"
    course.family.pages = True
    assert set(course.sync(ada)) == course.ids("ada", "zoe", "sam", "alan")


def test_403_without_permission_has_a_sentence_of_its_own(make_course):
    """The plain kind of 403. SPEC T-08: one new token, then it is believed."""
    course = make_course("openedx")
    ada = course.launch()
    course.roster(ada)
    course.campus.log.clear()
    course.campus.faults["nrps"] = {"status": 403, "body": b'{"detail":"You do not have permission to perform this action."}'}
    assert "You do not have permission" in course.fails(ada, "roster-forbidden", sync=True)
    assert len(course.pages()) == 2 and len(course.campus.requests("token")) == 1


def test_roster_names_another_context_than_the_launch(make_course):
    """SPEC N-31, as Coursera has it: taken, and said once, not with each run that changes nothing."""
    course = make_course("small")
    ada = course.launch()
    course.stage.httpd.allow_log(r"LTI0570.*elsewhere")
    assert set(course.roster(ada)) == course.ids("ada", "zoe", "sam", "alan")
    line = course.stage.httpd.wait_log(rf"lti_sync:warn.*LTI0570.*{course.key(ada)}.*course-v1:elsewhere", since=course.since)
    since = course.stage.httpd.log_lines().index(line) + 1
    course.sync(ada)
    assert "lti_sync:info" in course.stage.httpd.wait_log(rf"LTI0570.*{course.key(ada)}", since=since)
    course.family.roster_context = None  # and platforms that name none
    course.enrol("emmy")
    assert course.id("emmy") in course.sync(ada)


def test_user_ids_as_numbers_and_short_roles(make_course):
    """SPEC N-32, as Classera has it: a number is its digits, and the person of the launch."""
    course = make_course("small")
    course.stage.httpd.allow_log(r"LTI0570.*elsewhere")
    zoe, ada = course.launch("zoe"), course.launch()
    members = course.roster(ada)
    assert course.id("zoe") in members and course.id("zoe").isdigit()
    course.drop("zoe")
    course.sync(ada)
    assert course.stage.status(zoe) == (403, "member-left")


def test_what_changed_is_asked_for_where_a_platform_tells_it(make_course):
    """SPEC N-18: no large one does. Changes come one by one, and whoever is named as deleted has left."""
    course = make_course("small")
    course.family.tells_changes, course.family.roster_context = True, None
    zoe, ada = course.launch("zoe"), course.launch()
    assert set(course.roster(ada)) == course.ids("ada", "zoe", "sam", "alan")
    course.drop("zoe")
    course.enrol("emmy")
    course.state.set_role(course.label, "sam", "instructor")
    members = course.sync(ada)
    assert active(members) == course.ids("ada", "sam", "alan", "emmy")
    assert members[course.id("sam")]["roles"] == [MEMBERSHIP + "#Instructor"]
    assert course.stage.status(zoe) == (403, "member-left")
    assert active(course.sync(ada)) == course.ids("ada", "sam", "alan", "emmy")
    first, *changes = course.pages()
    assert "limit" in first and changes == [f"since={number}" for number in range(len(changes))] and len(changes) >= 2
