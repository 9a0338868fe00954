# SPDX-License-Identifier: Apache-2.0
"""Bad input: a 4xx page with a code, a request id and a sentence; one log line with the detail; no session; never a 5xx."""
import html
import json
import re
import socket
import time
import urllib.parse

import pytest
from campus_forgery import encode, header, parts, raw_payload, with_stranger
from campus_protocol import LTI, NRPS_CLAIM
from client import Browser
from httpd import wait_for

@pytest.fixture(scope="module")
def still(make_shared_stage):
    """One httpd for all that can be thrown at it. At the end the very same processes must be there."""
    stage = make_shared_stage().configure(pace="LTISync Off")
    stage.httpd.allow_log(r"\] AH\d{5}: ")  # httpd's own opinion of such requests
    stage.start()
    # The parent listens before its children have all their threads.
    before = set(wait_for(stage.httpd.children, "children"))
    yield stage
    assert before <= set(stage.httpd.children()), "a child died"


@pytest.fixture(autouse=True)
def campus_as_usual(request):
    yield
    if "still" in request.fixturenames:
        campus = request.getfixturevalue("still").campus
        campus.tamper_claims = campus.tamper_login = campus.make_token = campus.auth_error = None
        campus.forge_signature = False


SENTENCES = ("open", "tell the people", "does not let you", "sign in", "cookie", "There is no such page")
PAGE_ID = re.compile(r"request <code>([^<]+)</code>")


def check_refused(stage, response, status, code, before):
    """The page, the header, the log line; nothing that looks like a session."""
    assert (response.status, response.error) == (status, code), response
    assert response.text.startswith("<!DOCTYPE html>"), response.text[:40]
    assert f"<code>{code}</code>" in response.text
    assert any(sentence in html.unescape(response.text) for sentence in SENTENCES), response.text
    assert "no-store" in response.header("Cache-Control")
    if status == 401:
        assert response.header("WWW-Authenticate").startswith("LTI")
    assert not [line for line in response.set_cookies if line.startswith("lti_")], "a session after a refusal"
    request_id = PAGE_ID.search(response.text)[1]
    lines = [line for line in stage.httpd.log_lines()[before:] if "refused with" in line]
    assert len(lines) == 1, lines
    assert request_id in lines[0] and code in lines[0]
    assert "eyJ" not in lines[0], "a token in the log (SPEC S-22)"


# --- login ----------------------------------------------------------------------------------------------------------------------------


def login_fields(stage, **changes):
    fields = Browser().get(stage.campus.open_url("zoe", "BIO1")).form().fields
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not None}


LOGIN = {
    "no issuer": ({"iss": None}, 400, "parameter-missing"),
    "empty issuer": ({"iss": ""}, 400, "parameter-missing"),
    "unknown issuer": ({"iss": "https://lms.example.org"}, 403, "issuer-unknown"),
    "issuer with a slash more": ({"iss": "SLASH"}, 403, "issuer-unknown"),
    "no login hint": ({"login_hint": None}, 400, "parameter-missing"),
    "empty login hint": ({"login_hint": ""}, 400, "parameter-missing"),
    "no target": ({"target_link_uri": None}, 400, "parameter-missing"),
    "unknown client": ({"client_id": "somebody-else"}, 403, "client-unknown"),
    "NUL in the hint": ({"login_hint": "a\0b"}, 400, "parameter-invalid"),
    "line break in the hint": ({"login_hint": "a\r\nSet-Cookie: x=y"}, 400, "parameter-invalid"),
    "escape in the message hint": ({"lti_message_hint": "a\x1b[31m"}, 400, "parameter-invalid"),
    "DEL in the target": ({"target_link_uri": "http://localhost/app/\x7f"}, 400, "parameter-invalid"),
    "long issuer": ({"iss": "https://" + "a" * 1100}, 400, "parameter-invalid"),
    "long client id": ({"client_id": "c" * 300}, 400, "parameter-invalid"),
}


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("case", LOGIN)
def test_login_refuses(still, browser, case, method):
    """SPEC L-03 to L-14."""
    from urllib.parse import urlencode

    changes, status, code = LOGIN[case]
    changes = {name: still.campus.issuer + "/" if value == "SLASH" else value for name, value in changes.items()}
    fields, before = login_fields(still, **changes), len(still.httpd.log_lines())
    url = still.url("/lti/login")
    response = browser.post(url, fields) if method == "post" else browser.get(f"{url}?{urlencode(fields)}")
    check_refused(still, response, status, code, before)
    assert not browser.cookies


def test_login_refuses_targets_that_are_not_ours_before_or_after_the_platform(still, browser):
    """SPEC K-08: the signed target decides; the login may refuse it already. Never a redirect to it."""
    for target in (
        "https://evil.example/",
        "//evil.example/app/",
        "/app/",
        "javascript:alert(1)",
        still.url("/open/echo"),
        still.url("/application"),
        still.url("/app/../open/echo"),
        still.url("/app/%2e%2e/open/echo"),
        still.url("/app/..%2fopen"),
        still.url("/app/\\..\\open"),
        "http://localhost@evil.example/app/",
        still.httpd.base_url.replace("http://", "http://user@") + "/app/",
        "http://localhost.evil.example/app/",
        still.httpd.base_url + "0/app/",
    ):
        campus = still.campus
        campus.tamper_login = lambda fields, target=target: dict(fields, target_link_uri=target)
        campus.tamper_claims = lambda claims, target=target: dict(claims, **{LTI + "target_link_uri": target})
        login = browser.start_login(campus, "BIO1", "zoe")
        answer = login
        if login.status in (302, 303):
            answer = browser.submit(browser.authorize(login).form())
        assert 400 <= answer.status < 500, (target, answer)
        assert answer.error in ("target-not-allowed", "parameter-invalid", "claim-invalid"), (target, answer)
        assert not browser.named("lti_")


def test_parameter_given_twice(still, browser):
    """SPEC L-12: twice in the body, twice in the query."""
    from urllib.parse import urlencode

    body = urlencode(login_fields(still)) + "&iss=https%3A%2F%2Fother.example"
    before = len(still.httpd.log_lines())
    check_refused(still, browser.post(still.url("/lti/login"), body=body.encode()), 400, "parameter-repeated", before)
    before = len(still.httpd.log_lines())
    check_refused(still, browser.get(still.url("/lti/login?") + body), 400, "parameter-repeated", before)


