# SPDX-License-Identifier: Apache-2.0
"""Point 4: Require, alone and composed, before and after a launch."""
import pytest
from client import Browser
from httpd import wait_for

PLACE = """<Location "/r/{name}">
    AuthType LTI
    {require}
    AuthzSendForbiddenOnFailure On
</Location>
"""

# name -> the Require lines; who gets in: ada (instructor), grace (teaching assistant), zoe (learner)
PLACES = {
    "valid-user": ("Require valid-user", "ada grace zoe"),
    "instructor": ("Require lti-role instructor", "ada"),
    "learner": ("Require lti-role learner", "zoe"),
    "staff": ("Require lti-role staff", "ada grace"),
    "two-roles": ("Require lti-role learner teaching-assistant", "grace zoe"),
    "administrator": ("Require lti-role administrator", ""),
    "platform": ("Require lti-platform campus", "ada grace zoe"),
    "other-platform": ("Require lti-platform elsewhere", ""),
    "context": ("Require lti-context campus/CONTEXT", "ada grace zoe"),
    "other-context": ("Require lti-context campus/c-none KEYKEYKEYKEYKEYK", ""),
    "any": ("Require lti-role instructor\n    Require lti-role learner", "ada zoe"),
    "all": ("<RequireAll>\n    Require lti-role staff\n    Require lti-platform campus\n    </RequireAll>", "ada grace"),
    "all-but": ("<RequireAll>\n    Require valid-user\n    <RequireNone>\n    Require lti-role learner\n    </RequireNone>\n    </RequireAll>", "ada grace"),
    "not": ("<RequireAll>\n    Require valid-user\n    Require not lti-role instructor\n    </RequireAll>", "grace zoe"),
    "nobody": ("Require all denied", ""),
    "user": ("Require user USER", "zoe"),
    "expression": ("Require expr \"%{LTI_ROLE} == 'learner'\"", "zoe"),
    "expression-in-role": ("Require lti-role %{env:WANTED}", "zoe"),
}


@pytest.fixture
def places(make_stage):
    stage = make_stage()
    state = stage.campus.state
    lines = ["SetEnv UNUSED 1", 'SetEnvIf Request_URI "." WANTED=learner']
    for name, (require, _) in PLACES.items():
        text = require.replace("CONTEXT", state.course("BIO1").id).replace("USER", state.person("zoe").id + "@campus")
        lines.append(PLACE.format(name=name, require=text))
        stage.httpd.put(f"r/{name}/index.txt", name)
    stage.httpd.allow_log(r"AH01630|AH01631|AH01632")  # httpd's own words for "denied"
    return stage.configure(pace="LTISync Off", extra="\n".join(lines)).start()


def test_each_person_gets_in_where_they_may(places):
    people = {person: places.launch(person) for person in ("ada", "grace", "zoe")}
    wrong = []
    for name, (_, admitted) in PLACES.items():
        for person, browser in people.items():
            response = browser.get(places.url(f"/r/{name}/index.txt"))
            wanted = 200 if person in admitted.split() else 403
            if response.status != wanted:
                wrong.append(f"{name}: {person} got {response.status}, not {wanted}")
    assert not wrong


def test_strangers_are_asked_to_come_through_their_course(places):
    wrong = []
    for name in PLACES:
        response = Browser().get(places.url(f"/r/{name}/index.txt"))
        if name in ("nobody", "expression"):
            # httpd asks for a user only where one could help, and for an expression only if it names REMOTE_USER.
            assert response.status == 403
        elif (response.status, response.error) != (401, "session-none"):
            wrong.append(f"{name}: {response}")
        else:
            assert response.header("WWW-Authenticate").startswith("LTI")
            assert "<code>session-none</code>" in response.text
    assert not wrong


def test_strangers_and_people_with_every_method(places):
    browser = places.launch("zoe")
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        assert Browser().request(method, places.url("/r/valid-user/index.txt"), b"").status == 401, method
        assert browser.request(method, places.url("/r/instructor/index.txt"), b"").status == 403, method


def test_course_key_in_require(make_stage):
    stage = make_stage().configure(pace="LTISync Off").start()
    key = stage.echo(stage.launch("zoe"))["x-lti-course-key"]
    stage.httpd.put("r/key/index.txt", "key")
    stage.httpd.extra = PLACE.format(name="key", require=f"Require lti-context {key}")
    stage.httpd.allow_log(r"AH0163")
    stage.httpd.graceful()
    assert stage.launch("zoe").get(stage.url("/r/key/index.txt")).status == 200
    assert stage.launch("zoe", "HIS2").get(stage.url("/r/key/index.txt")).status == 403


def test_lti_member_waits_for_the_first_roster_and_then_asks_it(make_stage):
    stage = make_stage()
    stage.httpd.put("r/member/index.txt", "member")
    stage.httpd.expect_log(r"LTI0301.*roster-busy")
    stage.httpd.expect_log(r"refused with roster-pending")
    stage.httpd.allow_log(r"AH0163")
    stage.campus.faults["nrps"] = {"status": 503, "headers": [("Retry-After", "1")]}
    stage.httpd.put("r/member-or-stranger/index.txt", "member")
    everybody = PLACE.format(name="member-or-stranger", require="LTIUnauthenticated pass\n    Require lti-member")
    stage.configure(extra=PLACE.format(name="member", require="Require lti-member") + everybody).start()
    browser = stage.launch("zoe")
    url = stage.url("/r/member/index.txt")
    waiting = browser.get(url)
    assert (waiting.status, waiting.error) == (503, "roster-pending")
    assert browser.get(stage.url("/r/member-or-stranger/index.txt")).error == "roster-pending"
    stage.httpd.wait_log("LTI0301")
    assert waiting.header("Retry-After") and 'http-equiv="refresh"' in waiting.text
    stage.campus.faults.clear()
    stage.sync_now(stage.launch("ada"))
    wait_for(lambda: browser.get(url).status == 200, "the first roster")
    assert browser.get(stage.url("/r/member-or-stranger/index.txt")).status == 200
    # Who launches validly but is on no roster is no member (an account administrator, say).
    stage.campus.tamper_claims = lambda claims: dict(claims, sub="u-administrator")
    stranger = stage.launch("ada")
    assert stranger.get(url).status == 403
    assert stranger.get(stage.url("/app/echo")).status == 200


def test_broken_require_lines_are_found_by_the_config_test(make_stage):
    for require in ("Require lti-role", "Require lti-role emperor", "Require lti-context", "Require lti-platform"):
        stage = make_stage().configure(extra=PLACE.format(name="x", require=require))
        code, output = stage.httpd.configtest()
        assert code != 0 and f"line {stage.httpd.line_of(require)} of" in output, (require, output)
