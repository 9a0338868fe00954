# SPDX-License-Identifier: Apache-2.0
"""Point 3: from a click in the course into the application, on real parts."""
import re
import urllib.parse

import pytest
from client import Browser
from httpd import free_port, wait_for

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.mark.parametrize("link", ["proxied", "cgi"])
@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_launch_reaches_the_application(make_stage, alg, method, link):
    # RS256 is what a registration admits unless told (SPEC J-03).
    stage = make_stage()
    stage.campus.keys.alg = alg
    stage.configure(pace="LTISync Off", platform=stage.httpd.platform_block(LTIAlgorithms="RS256 ES256")).start()
    browser = stage.launch("zoe", link=link, method=method)
    assert browser.steps.launch.status == 303
    assert browser.steps.launch.location == stage.url("/app/" if link == "proxied" else "/cgi/class.cgi")
    assert browser.steps.app.status == 200
    assert "Welcome, Zoë Müller" in browser.steps.app.text


def test_login_sends_a_complete_request_that_nobody_keeps(still, browser):
    login = browser.start_login(still.campus, "BIO1", "zoe")
    assert login.status in (302, 303) and login.location.startswith(still.campus.auth_url + "?")
    assert "no-store" in login.header("Cache-Control")
    assert login.header("Referrer-Policy") == "no-referrer"
    # The campus is strict about every parameter (SPEC ): it answers with a token or not at all.
    assert "id_token" in browser.authorize(login).form().fields


def test_state_and_nonce_are_unguessable_and_fresh(still, browser):
    seen = set()
    for _ in range(5):
        browser.launch(still.campus, "BIO1", "zoe")
    for request in still.campus.requests("auth"):
        values = dict(pair.split("=", 1) for pair in request.query.split("&"))
        seen |= {values["state"], values["nonce"]}
        assert len(values["nonce"]) >= 22
    assert len(seen) == 10


def test_cookies_work_in_frames_and_nowhere_else(still, browser):
    login = browser.start_login(still.campus, "BIO1", "zoe")
    (state_cookie,) = login.set_cookies
    name = state_cookie.partition("=")[0]
    assert name.startswith("__Host-lti-")
    for line in [state_cookie]:
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=None", "Partitioned"} <= {part.strip() for part in line.split(";")}
    launch = browser.submit(browser.authorize(login).form())
    assert launch.status == 303
    session = [line for line in launch.set_cookies if re.match(r"lti_[a-z2-7A-Z]{16}=", line)]
    assert len(session) == 1
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=None", "Partitioned"} <= {part.strip() for part in session[0].split(";")}
    assert len(session[0].partition(";")[0]) <= 1024
    # The state has done its work: its cookie is taken back (SPEC W-02).
    assert browser.named("__Host-lti-") == {}
    assert "no-store" in launch.header("Cache-Control")


def test_two_logins_at_once_in_one_browser(still, browser):
    first = browser.start_login(still.campus, "BIO1", "zoe")
    second = browser.start_login(still.campus, "HIS2", "zoe", "cgi")
    assert len(browser.named("__Host-lti-")) == 2
    assert browser.submit(browser.authorize(second).form()).status == 303
    assert browser.submit(browser.authorize(first).form()).status == 303


def test_key_set_shows_public_keys_only(still, browser):
    """SPEC Y-20."""
    answer = browser.get(still.url("/lti/jwks"))
    assert answer.header("Cache-Control") == "max-age=3600"
    assert answer.status == 200 and answer.header("Content-Type").split(";")[0] == "application/json"
    keys = answer.json()["keys"]
    assert keys
    for key in keys:
        assert not PRIVATE_MEMBERS & set(key), "private members in the key set (SPEC Y-21)"
        assert key["use"] == "sig" and key["kid"] and key["kty"] in ("RSA", "EC")
    assert browser.request("HEAD", still.url("/lti/jwks")).status == 200
    refused = browser.post(still.url("/lti/jwks"))
    assert refused.status == 405 and "GET" in refused.header("Allow")


def test_the_same_launch_again_is_refused(still, browser):
    """A replay, by the same browser and by another one (SPEC S-02); a platform that answers one login twice is no exception (SPEC B-12)."""
    form = browser.prepare(still.campus, "BIO1", "zoe")
    kept = dict(browser.cookies)
    assert browser.submit(form).status == 303
    browser.cookies.update(kept)
    again = browser.submit(form)
    assert (again.status, again.error) == (401, "nonce-used")
    assert not [line for line in again.set_cookies if line.startswith("lti_")]
    thief = Browser().submit(form)
    assert (thief.status, thief.error) == (401, "state-browser")