def test_unknown_parameters_are_ignored(still, browser):
    """SPEC L-11: Canvas adds canvas_region and others, twice for all we know."""
    fields = login_fields(still, canvas_region="eu", lti_storage_target="_parent", deployment_id="x")
    assert browser.post(still.url("/lti/login"), fields).status in (200, 302, 303)


BROKEN_BODIES = {
    "invalid UTF-8": (b"iss=%ff%fe&login_hint=a&target_link_uri=b", "parameter-invalid"),
    "overlong UTF-8": (b"iss=%c0%af&login_hint=a&target_link_uri=b", "parameter-invalid"),
    "surrogate": (b"iss=%ed%a0%80&login_hint=a&target_link_uri=b", "parameter-invalid"),
    "broken percent sign": (b"iss=%zz&login_hint=a&target_link_uri=b", "form-invalid"),
    "percent sign at the end": (b"login_hint=a&target_link_uri=b&iss=%", "form-invalid"),
    "raw bytes": (b"iss=\xff\xfe&login_hint=a&target_link_uri=b", "parameter-invalid"),
    "nothing": (b"", "parameter-missing"),
    "ampersands": (b"&&&&=&=&", "parameter-missing"),
}


@pytest.mark.parametrize("case", BROKEN_BODIES)
def test_broken_forms(still, browser, case):
    body, code = BROKEN_BODIES[case]
    before = len(still.httpd.log_lines())
    response = browser.post(still.url("/lti/login"), body=body)
    assert response.error in (code, "form-invalid", "parameter-invalid", "parameter-missing")
    check_refused(still, response, 400, response.error, before)


@pytest.mark.parametrize("path", ["login", "launch"])
def test_wrong_content_type(still, browser, path):
    """SPEC L-02, B-01."""
    for sort in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        before = len(still.httpd.log_lines())
        response = browser.post(still.url(f"/lti/{path}"), body=b"iss=a", headers={"Content-Type": sort})
        check_refused(still, response, 415, "content-type", before)


