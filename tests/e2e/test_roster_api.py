# SPDX-License-Identifier: Apache-2.0
"""Issue 4, point 9: rosters for applications. Debian packages no NRPS client, so `nrps_client.py` was written after the specification alone and stands for the public ones: it follows
Link as it is, and demands the media type and each required member. A public one, ltijs of the npm registry, reads the roster unmodified where somebody has installed it:

    npm install --prefix /tmp/ltijs ltijs && LTI_LTIJS=/tmp/ltijs/node_modules/ltijs pytest tests/e2e/test_roster_api.py

test_roster.py has what else may be asked, and who may ask."""
import json
import os
import re
import shutil
import subprocess

import pytest
from campus_groups import Groups
from client import Browser
from httpd import ROOT, SERVICE, wait_for
from nrps_client import MEDIA_TYPE, NotAsSpecified, links, read_member, read_roster

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"


@pytest.fixture(scope="module")
def api(make_shared_stage):
    stage = make_shared_stage()
    stage.campus.groups = Groups(stage.campus)
    stage.campus.groups.sections = {"zoe": ["Lab, Monday"]}
    stage.campus.groups.add("g-1", "Team", ["sam"])
    person = stage.campus.state.person("sam").id
    stage.campus.tamper_member = lambda member: {key: value for key, value in member.items() if member["user_id"] != person or key != "email"}
    stage.httpd.platform = stage.httpd.platform.replace("</LTIPlatform>", "    LTISectionClaim sections\n    LTISectionsFromRoster rlid\n</LTIPlatform>")
    stage.configure(pace="LTISyncInterval 1h", extra='<Location "/lti/roster">\n    LTIRemoteUser {email-local}@{platform}\n</Location>').start()
    stage.browser = stage.launch("ada")
    stage.key = stage.wait_roster(stage.browser)
    stage.roster = f"{stage.httpd.roster_url}?course={stage.key}"
    return stage


@pytest.mark.parametrize(("limit", "pages"), [(None, 1), (1, 14), (3, 5), (7, 2), (14, 1), (1000, 1), (10**8, 1)])
def test_a_client_of_the_specification_reads_the_roster(api, limit, pages):
    """SPEC N-10, N-11, 6.4."""
    members, found = read_roster(api.roster, limit=limit)
    assert set(members) == api.enrolled() and found == pages