def test_replay_is_refused_after_a_restart(still, browser):
    """SPEC S-03: states are sealed and outlive a restart, and so do the nonces."""
    form = browser.prepare(still.campus, "BIO1", "zoe")
    kept = dict(browser.cookies)
    assert browser.submit(form).status == 303
    still.httpd.restart()
    browser.cookies.update(kept)
    again = browser.submit(form)
    assert (again.status, again.error) == (401, "nonce-used")


def test_session_survives_a_restart(still):
    browser = still.launch("zoe")
    still.httpd.restart()
    assert still.echo(browser)["x-lti-name"] == "Zoë Müller"


def test_key_set_is_fetched_once_and_kept(still):
    for person in ("zoe", "ada", "sam"):
        still.launch(person)
    assert len(still.campus.requests("jwks")) == 1


def test_platform_without_answer_does_not_hurt_known_keys(still):
    still.launch("zoe")
    still.campus.faults["jwks"] = {"down": True}
    still.launch("ada")


def test_first_launch_needs_the_key_set(still, browser):
    still.httpd.expect_log(r"refused with (keyset-unavailable|http-\w+)")
    still.campus.faults["jwks"] = {"down": True}
    steps = browser.launch(still.campus, "BIO1", "zoe", check=False)
    assert steps.launch.status in (502, 503, 504), steps.launch
    assert steps.launch.error == "keyset-unavailable"
    assert not browser.named("lti_")


def test_rotated_key_is_fetched_once_and_strange_keys_do_not_flood_the_platform(still, browser):
    still.launch("zoe")
    still.campus.keys.rotate(keep_old=False)
    for _ in range(3):
        steps = Browser().launch(still.campus, "BIO1", "ada", check=False)
        assert steps.launch.status == 303 or steps.launch.error == "key-unknown", steps.launch
    # At most one refetch a minute (SPEC Y-06): the first fetch, and perhaps one more.
    assert len(still.campus.requests("jwks")) <= 2


def test_rotated_key_works_after_a_reload(still, browser):
    still.launch("zoe")
    still.campus.keys.rotate(keep_old=False)
    still.httpd.graceful()
    assert wait_for(lambda: Browser().launch(still.campus, "BIO1", "ada", check=False).launch.status == 303, "the new key", 10, 0.5)


def test_target_that_is_an_end_point_leads_to_the_default_application(still, browser):
    """Moodle names the launch URL itself as target; a bare origin is meant the same."""
    for target in ("/lti/launch", "/", ""):
        for link in still.campus.state.course("BIO1").links.values():
            link.path = target
        steps = browser.launch(still.campus, "BIO1", "zoe")
        assert steps.launch.location == still.url("/app/"), target


def test_target_keeps_its_query(still, browser):
    still.campus.state.course("BIO1").links["proxied"].path = "/app/echo?unit=3&name=Zo%C3%AB"
    steps = browser.launch(still.campus, "BIO1", "zoe")
    assert steps.app.json()["path"] == "/echo?unit=3&name=Zo%C3%AB"


def test_launch_without_roster_service_works(quiet):
    quiet.campus.nrps_claim = False
    browser = quiet.launch("zoe")
    assert quiet.state(browser) == "none"
    assert quiet.campus.requests("nrps") == []


def test_launch_without_a_course_works(still, browser):
    context = "https://purl.imsglobal.org/spec/lti/claim/context"
    still.campus.tamper_claims = lambda claims: {name: value for name, value in claims.items() if name != context}
    browser.launch(still.campus, "BIO1", "zoe")
    told = still.echo(browser)
    assert told["x-lti-name"] == "Zoë Müller" and "x-lti-course-key" not in told and "x-lti-context-id" not in told


def test_launch_works_when_the_whole_platform_goes_down_before_its_last_step(still, browser):
    still.launch("ada")  # the key is known now
    form = browser.prepare(still.campus, "BIO1", "zoe")
    still.campus.stop()
    assert browser.submit(form).status == 303
    assert still.echo(browser)["x-lti-name"] == "Zoë Müller"


# --- end points under whatever stands around them ------------------------------------------------------------------------------------

PROXY_ALL = 'ProxyPass "/" "http://127.0.0.1:{port}/"\nProxyPassReverse "/" "http://127.0.0.1:{port}/"\n'
REQUIRE_ALL = '<Location "/">\n    AuthType LTI\n    Require valid-user\n    AuthzSendForbiddenOnFailure On\n</Location>\n'


