# SPDX-License-Identifier: Apache-2.0
"""Who somebody is, and in which course: never by e-mail, name or chance (SPEC S-16 to S-19, S-30)."""
import pytest
from campus_protocol import LTI
from campus_state import MEMBERSHIP
from client import Browser

SISTER = "campus-tool-sister"


@pytest.fixture(scope="module")
def site(make_shared_stage):
    stage = make_shared_stage()
    platforms = stage.httpd.platform_block() + "\n" + stage.httpd.platform_block("sister", LTIClientID=SISTER)
    return stage.configure(pace="LTISync Off", platform=platforms).start()


@pytest.fixture(autouse=True)
def campus_as_usual(site):
    yield
    site.campus.tamper_claims = site.campus.tamper_login = None
    site.campus.tool.client_id = "campus-tool-7Qd2k"


def launch(site, person="zoe", course="BIO1", browser=None, **changes):
    """A launch with other claims; what the application is told."""
    site.campus.tamper_claims = lambda claims: dict(claims, **changes)
    browser = site.launch(person, course, browser=browser)
    return browser, site.echo(browser)


def test_two_people_with_one_address_stay_two(site):
    """SPEC S-17: name and e-mail prove nothing, however alike they are."""
    same = {"name": "Zoë Müller", "given_name": "Zoë", "family_name": "Müller", "email": "zoe@students.example.edu"}
    zoe, told = launch(site, "zoe", **same)
    sam, of_sam = launch(site, "sam", **same)
    assert told["x-lti-email"] == of_sam["x-lti-email"]
    assert told["x-lti-user-id"] != of_sam["x-lti-user-id"] and told["x-lti-remote-user"] != of_sam["x-lti-remote-user"]
    assert set(zoe.named("lti_")) != set(sam.named("lti_"))


def test_one_person_under_another_address_stays_one(site):
    """SPEC S-17."""
    first, told = launch(site, email="zoe@students.example.edu")
    second, later = launch(site, email="zoe.mueller@example.org", name="Z. M.")
    assert told["x-lti-remote-user"] == later["x-lti-remote-user"] and set(first.named("lti_")) == set(second.named("lti_"))


def test_same_ids_of_another_tool_or_deployment_are_others(site):
    """SPEC N-40, S-16: person, course and session are those of issuer, client and deployment."""
    browser, told = launch(site)
    site.campus.tool.client_id = SISTER
    _, of_sister = launch(site, browser=browser)
    assert (told["x-lti-user-id"], told["x-lti-context-id"]) == (of_sister["x-lti-user-id"], of_sister["x-lti-context-id"])
    assert told["x-lti-course-key"] != of_sister["x-lti-course-key"] and told["x-lti-remote-user"] != of_sister["x-lti-remote-user"]
    site.campus.tool.client_id = "campus-tool-7Qd2k"
    site.campus.tamper_login = lambda fields: dict(fields, lti_deployment_id="d-2")
    _, of_deployment = launch(site, browser=browser, **{LTI + "deployment_id": "d-2"})
    assert of_deployment["x-lti-course-key"] not in (told["x-lti-course-key"], of_sister["x-lti-course-key"])
    assert len(browser.named("lti_")) == 3


def test_role_is_that_of_the_present_launch(site):
    """SPEC S-18: what somebody was in an earlier launch is nothing, and a word that only looks like a role gives none."""
    browser, told = launch(site, **{LTI + "roles": [MEMBERSHIP + "#Instructor"]})
    assert told["x-lti-role"] == "instructor"
    _, told = launch(site, browser=browser, **{LTI + "roles": [MEMBERSHIP + "#Learner"]})
    assert told["x-lti-role"] == "learner" and "Instructor" not in told["x-lti-roles"]
    for role in ("http://evil.example/membership#Instructor", MEMBERSHIP + "#instructor", MEMBERSHIP + "#Instructor ", "xInstructor", MEMBERSHIP + "#InstructorX"):
        _, told = launch(site, browser=browser, **{LTI + "roles": [role]})
        assert told["x-lti-role"] == "none", role


def test_each_launch_is_a_new_session(site):
    """SPEC S-19: nothing that the browser had before is taken over, not even a good session of somebody else under the same name."""
    attacker, _ = launch(site, "sam")
    site.httpd.set_clock(2)  # the newest launch wins in a browser, by the second
    ((name, value),) = attacker.named("lti_").items()
    browser, told = launch(site)
    ((own_name, own_value),) = browser.named("lti_").items()
    # The attacker's cookie lies in the browser of the victim, under the attacker's name and under the victim's.
    browser.set_cookie(name, value)
    browser.set_cookie(own_name, value)
    _, again = launch(site, browser=browser)
    assert again["x-lti-user-id"] == told["x-lti-user-id"] and again["x-lti-launch-id"] != told["x-lti-launch-id"]
    assert browser.named("lti_")[own_name] not in (value, own_value)
    other = Browser()
    other.cookies = dict(browser.cookies)
    other.cookies.pop(("localhost", own_name))
    assert site.echo(other)["x-lti-user-id"] == site.campus.state.person("sam").id  # whoever gives a session away has given it away


def test_nobody_is_let_in_by_a_roster(site):
    """SPEC S-30: being in the course is no session; only a launch is."""
    launch(site, "ada")
    for cookie in ("", "lti_" + "a" * 16 + "=1.5f.AAAA"):
        answer = Browser().get(site.url("/app/echo"), {"Cookie": cookie, "X-LTI-User-Id": site.campus.state.person("zoe").id})
        assert answer.status == 401


def test_session_of_a_registration_that_is_gone(make_stage):
    """SPEC S-26: what was taken out of the configuration, or is now another tool, lets nobody in with an old session."""
    stage = make_stage().configure(pace="LTISync Off").start()
    browser = stage.launch("zoe")
    assert stage.status(browser) == (200, "")
    for block in (stage.httpd.platform_block("renamed"), stage.httpd.platform_block(LTIClientID="another")):
        stage.httpd.platform = block
        stage.httpd.graceful()
        assert stage.status(browser) == (401, "session-invalid")
    stage.httpd.platform = stage.httpd.platform_block()
    stage.httpd.graceful()
    assert stage.status(browser) == (200, "")