@pytest.mark.parametrize(
    ("role", "count"),
    [
        (MEMBERSHIP + "#Learner", 12),
        ("Learner", 12),
        (MEMBERSHIP + "#Instructor", 2),
        (MEMBERSHIP + "/Instructor#TeachingAssistant", 1),
        ("Mentor", 0),
        ("NoSuchRole", 0),
    ],
)
@pytest.mark.parametrize("limit", [None, 2])
def test_a_client_of_the_specification_asks_by_role(api, role, count, limit):
    """The next link keeps the role, which one platform's loses."""
    members, pages = read_roster(api.roster, role=role, limit=limit)
    assert len(members) == count and pages == (max(1, (count + 1) // 2) if limit else 1)
    if "#" in role:
        assert all(role in member["roles"] for member in members.values())


def test_a_bearer_token_of_the_client_is_no_obstacle(api):
    assert len(read_roster(api.roster, token="whatever-it-has")[0]) == 14


def test_course_in_the_path_is_the_same_roster(api):
    address = f"{api.httpd.roster_url}/{api.key}"
    assert read_roster(address)[0] == read_roster(api.roster)[0]
    members, pages = read_roster(address, limit=5, role="Learner")
    assert (len(members), pages) == (12, 3)
    client = Browser()
    for path, status, error in (
        (f"/{api.key}x", 404, "course-unknown"),
        ("/", 404, "course-unknown"),
        ("/%2e%2e/" + api.key, 404, None),
        (f"/{api.key}/more", 404, "course-unknown"),
        (f"/{api.key}?course={api.key}", 400, "parameter-invalid"),
    ):
        answer = client.get(api.httpd.roster_url + path)
        assert answer.status == status and error in (None, answer.error), (path, answer)
    # Who may ask is the same question.
    assert api.browser.get(api.url(f"/lti/roster/{api.key}")).status == 200
    assert client.get(api.url(f"/lti/roster/{api.key}")).status == 401
    rosa = api.launch("rosa", "HIS2")
    assert rosa.get(api.url(f"/lti/roster/{api.key}")).status == 403


LTIJS = """
const NamesAndRoles = require(process.argv[1] + '/dist/Provider/Services/NamesAndRoles.js')
const platform = { platformActive: async () => true, platformAccessToken: async () => ({ token_type: 'Bearer', access_token: 'none' }) }
const service = new NamesAndRoles(async () => platform, '', null)
const idtoken = { iss: 'x', clientId: 'x', platformContext: { namesRoles: { context_memberships_url: process.argv[2] } } }
service.getMembers(idtoken, JSON.parse(process.argv[3])).then(result => console.log(JSON.stringify(result)))
"""


@pytest.mark.skipif(not os.environ.get("LTI_LTIJS") or not shutil.which("node"), reason="LTI_LTIJS names no ltijs, or there is no node")
@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 14), ({"pages": False, "limit": 5}, 14), ({"limit": 5}, 5), ({"role": "Learner", "limit": 5, "pages": False}, 12), ({"pages": False, "role": MEMBERSHIP + "#Instructor"}, 2)],
)
def test_ltijs_reads_the_roster(api, options, count):
    """It writes its query over that of the address, so it gets the one with the course in the path."""
    done = subprocess.run(
        ["node", "-e", LTIJS, os.environ["LTI_LTIJS"], f"{api.httpd.roster_url}/{api.key}", json.dumps(options)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    members = [member["user_id"] for member in result["members"]]
    assert len(members) == len(set(members)) == count and set(members) <= api.enrolled()
    assert ("next" in result) == (options == {"limit": 5})


def test_own_course_of_an_instructor_is_read_without_a_key(api):
    answer = api.browser.get(api.url("/lti/roster?limit=5"), {"Accept": MEDIA_TYPE})
    following = links([answer.header("Link")])["next"]
    assert following.startswith(api.httpd.base_url) and api.browser.get(following).status == 200


def test_members_have_the_name_that_their_requests_have(api):
    """By the template that holds at this address; none for whom the roster lacks what it needs."""
    members = read_roster(api.roster)[0]
    person = api.campus.state.person
    assert members[person("zoe").id]["remote_user"] == "zoe@campus"
    assert members[person("ada").id]["remote_user"] == "ada@campus"
    assert "remote_user" not in members[person("sam").id]


def test_members_have_sections_and_groups(api):
    members = read_roster(api.roster)[0]
    person = api.campus.state.person
    assert members[person("zoe").id]["sections"] == ["Lab, Monday"] and "groups" not in members[person("zoe").id]
    assert members[person("sam").id]["groups"] == ["Team"] and "sections" not in members[person("sam").id]


def test_unchanged_answers_are_not_sent_again(api):
    client = Browser()
    first = client.get(api.roster)
    tag = first.header("ETag")
    for condition in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get(api.roster, {"If-None-Match": condition})
        assert (again.status, again.body, again.header("ETag")) == (304, b"", tag), condition
    assert client.get(api.roster, {"If-None-Match": '"other"'}).status == 200
    # Other questions have other answers.
    tags = {client.get(api.roster + query).header("ETag") for query in ("", "&limit=5", "&limit=6", "&role=Learner")}
    assert len(tags) == 4
    # A run that finds everything as it was changes nothing here; one person more does.
    api.sync_now(api.browser)
    assert client.get(api.roster, {"If-None-Match": tag}).status == 304
    api.campus.state.enrol("BIO1", "rosa")
    api.sync_now(api.browser)
    wait_for(lambda: client.get(api.roster, {"If-None-Match": tag}).status == 200, "another tag")
    api.campus.state.drop("BIO1", "rosa")
    api.sync_now(api.browser)


def test_a_change_of_section_is_another_answer(api):
    client = Browser()
    tag = client.get(api.roster).header("ETag")
    api.campus.groups.sections["zoe"] = ["Lab, Tuesday"]
    api.sync_now(api.browser)
    answer = client.get(api.roster, {"If-None-Match": tag})
    assert answer.status == 200 and "Lab, Tuesday" in answer.text
    api.campus.groups.sections["zoe"] = ["Lab, Monday"]
    api.sync_now(api.browser)


def test_head_tells_what_get_would(api):
    whole, head = Browser().get(api.roster + "&limit=5"), Browser().request("HEAD", api.roster + "&limit=5")
    assert head.status == 200 and head.body == b""
    for name in ("ETag", "Link", "Content-Type", "Last-Modified"):
        assert head.header(name) == whole.header(name) and head.header(name), name


def test_pages_are_whole_while_people_come_and_go(api):
    """A page begins behind the last person of the one before: who leaves meanwhile hides nobody."""
    client, names = Browser(), []
    answer = client.get(api.roster + "&limit=5")
    names += [member["user_id"] for member in answer.json()["members"]]
    login = next(person.login for person, _ in api.campus.state.roster("BIO1") if person.id == names[0])
    role = api.campus.state.course("BIO1").enrolments[names[0]].role
    api.campus.state.drop("BIO1", login)
    api.sync_now(api.browser if login != "ada" else api.launch("grace"))
    while "next" in links([answer.header("Link")] if answer.header("Link") else []):
        answer = client.get(links([answer.header("Link")])["next"])
        names += [member["user_id"] for member in answer.json()["members"]]
    assert len(names) == len(set(names)) == 14
    api.campus.state.enrol("BIO1", login, role)
    api.browser = api.launch("ada")
    api.sync_now(api.browser)


def test_the_sample_configuration_opens_what_an_application_needs(make_stage):
    """conf/lti_sync.conf, as shipped: an application on this machine reads every end point, and no other end point gets more than it has."""
    sample = (ROOT / "conf/lti_sync.conf").read_text(encoding="utf-8")
    block = re.search(r"^<LocationMatch.*?^</LocationMatch>$", sample, re.S | re.M).group()
    service = re.sub(r'<Location "/lti/roster">.*?</Location>', block.replace("\\", r"\\"), SERVICE, flags=re.S)
    stage = make_stage().configure(pace="LTISyncInterval 1h", service=service).start()
    key = stage.wait_roster(stage.launch("ada"))
    base, client = stage.httpd.roster_url.removesuffix("roster"), Browser()
    assert key in {course["course"] for course in client.get(base + "courses").json()["courses"]}
    assert len(client.get(f"{base}roster?course={key}").json()["members"]) == len(client.get(f"{base}roster/{key}").json()["members"]) == 14
    assert client.get(f"{base}events?since=0&course={key}").status == 200
    assert client.post(f"{base}sync?course={key}", {}).status == 202
    assert client.get(base + "rosters").status == 404
    # the other virtual host, where browsers come, has no such block
    assert client.get(stage.url(f"/lti/roster?course={key}")).status == 401


def test_the_client_is_strict():
    """A test that cannot fail is none."""
    for member in ({}, {"user_id": 5, "roles": []}, {"user_id": "x"}, {"user_id": "x", "roles": "Learner"}, {"user_id": "x", "roles": [], "status": "Deleted"}, []):
        with pytest.raises(NotAsSpecified):
            read_member(member)
    assert links(['<a>; rel="next", <b>; rel=differences', "<c>; rel=next"]) == {"next": "a", "differences": "b"}
    with pytest.raises(NotAsSpecified):
        links(["<a; rel=next"])
    assert json.loads(json.dumps(read_member({"user_id": "x", "roles": []})))