@pytest.mark.parametrize("around", ["proxy", "require", "proxy and require", "handler"])
def test_end_points_live_under_everything(make_stage, browser, around):
    stage = make_stage()
    locations = PROXY_ALL.format(port=stage.httpd.app_port) if "proxy" in around else stage.httpd.locations
    if "require" in around:
        locations += REQUIRE_ALL
    if around == "handler":
        locations += '<Location "/lti">\n    SetHandler lti-sync\n</Location>\n'
    stage.configure(pace="LTISync Off", locations=locations).start()
    assert "keys" in browser.get(stage.url("/lti/jwks")).json()
    steps = browser.launch(stage.campus, "BIO1", "zoe")
    if around == "proxy":
        assert steps.app.status == 200  # open to all: the application answers, identified or not
    else:
        assert "Welcome, Zoë Müller" in steps.app.text
    if "require" in around:
        assert Browser().get(stage.url("/app/")).status == 401


REWRITE_ALL = {
    "server": 'RewriteEngine On\nRewriteRule "^/(.*)" "http://127.0.0.1:{port}/$1" [P]\n',
    "directory": '<Directory "{root}/htdocs">\nRewriteEngine On\nRewriteRule "(.*)" "http://127.0.0.1:{port}/$1" [P]\n</Directory>\n',
}


@pytest.mark.parametrize("where", REWRITE_ALL)
def test_end_points_live_under_a_rewrite_to_a_proxy(make_stage, browser, where):
    """mod_rewrite asks nobody for no-proxy: nothing that was let in as an end point may reach the application."""
    stage = make_stage()
    locations = REWRITE_ALL[where].format(port=stage.httpd.app_port, root=stage.httpd.root) + REQUIRE_ALL
    stage.configure(pace="LTISync Off", locations=locations).start()
    assert "keys" in browser.get(stage.url("/lti/jwks")).json()
    assert browser.get(stage.url("/lti/login")).error == "parameter-missing"
    assert "Welcome, Zoë Müller" in browser.launch(stage.campus, "BIO1", "zoe").app.text
    assert Browser().get(stage.url("/app/")).status == 401


def test_hosts_share_a_platform_and_nothing_else(make_stage):
    """The platform stands outside all hosts, as in the sample configuration: each host has its own address, and sessions and states of its own."""
    stage = make_stage()
    port = free_port()
    there = f"http://localhost:{port}"
    extra = f"Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nServerName {there}\n{stage.httpd.locations}</VirtualHost>"
    stage.configure(pace="LTISync Off", extra=extra).start()
    browser = stage.launch("zoe")
    elsewhere = browser.get(f"{there}/app/echo")
    assert (elsewhere.status, elsewhere.error) == (401, "session-invalid")
    form = browser.prepare(stage.campus, "BIO1", "zoe")
    form.action = f"{there}/lti/launch"
    assert browser.submit(form).error == "state-invalid"
    target = urllib.parse.urlencode({"iss": stage.campus.issuer, "login_hint": "h", "target_link_uri": f"{there}/app/"})
    login = browser.get(f"{there}/lti/login?{target}")
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(login.location).query)["redirect_uri"] == [f"{there}/lti/launch"]


def test_other_path_for_the_end_points(make_stage, browser):
    stage = make_stage()
    stage.campus.tool = type(stage.campus.tool)(stage.httpd.base_url, "/tools/lti13")
    stage.configure(pace="LTIPath /tools/lti13\nLTISync Off").start()
    assert browser.launch(stage.campus, "BIO1", "zoe").app.status == 200
    assert browser.get(stage.url("/lti/jwks")).status == 404


def test_unknown_and_reserved_end_points_are_not_found(still):
    browser = still.launch("ada")
    for name in ("nothing", "register", "deep-link", "token", "login/x", ""):
        assert browser.get(still.url(f"/lti/{name}")).status == 404, name


def test_logout_ends_the_session_by_its_own_button_only(still):
    browser = still.launch("zoe")
    page = browser.get(still.url("/lti/logout"))
    assert page.status == 200 and browser.named("lti_"), "a link signed somebody out"
    assert page.header("Referrer-Policy") == "same-origin", "browsers would send Origin: null with the button"
    foreign = browser.post(still.url("/lti/logout"), origin="https://evil.example")
    assert (foreign.status, foreign.error) == (403, "cross-site") and browser.named("lti_")
    assert browser.submit(page.form()).status == 200
    assert browser.named("lti_") == {}
    assert still.status(browser) == (401, "session-none")