def test_charset_in_the_content_type_is_fine(still, browser):
    response = browser.post(
        still.url("/lti/login"), login_fields(still), headers={"Content-Type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    )
    assert response.status in (302, 303), response


@pytest.mark.parametrize(("path", "allowed"), [("login", {"GET", "POST"}), ("launch", {"POST"})])
def test_wrong_methods(still, browser, path, allowed):
    """SPEC L-01, B-01. HEAD makes no state."""
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", *({"GET"} - allowed)):
        before = len(still.httpd.log_lines())
        response = browser.request(method, still.url(f"/lti/{path}"), b"", [("Content-Type", "application/x-www-form-urlencoded")])
        check_refused(still, response, 405, "method", before)
        assert allowed <= {word.strip() for word in response.header("Allow").split(",")}
    # Blackboard sends HEAD before the launch: it must hurt nobody.
    assert browser.request("HEAD", still.url(f"/lti/{path}")).status < 500
    assert not browser.cookies


def test_oversized_bodies(still, browser):
    """SPEC L-13, B-05; with and without a length that tells beforehand."""
    for path, size in (("login", 17 * 1024), ("launch", 257 * 1024)):
        before = len(still.httpd.log_lines())
        response = browser.post(still.url(f"/lti/{path}"), body=b"state=" + b"a" * size)
        check_refused(still, response, 413, "too-large", before)
        before = len(still.httpd.log_lines())
        body = b"".join(b"%x\r\n%s\r\n" % (1024, b"a" * 1024) for _ in range(size // 1024 + 1)) + b"0\r\n\r\n"
        response = browser.post(still.url(f"/lti/{path}"), body=body, headers={"Transfer-Encoding": "chunked"})
        check_refused(still, response, 413, "too-large", before)


def test_ten_megabytes_are_not_read(still, browser):
    began = time.monotonic()
    try:
        response = browser.post(still.url("/lti/launch"), body=b"state=" + b"a" * 10_000_000)
        assert response.status == 413
    except ConnectionError:
        pass  # hung up while we were still sending: just as well
    assert time.monotonic() - began < 10


def test_long_query(still, browser):
    # Above httpd's own line limit it is httpd that answers; below it, we do.
    before = len(still.httpd.log_lines())
    response = browser.get(still.url("/lti/login?login_hint=" + "a" * 8100))
    assert response.status in (400, 414)
    if response.error:
        check_refused(still, response, response.status, response.error, before)
    still.httpd.allow_log("AH0")
    assert browser.get(still.url("/lti/login?login_hint=" + "a" * 20000)).status == 414


def test_login_ignores_the_host_header(still, browser):
    """The redirect URI is never made from what the client says its host is (SPEC A-06)."""
    before = len(still.campus.requests("auth"))
    response = browser.post(still.url("/lti/login"), login_fields(still), headers={"Host": "evil.example"})
    assert "evil.example" not in response.header("Location")
    if response.status in (302, 303):
        browser.authorize(response)
        assert "evil.example" not in still.campus.requests("auth")[before].query


# --- launch: state and form -------------------------------------------------------------------------------------------------------------


def refuse_form(stage, browser, change, status, code):
    """Posts what the platform would, changed."""
    form = browser.prepare(stage.campus, "BIO1", "zoe")
    form.fields = change(dict(form.fields))
    before = len(stage.httpd.log_lines())
    check_refused(stage, browser.submit(form), status, code, before)
    assert not browser.named("lti_")


def without(name):
    return lambda fields: {key: value for key, value in fields.items() if key != name}


def flip(text):
    """The same with one character in the middle changed."""
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


FORMS = {
    "no state": (without("state"), 400, "parameter-missing"),
    "empty state": (lambda fields: dict(fields, state=""), 400, "parameter-missing"),
    "no token": (without("id_token"), 400, "parameter-missing"),
    "invented state": (lambda fields: dict(fields, state="a" * 40), 401, "state-invalid"),
    "changed state": (lambda fields: dict(fields, state=flip(fields["state"])), 401, "state-invalid"),
    "cut state": (lambda fields: dict(fields, state=fields["state"][:-3]), 401, "state-invalid"),
    "token and error": (lambda fields: dict(fields, error="x"), 400, "parameter-invalid"),
    "control character in the state": (lambda fields: dict(fields, state=fields["state"] + "\0"), 400, "parameter-invalid"),
}


@pytest.mark.parametrize("case", FORMS)
def test_launch_refuses_forms(still, browser, case):
    """SPEC B-01 to B-03."""
    refuse_form(still, browser, *FORMS[case])


def test_launch_of_another_browser(still, browser):
    """SPEC S-01: the state is bound to the browser that has the cookie."""
    form = browser.prepare(still.campus, "BIO1", "zoe")
    for thief in (Browser(), browser):
        before = len(still.httpd.log_lines())
        if thief is browser:
            (name,) = browser.named("__Host-lti-")
            browser.set_cookie(name, "x" * 43)
        check_refused(still, thief.submit(form), 401, "state-browser", before)


def test_state_of_one_login_with_token_of_another(still, browser):
    """SPEC C-10: login CSRF with a valid token of the attacker."""
    mallory = Browser()
    stolen = mallory.prepare(still.campus, "BIO1", "sam").fields["id_token"]
    refuse_form(still, browser, lambda fields: dict(fields, id_token=stolen), 401, "nonce-mismatch")


def test_extra_fields_are_ignored(still, browser):
    """SPEC B-04: Canvas adds some."""
    form = browser.prepare(still.campus, "BIO1", "zoe")
    form.fields.update(authenticity_token="x", lti_storage_target="_parent")
    assert browser.submit(form).status == 303


ERRORS = {
    "login_required": (401, "platform-login"),
    "interaction_required": (401, "platform-login"),
    "account_selection_required": (401, "platform-login"),
    "consent_required": (401, "platform-login"),
    "access_denied": (403, "platform-denied"),
    "unauthorized_client": (403, "platform-denied"),
    **{
        error: (502, "platform-error")
        for error in (
            "invalid_request", "invalid_request_object", "invalid_request_uri", "request_not_supported", "request_uri_not_supported",
            "registration_not_supported", "unsupported_response_type", "invalid_scope", "of_no_kind",
        )  # fmt: skip
    },
    "server_error": (503, "platform-unavailable"),
    "temporarily_unavailable": (503, "platform-unavailable"),
    "launch_no_longer_valid": (401, None),
    "<script>alert(1)</script>": (502, "platform-error"),
}


@pytest.mark.parametrize("error", ERRORS)
def test_errors_that_the_platform_posts(still, browser, error):
    """SPEC 1.4, B-11, S-04: what platforms were seen to post, and whatever else."""
    status, code = ERRORS[error]
    if status >= 500:
        still.httpd.expect_log(f"refused with {code}")
    still.campus.auth_error = error
    form = browser.prepare(still.campus, "BIO1", "zoe")
    form.fields["error_description"] = "<script>alert(2)</script> as told"
    response = browser.submit(form)
    assert response.status == status and (code is None or response.error == code), response
    assert "<script>" not in response.text and "as told" in response.text  # test_error_pages.py reads the page


def test_error_description_writes_no_log_lines(still, browser):
    still.campus.auth_error = "access_denied"
    form = browser.prepare(still.campus, "BIO1", "zoe")
    form.fields["error_description"] = "no\r\n[2026-01-01] forged log line"
    response = browser.submit(form)
    assert 400 <= response.status < 500 and "forged" not in response.text
    assert not any(line.startswith("[2026-01-01]") for line in still.httpd.log_lines())


def test_error_without_a_state_of_ours(still, browser):
    """SPEC B-10."""
    for fields in ({"error": "access_denied"}, {"error": "access_denied", "state": "invented"}):
        response = browser.post(still.url("/lti/launch"), fields, origin=still.campus.issuer)
        assert response.status in (400, 401) and response.error in ("parameter-missing", "parameter-invalid", "state-invalid"), response
        assert "access_denied" not in response.text


# --- launch: the token ------------------------------------------------------------------------------------------------------------------


# Those of the certification and its negative tests are in test_certification.py.
TOKENS = {
    "nonsense": (lambda keys, claims: "nonsense", {"token-malformed"}),
    "two parts": (parts(lambda p: p[:2]), {"token-malformed"}),
    "empty signature": (parts(lambda p: [p[0], p[1], ""]), {"token-malformed"}),
    "algorithm that is not allowed": (header(alg="PS256"), {"algorithm"}),
    "empty kid": (header(kid=""), {"token-malformed"}),
    "kid that is a path": (header(kid="../../etc/passwd"), {"key-unknown"}),
    "stranger's key": (with_stranger(), {"signature"}),
    "payload is an array": (raw_payload(lambda claims: "[]"), {"token-malformed"}),
    "trailing bytes": (raw_payload(lambda claims: json.dumps(claims) + " x"), {"token-malformed"}),
    "very deep": (raw_payload(lambda claims: '{"a":' * 2000 + "1" + "}" * 2000), {"token-malformed"}),
}


@pytest.mark.parametrize("case", TOKENS)
def test_launch_refuses_tokens(still, browser, case):
    """SPEC 2.1."""
    make, codes = TOKENS[case]
    campus = still.campus
    still.launch("ada")  # so that the key set is known
    campus.make_token = lambda claims: make(campus.keys, claims)
    form = browser.prepare(campus, "BIO1", "zoe")
    before = len(still.httpd.log_lines())
    response = browser.submit(form)
    assert response.error in codes, response
    check_refused(still, response, 401, response.error, before)


def test_forged_signature(still, browser):
    still.campus.forge_signature = True
    refuse_form(still, browser, lambda fields: fields, 401, "signature")


def claim(name, value):
    return lambda claims: dict(claims, **{name: value})


def no_claim(name):
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def moved(**offsets):
    """Times in seconds from now."""
    return lambda claims: dict(claims, **{name: int(time.time()) + offset for name, offset in offsets.items()})


CLAIMS = {  # one for each code, and what the certification's list does not have
    "no iss": (no_claim("iss"), 401, "claim-missing"),
    "iss of another": (claim("iss", "https://lms.example.org"), 401, "issuer-mismatch"),
    "aud of another": (claim("aud", "tool-78"), 401, "audience"),
    "too old": (moved(iat=-900, exp=100), 401, "token-expired"),
    "from the future": (moved(iat=400, exp=700), 401, "token-early"),
    "exp huge": (claim("exp", 10**300), 401, "token-malformed"),
    "nonce of another": (claim("nonce", "m" * 30), 401, "nonce-mismatch"),
    "no sub": (no_claim("sub"), 401, "anonymous"),
    "sub too long": (claim("sub", "s" * 256), 401, "claim-invalid"),
    "version 1.1": (claim(LTI + "version", "1.1"), 401, "lti-version"),
    "unknown message type": (claim(LTI + "message_type", "LtiExplodeRequest"), 403, "message-type"),
    "another deployment than the login": (claim(LTI + "deployment_id", "d-2"), 401, "deployment-mismatch"),
    "another target than the login": (claim(LTI + "target_link_uri", "http://localhost/app/other"), 401, "target-mismatch"),
    "context id empty": (claim(LTI + "context", {"id": ""}), 401, "claim-invalid"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_launch_refuses_claims(still, browser, case):
    """SPEC 2.2, 2.3 and the certification's bad payloads."""
    tamper, status, code = CLAIMS[case]
    still.campus.tamper_claims = tamper
    form = browser.prepare(still.campus, "BIO1", "zoe")
    before = len(still.httpd.log_lines())
    response = browser.submit(form)
    assert response.error == code, response
    check_refused(still, response, status, response.error, before)


FINE = {
    "roles empty": claim(LTI + "roles", []),
    "role unknown": claim(LTI + "roles", ["http://example.org/role#Emperor"]),
    "role short": claim(LTI + "roles", ["Instructor"]),
    "five thousand roles": claim(LTI + "roles", [f"urn:role:{number}" for number in range(5000)]),
    "nulls": lambda c: dict(c, name=None, email=None, **{LTI + "launch_presentation": None}),
    "wrong types of optional claims": lambda c: dict(c, name=7, email=["x"], locale={}, **{LTI + "lis": "x", LTI + "custom": []}),
    "aud as a list": lambda c: dict(c, aud=[c["aud"]]),
    "exp with a fraction": lambda c: dict(c, exp=c["exp"] + 0.5),
    "unknown claims": claim("https://vendor.example/claim", {"a": [1, 2, {"b": None}]}),
    "no personal data": lambda c: {k: v for k, v in c.items() if k not in ("name", "given_name", "family_name", "email", "locale")},
    "bad roster address": claim(NRPS_CLAIM, {"context_memberships_url": "file:///etc/passwd"}),
    "control characters in names": lambda c: dict(c, name="A\r\nX-LTI-Role: instructor", given_name="A\x7fB", email="a\x1bb"),
}


@pytest.mark.parametrize("case", FINE)
def test_launch_lives_with_oddities(still, browser, case):
    """What platforms send and a tool must bear: rights never come of it."""
    still.httpd.allow_log(r"lti_sync:warn")
    still.campus.tamper_claims = FINE[case]
    browser.launch(still.campus, "BIO1", "zoe")
    told = still.echo(browser)
    wanted = {"roles empty": "none", "role unknown": "none", "role short": "instructor", "five thousand roles": "none"}.get(case, "learner")
    assert told["x-lti-role"] == wanted
    assert told["x-lti-user-id"] == still.campus.state.person("zoe").id
    assert all(ord(letter) >= 32 and ord(letter) != 127 for value in told.values() for letter in value)


def test_deployments_that_are_not_listed_wait(make_stage, browser):
    stage = make_stage()
    stage.configure(pace="LTISync Off", platform=stage.httpd.platform_block(LTIDeployment="d-7 d-8")).start()
    steps = browser.launch(stage.campus, "BIO1", "zoe", check=False)
    assert (steps.launch.status, steps.launch.error) == (403, "deployment-unknown")
    assert not browser.named("lti_")


def test_custom_claims_cannot_be_more_than_text(still, browser):
    still.campus.tamper_claims = claim(LTI + "custom", {"due": "$ResourceLink.due", "n": 5, "x": {"y": 1}, "a b\r\nc": "v", "ok": "täg"})
    still.httpd.allow_log(r"lti_sync:warn")
    browser.launch(still.campus, "BIO1", "zoe", "cgi")
    environment = still.environment(browser)
    assert environment["LTI_CUSTOM_OK"] == "täg" and environment.get("LTI_CUSTOM_N", "5") == "5"
    assert "LTI_CUSTOM_DUE" not in environment and "LTI_CUSTOM_X" not in environment
    assert all("\r" not in name and "\n" not in name for name in environment)


@pytest.mark.parametrize("customs", [{f"k{number}": "v" for number in range(4000)}, {"k": "v" * 90000}, {f"k{number}": "v" * 8000 for number in range(9)}])
def test_custom_claims_cannot_choke_the_application(still, browser, customs):
    """Programs do not start with a huge environment, and servers refuse more than a hundred headers."""
    still.campus.tamper_claims = claim(LTI + "custom", customs)
    browser.launch(still.campus, "BIO1", "zoe")
    told = still.echo(browser)
    assert len(told) <= 66 and sum(len(name) + len(value) for name, value in told.items()) <= 20 * 1024
    assert told["x-lti-name"] == still.environment(browser)["LTI_NAME"] == "Zoë Müller"


@pytest.mark.parametrize("cookie", ["lti_AAAAAAAAAAAAAAAA=1.5f.AAAA", "lti_=;lti_x", "lti_AAAAAAAAAAAAAAAA=" + "A" * 5000, "lti_A=\xff\xfe", ";;;==,,"])
def test_broken_session_cookies_are_no_session(still, cookie):
    response = Browser().get(still.url("/app/echo"), {"Cookie": cookie})
    assert response.status == 401 and response.error in ("session-none", "session-invalid")


def test_changed_and_borrowed_session_cookies(still):
    """The seal covers value, name and host; a cookie of one person does not work under the name of another's."""
    zoe, ada = still.launch("zoe"), still.launch("ada")
    ((zoe_name, zoe_value),) = zoe.named("lti_").items()
    ((ada_name, ada_value),) = ada.named("lti_").items()
    for name, value in ((zoe_name, ada_value), (ada_name, zoe_value), (zoe_name, flip(zoe_value)), (zoe_name, zoe_value[:-2])):
        response = Browser().get(still.url("/app/echo"), {"Cookie": f"{name}={value}"})
        assert (response.status, response.error) == (401, "session-invalid"), response
    assert Browser().get(still.url("/app/echo"), {"Cookie": f"{zoe_name}={zoe_value}"}).status == 200


# --- no input, however odd, makes a 5xx or kills a child --------------------------------------------------------------------------------------

END_POINTS = ["/lti/login", "/lti/launch", "/lti/logout", "/lti/jwks", "/lti/roster", "/lti/sync", "/lti/nothing", "/lti/", "/app/echo"]


def exchange(stage, text, timeout=10.0):
    """Sends the bytes and says no more; the status of the answer, None if the server hung up without one (or answered as HTTP/0.9 has it)."""
    with socket.create_connection(("127.0.0.1", stage.httpd.port), timeout) as connection:
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it may answer before it has read everything
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    match = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(match[1]) if match else None


def throw(stage, cases, answers=()):
    """Each of name -> bytes: an answer below 500, but for the statuses of httpd's own (`answers`). The statuses that came."""
    wrong, seen = {}, set()
    for name, text in cases.items():
        status = exchange(stage, text)
        seen.add(status)
        if status is not None and status >= 500 and status not in answers:
            wrong[name] = status
    assert not wrong, wrong
    return seen


def lines(*parts, body=b""):
    return b"\r\n".join(part if isinstance(part, bytes) else part.encode() for part in parts) + b"\r\n\r\n" + body


def post(path, body, *headers, length=None):
    sized = f"Content-Length: {len(body) if length is None else length}"
    return lines(f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/x-www-form-urlencoded", sized, *headers, body=body)


def get(target, *headers):
    return lines(b"GET " + (target if isinstance(target, bytes) else target.encode()) + b" HTTP/1.1", "Host: localhost", *headers)


@pytest.mark.parametrize("path", END_POINTS)
def test_odd_methods(still, path):
    names = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND MKCOL LOCK FOO get Post X-Y".split()
    body = b"state=a&id_token=b&iss=c"
    form = ("Host: localhost", "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}")
    cases = {name: lines(f"{name} {path} HTTP/1.1", *form, body=body) for name in names}
    cases["long"] = lines("A" * 5000 + f" {path} HTTP/1.1", "Host: localhost")
    cases["none"] = lines(f" {path} HTTP/1.1", "Host: localhost")
    cases["authority"] = lines("CONNECT localhost:1 HTTP/1.1", "Host: localhost")
    cases["star"] = lines("OPTIONS * HTTP/1.1", "Host: localhost")
    cases["bytes"] = lines(b"G\xffT " + path.encode() + b" HTTP/1.1", "Host: localhost")
    cases["0.9"] = f"GET {path}\r\n".encode()
    cases["1.0"] = lines(f"GET {path} HTTP/1.0")
    throw(still, cases)


@pytest.mark.parametrize("path", END_POINTS)
def test_odd_bodies(still, path):
    """Content types, lengths that lie, transfer encodings, content that is none."""
    form = b"state=a&id_token=b&error=c&iss=d&login_hint=e&target_link_uri=f"
    cases = {f"type {sort[:20]}": lines(f"POST {path} HTTP/1.1", "Host: localhost", b"Content-Type: " + sort.encode("latin-1"), f"Content-Length: {len(form)}", body=form) for sort in (
        "application/json", "multipart/form-data", "multipart/form-data; boundary=", "text/plain", "x", ";", "/", "application/x-www-form-urlencoded;",
        "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencodedx", "\xff\xfe", "a" * 4000,
    )}  # fmt: skip
    bodies = {
        "nothing": b"", "one byte": b"=", "NUL": b"\0", "NULs": b"\0" * 3000, "NUL in a value": b"state=a\0b&id_token=c", "encoded NUL": b"state=a%00b&id_token=c",
        "percent": b"%", "percents": b"%" * 4000, "half": b"state=%4", "no hex": b"state=%g1&id_token=%zz", "wide": b"state=%u0041", "ampersands": b"&" * 9000,
        "equals": b"=" * 9000, "many": b"&".join(b"a%d=b" % number for number in range(5000)), "brackets": b"state[]=a&state[b]=c&id_token[$ne]=d",
        "repeated": b"state=a&state=a", "repeated otherwise": b"state=a&State=b&STATE=c", "invalid UTF-8": b"state=%ff%fe&id_token=%c0%80", "surrogates": b"state=%ed%a0%80%ed%b0%80",
        "beyond Unicode": b"state=%f4%90%80%80", "bytes": bytes(range(256)), "all encoded": "".join(f"%{number:02x}" for number in range(256)).encode(),
        "line breaks": b"state=a%0d%0aSet-Cookie:%20x=y&id_token=b", "pluses": b"+" * 5000, "semicolons": b"state=a;id_token=b", "JSON": b'{"state":"a","id_token":{}}',
        "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "long name": b"a" * 12000 + b"=b",
    }  # fmt: skip
    cases.update({f"body {name}": post(path, body) for name, body in bodies.items()})
    cases.update({f"length {length[:24]}": post(path, form, length=length) for length in ("-1", "abc", "", "+5", "0x10", "5, 5", "5,6", "1e3", " ", "9" * 40, "00000000000005")})
    cases["longer than told"] = post(path, form, length=5)
    cases["shorter than told"] = post(path, form, length=5000)
    cases["two lengths"] = post(path, form, "Content-Length: 3")
    cases["length and chunks"] = post(path, b"5\r\nstate\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
    chunked = ("Host: localhost", "Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked")
    chunks = {
        "none": b"", "no end": b"5\r\nstate\r\n", "no size": b"\r\n\r\n", "no hex": b"zz\r\nstate\r\n0\r\n\r\n", "negative": b"-5\r\nstate\r\n0\r\n\r\n",
        "huge": b"FFFFFFFFFFFFFFFFFFFF\r\nstate\r\n0\r\n\r\n", "large": b"7FFFFFFFFFFFFFFF\r\nstate\r\n0\r\n\r\n", "too short": b"50\r\nstate\r\n0\r\n\r\n", "too long": b"2\r\nstate\r\n0\r\n\r\n",
        "extensions": b"5;a=" + b"b" * 9000 + b"\r\nstate\r\n0\r\n\r\n", "trailers": b"5\r\nstate\r\n0\r\nX-LTI-Role: instructor\r\nContent-Length: 9\r\n\r\n",
        "small ones": b"".join(b"1\r\n%c\r\n" % byte for byte in form) + b"0\r\n\r\n", "NUL": b"\0\r\n\0\r\n", "line feeds": b"5\nstate\n0\n\n",
    }  # fmt: skip
    cases.update({f"chunks {name}": lines(f"POST {path} HTTP/1.1", *chunked, body=body) for name, body in chunks.items()})
    cases["encoded"] = post(path, b"\x1f\x8b\x08\0garbage", "Content-Encoding: gzip")
    cases["expecting"] = post(path, form, "Expect: 100-continue")
    cases["expecting much"] = post(path, form, "Expect: a-miracle")
    cases["with a query"] = post(path + "?state=x&id_token=%zz&" + "a=" * 2000, form)
    throw(still, cases)
    # Transfer encodings that httpd does not know, and versions, are 501 and 505 of its own.
    unknown = {name: lines(f"POST {path} HTTP/1.1", *chunked[:2], f"Transfer-Encoding: {name}", body=b"5\r\nstate\r\n0\r\n\r\n") for name in ("gzip", "chunked, chunked", "x" * 500, "identity")}
    unknown["version"] = lines(f"GET {path} HTTP/9.9", "Host: localhost")
    throw(still, unknown, {501, 505})


ODD_COOKIES = [
    b"", b"=", b";", b",", b"lti_", b"lti_=", b"lti_=x", b"lti_a=", b"=lti_a", b"lti_AAAAAAAAAAAAAAAA", b"lti_AAAAAAAAAAAAAAAA=1.", b"lti_AAAAAAAAAAAAAAAA=1..", b"lti_AAAAAAAAAAAAAAAA=1.5f.",
    b"lti_AAAAAAAAAAAAAAAA=1.ffffffffffffffffffff.AAAA", b"lti_AAAAAAAAAAAAAAAA=1.fffffffffff.AAAA", b"lti_AAAAAAAAAAAAAAAA=2.5f.AAAA", b"lti_AAAAAAAAAAAAAAAA=1.5f." + b"A" * 1000,
    b"lti_AAAAAAAAAAAAAAAA=1.5f." + b"A" * 7900, b'lti_AAAAAAAAAAAAAAAA="1.5f.AAAA"', b"lti_AAAAAAAAAAAAAAAA=1.5f.\xff\xfe", b"lti_\0=1.5f.AAAA", b"lti_\xff=1.5f.AAAA",
    b"; ".join(b"lti_%016d=1.5f.AAAA" % number for number in range(230)), b";" * 8000, b"=" * 8000, b"a=b;" * 2000, b"__Host-lti-", b"__Host-lti-=", b"__Host-lti-a=" + b"b" * 7000,
    b"; ".join(b"__Host-lti-%d=x" % number for number in range(400)), b"$Version=1; lti_a=1.5f.A; $Path=/", b"lti_a=1.5f.A, lti_b=1.5f.B", b"lti_" + b"a" * 7000 + b"=1.5f.A",
    b"\tlti_a=1.5f.A\t", b"lti_a=1.5f.%41", b"lti_a=1.5f.A; Path=/; HttpOnly",
]  # fmt: skip


@pytest.mark.parametrize("path", END_POINTS)
def test_odd_cookies_and_headers(still, path):
    cases = {f"cookie {number}": get(path, b"Cookie: " + cookie) for number, cookie in enumerate(ODD_COOKIES)}
    cases.update({f"cookie {number} with a form": post(path, b"state=a&id_token=b", b"Cookie: " + cookie) for number, cookie in enumerate(ODD_COOKIES)})
    cases["many cookie headers"] = get(path, *[b"Cookie: lti_a%d=1.5f.A" % number for number in range(60)])
    headers = [
        b"X: " + b"a" * 8180, b"X: " + b"a" * 9000, b"X" * 9000 + b": a", b"no colon", b": no name", b"X : blank", b"X: a\0b", b"X: \xff\xfe\x80", b"X: a\r\n folded", b"X: a\rb", b"X-LTI-Role: instructor",
        b"X_LTI_Role: instructor", b"Host: other", b"Authorization: Basic \xff", b"Authorization: LTI", b"Authorization: " + b"a" * 8000, b"Range: bytes=0-,0-,0-,0-", b"Range: bytes=-99999999999999999999",
        b"If-Modified-Since: yesterday", b"If-None-Match: \"" + b"a" * 7000, b"Connection: X-LTI-Role, close, keep-alive, upgrade", b"Upgrade: websocket", b"Upgrade: h2c\r\nHTTP2-Settings: AAAA",
        b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Site: \xff", b"Sec-Fetch-Dest: iframe", b"Origin: null", b"Origin: \xff", b"Origin: " + b"a" * 8000, b"Referer: \0", b"Referer: " + b"http://localhost/app/~" * 300,
        b"X-Forwarded-Host: evil.example", b"X-LTI-Step: 2", b"X-LTI-Step: cookie", b"X-LTI-Step: " + b"9" * 4000, b"Accept: \xff", b"Accept-Language: " + b"x," * 3000, b"TE: trailers",
    ]  # fmt: skip
    cases.update({f"header {header[:24]!r}": get(path, header) for header in headers})
    cases.update({f"header {header[:24]!r} with a form": post(path, b"state=a&id_token=b", header) for header in headers})
    cases["a hundred"] = get(path, *[f"X-{number}: a" for number in range(101)])
    for name, host in {"no host": [], "two hosts": ["Host: a", "Host: b"], "host of bytes": [b"Host: \xff"], "host of dots": ["Host: ..."], "long host": ["Host: " + "a" * 5000], "host with a port": ["Host: localhost:99999"], "empty host": ["Host:"], "host with a path": ["Host: a/b@c"]}.items():  # fmt: skip
        cases[name] = lines(f"GET {path} HTTP/1.1", *host)
    throw(still, cases)


def test_odd_addresses(still):
    """Around the end points and in their queries."""
    queries = [
        b"?", b"?&", b"?=", b"?%", b"?%zz", b"?%00", b"?a=%00", b"?a=%ff", b"?\xff\xfe", b"?" + b"a" * 8000, b"?" + b"&" * 8000, b"?" + b"%41" * 2600, b"?state=a&state=b", b"?iss=" + b"a" * 4000, b"?#", b"?a#b", b"??",
        b"?lti_led=1", b"?lti_led=1&lti_led=1", b"?course=", b"?course=%00", b"?course=" + b"x" * 4000, b"?course=../..", b"?course=' OR 1=1--", b"?context=%27%3B", b"?course=a&context=b", b"?limit=", b"?limit=-1",
        b"?limit=0", b"?limit=99999999999999999999", b"?limit=1e9", b"?limit=0x10", b"?role=", b"?role=" + b"r" * 4000, b"?role=%ff", b"?start=x", b"?after=%00", b"?page=\\", b"?wait=99999999999999",
    ]  # fmt: skip
    paths = [
        b"/lti", b"/lti/", b"//lti/login", b"/lti//login", b"/lti/login/", b"/lti/login//", b"/lti/./login", b"/lti/../lti/login", b"/lti/login/..", b"/../lti/login", b"/%6cti/login", b"/lti/%6cogin", b"/lti/login%00",
        b"/lti/login%2f", b"/lti%2flogin", b"/lti/login%", b"/lti/login%zz", b"/lti/login;a=b", b"/lti/login\xff", b"/lti/\\login", b"/lti/login\x01", b"/LTI/LOGIN", b"/lti/" + b"a" * 7000, b"/lti" + b"/a" * 2000,
        b"/lti/login\t", b"http://localhost/lti/login", b"http://evil.example/lti/launch", b"https://localhost:1/lti/jwks", b"ftp://localhost/lti/login", b"http:///lti/login", b"lti/login", b"*", b"", b"/app/~", b"/app/~/",
        b"/app/~aaaaaaaaaaaaaaaa/", b"/app/~aaaaaaaaaaaaaaaa/../echo", b"/app/~%00aaaaaaaaaaaaaaa/", b"/app/~~~~~~~~~~~~~~~~~/", b"/app/~" + b"a" * 5000,
    ]  # fmt: skip
    cases = {f"{path.decode('latin-1')[:40]}": get(path) for path in paths}
    cases.update({f"{path.decode('latin-1')[:40]} with a form": lines(b"POST " + path + b" HTTP/1.1", "Host: localhost", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 3", body=b"a=b") for path in paths})
    for end_point in END_POINTS:
        cases.update({f"{end_point}{query.decode('latin-1')[:40]}": get(end_point.encode() + query) for query in queries})
    throw(still, cases)


def test_odd_queries_of_people_who_are_let_in(still):
    """The same for somebody with a session: what is read of the request then is more."""
    still.campus.nrps_claim = False  # its roster would be awaited with 503
    cookie = "Cookie: " + still.launch("rosa", "HIS2").cookie_header(still.url("/"))
    still.campus.nrps_claim = True
    queries = ["course=", "course=%00", "course=" + "x" * 4000, "course='--", "context=%27", "course=a&context=b", "limit=", "limit=-1", "limit=0", "limit=99999999999999999999", "limit=%00", "role=" + "r" * 3000, "role=%ff", "start=%00", "after=x", "%", "a=%zz", "&&&", "=" * 3000]  # fmt: skip
    cases = {}
    for path in ("/lti/roster", "/lti/sync", "/app/echo"):
        cases.update({f"{path}?{query[:30]}": get(f"{path}?{query}", cookie) for query in queries})
        cases.update({f"{method} {path}": lines(f"{method} {path} HTTP/1.1", "Host: localhost", cookie, "Content-Length: 1", body=b"x") for method in ("PUT", "FOO", "DELETE", "PROPFIND")})
    still.httpd.allow_log("AH01797")
    # The application behind the proxy takes GET and POST only, and says 501 to others.
    throw(still, cases, {501})


def states(real):
    """States that are none, and what can be done to one that is."""
    yield from ("", " ", ".", "..", "...", "a", "a" * 100, "A" * 5000, "a" * 200_000, "%00", "%", "%zz", "{}", "[]", "null", "true", "0", "-1", "1e999", "' OR 1=1--", "<script>", "../../etc/passwd", "a.b.c", "=", "==", "+", "/", "_" * 64)
    yield from ("\u202e", "\U0001f4a9" * 20, "ä" * 2000, "\u0000", "a\u0000b", "\r\n", "\x7f", "\x1b[31m", "\ufeff", "\uffff")
    yield from (real[:length] for length in range(0, len(real), 7))
    yield from (real + more for more in ("A", "=", "AAAA", ".", real, "\0", "%00"))
    yield from (real[:at] + ("A" if real[at] != "A" else "B") + real[at + 1 :] for at in range(0, len(real), 11))
    yield from (real.upper(), real.lower(), real[::-1], real.replace("-", "+").replace("_", "/"))


def test_odd_states(still, browser):
    """The whole table at once, each as launch, as error, and with the cookie of the login that was made for it."""
    form = browser.prepare(still.campus, "BIO1", "zoe")
    cookies = browser.cookie_header(still.url("/lti/launch"))
    real = form.fields["state"]
    cases = {}
    for number, state in enumerate(states(real)):
        token = "x.y.z" if state == real else form.fields["id_token"]
        for name, fields in (("launch", {"id_token": token}), ("error", {"error": "access_denied", "error_description": "x"}), ("both", {"id_token": token, "error": "x"}), ("neither", {})):
            body = urllib.parse.urlencode({"state": state, **fields}, errors="surrogatepass").encode()
            cases[f"{number} {name}"] = post("/lti/launch", body, "Cookie: " + cookies)
    session = still.launch("zoe").named("lti_")
    for name, value in session.items():
        cases["a session's cookie"] = post("/lti/launch", urllib.parse.urlencode({"state": value, "id_token": form.fields["id_token"]}).encode(), f"Cookie: {name}={value}; {cookies}")
    assert throw(still, cases) == {400, 401}
    # None of them spent it.
    assert browser.submit(form).status == 303


def json_of_depth(depth):
    return '{"a":' * depth + "1" + "}" * depth


def tokens(good):
    """Tokens that are none: envelopes, headers, payloads. Behind a good state all of them are read."""
    head, payload, signature = good.split(".")
    yield from ("", ".", "..", "...", "....", "a", "a.b", "a.b.c", "a.b.c.d.e", "=.=.=", "%00", "\0", "ä.ö.ü", "." * 3000, "A" * 250_000, "A." * 1000, good + ".", "." + good, good + good, good[:-1], good.upper())
    heads = [
        b"", b"{", b"}", b"{}", b"[]", b"null", b"true", b"1", b'""', b"\0", b"\xff\xfe", b'{"alg":null}', b'{"alg":[]}', b'{"alg":{}}', b'{"alg":1}', b'{"alg":""}', b'{"alg":"none"}', b'{"alg":"RS256"}',
        b'{"alg":"RS256","kid":null}', b'{"alg":"RS256","kid":[]}', b'{"alg":"RS256","kid":{"a":1}}', b'{"alg":"RS256","kid":"' + b"k" * 60000 + b'"}', b'{"alg":"RS256","kid":"\\u0000"}', b'{"alg":"RS256","kid":"\\ud800"}',
        b'{"alg":"RS256","kid":"a\\r\\nb"}', b'{"alg":"RS256","alg":"none","kid":"a"}', b'{"alg":"RS256","kid":"a","crit":[]}', b'{"alg":"RS256","kid":"a","crit":"x"}', b'{"alg":"RS256","kid":"a","b64":false}',
        b'{"alg":"RS256","kid":"a","typ":1}', b'{"alg":"RS256","kid":"a","jwk":{"kty":"oct","k":"AA"}}', b'{"alg":"ES256","kid":"a"}', b'{"alg":"EdDSA","kid":"a"}', b'{"alg":"' + b"A" * 50000 + b'"}',
        json_of_depth(16).encode(), json_of_depth(17).encode(), json_of_depth(20000).encode(), b'{"n":' + b"9" * 50000 + b"}", b'{"n":1e999999}', b'{"n":-0}', b'{"alg":"RS256"}\0', b'\xef\xbb\xbf{"alg":"RS256"}',
    ]  # fmt: skip
    yield from (f"{encode(text)}.{payload}.{signature}" for text in heads)
    yield from (f"{head}.{encode(text)}.{signature}" for text in heads)
    yield from (f"{head}.{payload}.{text}" for text in ("", "A", "AA", "AAA", "=" * 4, "A" * 342, "A" * 341 + "!", "A" * 100_000, signature[:-1], signature + "A", "-" * 342, "_" * 342))


def test_odd_tokens(still, browser):
    """All behind one good state with its cookie: a state counts as used only by a token that is good."""
    form = browser.prepare(still.campus, "BIO1", "zoe")
    cookies = browser.cookie_header(still.url("/lti/launch"))
    cases = {}
    for number, token in enumerate(tokens(form.fields["id_token"])):
        body = urllib.parse.urlencode({"state": form.fields["state"], "id_token": token}, errors="surrogatepass").encode()
        cases[f"{number} {token[:30]!r}"] = post("/lti/launch", body, "Cookie: " + cookies)
    assert throw(still, cases) == {400, 401}


DEEP_LINKING_CLAIM = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
GRADES_CLAIM = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"


def odd_claims(claims):
    """Each claim in turn as what it should not be, all of it validly signed."""
    values = (None, True, 0, -1, 1.5, 2**63 - 1, 10**30, 1e308, "", " ", "\0", "\x1b", "x" * 70_000, "ä\u202e\uffff\U0001f4a9", [], {}, [[]], [None], [{}], {"": ""}, {"id": None}, {"id": {}}, {"id": "x" * 70_000}, [7] * 2000, ["x" * 600] * 200)
    for name in [*claims, DEEP_LINKING_CLAIM, GRADES_CLAIM, LTI + "for_user", LTI + "lti1p1", LTI + "role_scope_mentor", "nbf", "azp", "picture"]:
        for value in values:
            yield name, value


@pytest.mark.parametrize("kind", ["LtiResourceLinkRequest", "LtiSubmissionReviewRequest", "LtiDeepLinkingRequest"])
def test_odd_claims(still, browser, kind):
    """Whatever a platform signs: an answer below 500. What is let in all the same reaches the application unharmed."""
    seen = {}
    more = {
        LTI + "message_type": kind,
        LTI + "for_user": {"user_id": "u"},
        GRADES_CLAIM: {"lineitem": "https://lms.example.org/1"},
        DEEP_LINKING_CLAIM: {"deep_link_return_url": "https://lms.example.org/1", "accept_types": ["link"], "accept_presentation_document_targets": ["window"]},
    }
    still.campus.tamper_claims = lambda claims: seen.update({**claims, **more}) or seen
    form = browser.prepare(still.campus, "BIO1", "zoe")
    cookies = "Cookie: " + browser.cookie_header(still.url("/lti/launch"))
    cases = {}
    for number, (name, value) in enumerate(odd_claims(seen)):
        if kind != "LtiResourceLinkRequest" and number % 7:
            continue  # the first kind has them all
        try:
            token = still.campus.keys.sign({**seen, name: value})
        except UnicodeEncodeError:
            continue
        body = urllib.parse.urlencode({"state": form.fields["state"], "id_token": token}).encode()
        cases[f"{name.rsplit('/', 1)[-1]} {str(value)[:30]!r}"] = post("/lti/launch", body, cookies)
    assert len(cases) > 70
    assert throw(still, cases) >= {303, 401}
    assert browser.submit(form).status in (303, 401)  # one of the harmless oddities may have won the nonce
