# SPDX-License-Identifier: Apache-2.0
"""The login in both directions (SPEC sections 1.1 and 1.2): what is taken from the platform, and what is sent to it, letter by letter."""
import re
import urllib.parse

import pytest
from client import Browser

TENANT = "tool-of-a-tenant"
MOODLE = '{"cmid":4,"launchid":"ltilaunch4_1","x":"a & b = c # d % e + f \'\\" <g>"}'


@pytest.fixture(scope="module")
def site(make_shared_stage):
    """Two registrations of one issuer; the second's end point has a query of its own. httpd itself would take longer lines than we do."""
    stage = make_shared_stage()
    tenant = stage.httpd.platform_block(
        "tenant", LTIClientID=TENANT, LTIAuthorizationEndpoint=stage.campus.auth_url + "?tenant=7&name=a%20b", LTIDeployment="d-77"
    )
    stage.configure(pace="LTISync Off", platform=stage.httpd.platform_block() + "\n" + tenant, extra="LimitRequestLine 20000")
    return stage.start()


def fields_of(site, **changes):
    fields = {
        "iss": site.campus.issuer,
        "login_hint": "u-1",
        "target_link_uri": site.url("/app/"),
        "lti_message_hint": "m-1",
        "client_id": site.campus.tool.client_id,
        "lti_deployment_id": "d-1",
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not None}


def login(site, method="post", query="", **changes):
    url, fields = site.url("/lti/login"), fields_of(site, **changes)
    if method == "post":
        return Browser().post(url + query, fields, origin=site.campus.issuer)
    return Browser().get(f"{url}?{urllib.parse.urlencode(fields)}")


def sent(answer):
    """End point and parameters of an authentication request by redirect; each comes once."""
    assert answer.status in (302, 303), answer
    end_point, _, query = answer.header("Location").partition("?")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), "a parameter comes twice"
    return end_point, dict(pairs)


def refused(answer, status, code):
    assert (answer.status, answer.error, answer.header("Location")) == (status, code, "")
    assert not answer.set_cookies


# --- what is sent -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "get"])
def test_authentication_request(site, method):
    """SPEC A-01 to A-10, A-14, A-15, L-15, L-04: all of it, nothing else, and to the registered end point."""
    answer = login(site, method)
    end_point, parameters = sent(answer)
    state, nonce = parameters.pop("state"), parameters.pop("nonce")
    assert end_point == site.campus.auth_url
    assert parameters == {
        "scope": "openid", "response_type": "id_token", "response_mode": "form_post", "prompt": "none", "client_id": site.campus.tool.client_id,
        "redirect_uri": site.url("/lti/launch"), "login_hint": "u-1", "lti_message_hint": "m-1",
    }  # fmt: skip
    assert re.fullmatch("[A-Za-z0-9_-]{60,}", state) and re.fullmatch("[A-Za-z0-9_-]{22,}", nonce) and nonce not in state
    _, again = sent(login(site, method))
    assert again["state"] != state and again["nonce"] != nonce


def test_redirects_by_method_are_never_stored(site):
    """SPEC A-11, A-16."""
    for method, status in (("get", 302), ("post", 303)):
        answer = login(site, method)
        assert answer.status == status
        assert answer.header("Cache-Control") == "no-store" and answer.header("Referrer-Policy") == "no-referrer"


HINTS = [MOODLE, "a b+c%20d&e=f#g", "ä€😀", "%7B%22", "a" * 2000, " ", "'\"<>\\", "=", "&", "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.x-_"]


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("method", ["post", "get"])
def test_hints_come_back_as_they_were(site, method, hint):
    """SPEC L-04, L-06, A-07, A-10, A-13."""
    _, parameters = sent(login(site, method, login_hint=hint, lti_message_hint=hint))
    assert parameters["login_hint"] == parameters["lti_message_hint"] == hint


def test_message_hint_that_is_empty_or_absent(site):
    """SPEC L-06: sent back when it was there, and not invented."""
    assert sent(login(site, lti_message_hint=""))[1]["lti_message_hint"] == ""
    assert "lti_message_hint" not in sent(login(site, lti_message_hint=None))[1]


def test_end_point_keeps_its_query(site):
    """SPEC A-12: by redirect and by form."""
    end_point, parameters = sent(login(site, client_id=TENANT, lti_deployment_id=None))
    assert (end_point, parameters["tenant"], parameters["name"], parameters["client_id"]) == (site.campus.auth_url, "7", "a b", TENANT)
    form = login(site, client_id=TENANT, lti_deployment_id=None, lti_message_hint="m" * 7000).form()
    assert form.action == site.campus.auth_url + "?tenant=7&name=a%20b" and form.method == "post"
    assert set(form.fields) == set(parameters) - {"tenant", "name"}


def test_long_request_is_posted(site):
    """SPEC A-11, A-13: above 6 KiB, with the same parameters, by a page that stores nothing and runs nothing but itself."""
    hint = (MOODLE + "ä<script>") * 60
    answer = login(site, lti_message_hint=hint)
    form = answer.form()
    wanted = dict(sent(login(site))[1], lti_message_hint=hint)
    assert {**form.fields, "state": "", "nonce": ""} == {**wanted, "state": "", "nonce": ""}
    assert "<script>ä" not in answer.text and answer.header("Cache-Control") == "no-store" and answer.header("Referrer-Policy") == "no-referrer"
    assert answer.header("Content-Security-Policy").startswith("default-src 'none'")


def test_no_more_than_ten_logins_in_flight(site):
    """SPEC W-02: the oldest gives way; the others all arrive."""
    browser, forms = Browser(), []
    for _ in range(12):
        forms.append(browser.prepare(site.campus, "BIO1", "zoe"))
    assert len(browser.named("__Host-lti-")) == 10
    for form in forms[:2]:
        answer = browser.submit(form)
        assert (answer.status, answer.error) == (401, "state-browser")
    for form in forms[2:]:
        assert browser.submit(form).status == 303
    assert not browser.named("__Host-lti-")


# --- what is taken ------------------------------------------------------------------------------------------------------------------------


def test_end_points_in_a_request_are_not_believed(site):
    """SPEC L-15, L-11."""
    evil = {name: "https://evil.example/x" for name in ("authorization_endpoint", "auth_url", "redirect_uri", "key_set_url", "token_endpoint", "jwks_uri")}
    end_point, parameters = sent(login(site, **evil, scope="openid profile", response_mode="query", state="s" * 30, nonce="n" * 30, prompt="login"))
    assert end_point == site.campus.auth_url and parameters["redirect_uri"] == site.url("/lti/launch")
    assert parameters["scope"] == "openid" and parameters["prompt"] == "none" and parameters["response_mode"] == "form_post"
    assert parameters["state"] != "s" * 30 and parameters["nonce"] != "n" * 30


def test_registration_without_a_client_id(site):
    """SPEC L-08, L-09, S-16: by the deployment, where several tools have one issuer; never by chance."""
    assert sent(login(site, client_id=None, lti_deployment_id="d-77"))[1]["client_id"] == TENANT
    refused(login(site, client_id=None, lti_deployment_id="d-1"), 400, "platform-ambiguous")
    refused(login(site, client_id=None, lti_deployment_id=None), 400, "platform-ambiguous")
    refused(login(site, client_id=""), 400, "platform-ambiguous")
    refused(login(site, client_id="nobody"), 403, "client-unknown")
    refused(login(site, iss=site.campus.issuer + "/"), 403, "issuer-unknown")  # L-03


def test_parameter_in_query_and_body(site):
    """SPEC L-12, L-16: a registered login URL may have a query; what counts is the body, and both must not differ."""
    assert sent(login(site, query="?site=7&x=y"))[1]["login_hint"] == "u-1"
    assert sent(login(site, query="?login_hint=u-1"))[1]["login_hint"] == "u-1"
    for query in ("?login_hint=u-2", "?iss=https%3A%2F%2Fother.example", "?login_hint=u-1&login_hint=u-1", "?login_hint="):
        refused(login(site, query=query), 400, "parameter-repeated")
    refused(login(site, query="?login_hint=u-1", login_hint=None), 400, "parameter-missing")


def test_query_beyond_its_limit(site):
    """SPEC L-13: httpd would take it, we do not."""
    refused(Browser().get(site.url("/lti/login?login_hint=" + "a" * 8200)), 414, "uri-too-long")
    refused(login(site, "post", "?x=" + "a" * 8200), 414, "uri-too-long")
    for name, length in (("iss", 1025), ("login_hint", 4097), ("target_link_uri", 4097), ("lti_message_hint", 8193), ("client_id", 256)):
        refused(login(site, **{name: "a" * length}), 400, "parameter-invalid")


TARGETS = {  # SPEC 12.1 has 403 for a target of no use
    "of another host": "https://evil.example/app/",
    "of a host that begins like ours": "http://localhost.evil.example/app/",
    "without a scheme": "//localhost/app/",
    "a path only": "/app/",
    "outside of the applications": "OURS/open/echo",
    "leading out of them": "OURS/app/../open/echo",
    "a script": "javascript:alert(1)",
}


@pytest.mark.parametrize("case", TARGETS)
def test_target_that_is_not_ours(site, case):
    """SPEC L-05, K-08, S-05: refused at login already, and never a redirect to it."""
    target = TARGETS[case].replace("OURS", site.httpd.base_url)
    refused(login(site, target_link_uri=target), 403, "target-not-allowed")
    refused(login(site, "get", target_link_uri=target), 403, "target-not-allowed")


@pytest.mark.parametrize("path", ["login", "launch", "logout", "roster", "sync"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_other_origin_may_read_an_answer(site, path, method):
    """SPEC S-32."""
    ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Content-Type": "application/x-www-form-urlencoded"}
    answer = Browser().request(method, site.url(f"/lti/{path}"), b"" if method == "POST" else None, ask)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
