# SPDX-License-Identifier: Apache-2.0
"""Launches without their cookie (SPEC section 9): what the end points take and refuse, without a browser. What a person sees is in test_third_party.py."""
import json
import re
import time
import urllib.parse

import pytest
from client import Browser, Page
from httpd import free_port

IN_FRAME = {"Sec-Fetch-Dest": "iframe"}


@pytest.fixture(scope="module")
def place(make_shared_stage):
    stage = make_shared_stage()
    moodle = stage.httpd.platform_block("moodle", LTIPreset="moodle https://moodle.example.edu", LTIClientID="m-1", LTIIssuer=stage.campus.issuer)
    port = free_port()
    stage.other, stage.hosts_own = f"http://localhost:{port}", free_port()
    stage.configure(
        pace="LTISync Off",
        platform=stage.httpd.platform + "\n" + moodle,
        extra=f"Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\nServerName {stage.other}\n{stage.httpd.locations}</VirtualHost>\n"
        f"Listen 127.0.0.1:{stage.hosts_own}\n<VirtualHost 127.0.0.1:{stage.hosts_own}>\nServerName http://localhost:{stage.hosts_own}\nLTICookieName __Host-lti\n"
        f"{stage.httpd.locations}</VirtualHost>",
    )
    return stage.start()


@pytest.fixture(autouse=True)
def as_before(place):
    yield
    campus = place.campus
    campus.storage, campus.manners, campus.hints_once, campus.tamper_login, campus.tamper_claims = None, "", True, None, None
    campus.tool.client_id = "campus-tool-7Qd2k"
    place.httpd.set_clock(0)


def begin(place, storage="_parent", browser=None):
    """A login with storage; returns the browser, what the login's page puts there, and the form that the platform posts then."""
    place.campus.storage = storage
    browser = browser or Browser()
    login = browser.start_login(place.campus, "BIO1", "zoe")
    assert login.status == 200, login
    return browser, Page(login).data, browser.authorize(login).form()


def stray(place, **options):
    """A launch that came back without any cookie: (browser, what its page asks for, the secret that the storage holds)."""
    browser, put, form = begin(place, **options)
    browser.cookies.clear()
    page = browser.submit(form)
    assert page.status == 200, page
    return browser, Page(page).data, put["value"]


def script(place, browser, path, step, fields, base=None, **changes):
    """What the script of a page sends; `changes` replace or take away headers (- for _)."""
    base = base or place.httpd.base_url
    headers = {"LTI-Step": step, "Sec-Fetch-Site": "same-origin", "Origin": base, "Content-Type": "application/x-www-form-urlencoded"}
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    pairs = [(name, value) for name, value in headers.items() if value is not None]
    return browser.request("POST", base + path, urllib.parse.urlencode(fields).encode(), pairs)


def prove(place, browser, handle, proof, **changes):
    return script(place, browser, "/lti/launch", "2", {"handle": handle, "proof": proof}, **changes)


def ask_cookie(place, browser, name, path="/lti/login", **changes):
    return script(place, browser, path, "cookie", {"cookie": name}, **changes)


def lengthen(hints, fields):
    """The campus gives longer hints."""
    longer = fields["lti_message_hint"] + "x" * 2048
    hints[longer] = hints.pop(fields["lti_message_hint"])
    return {**fields, "lti_message_hint": longer}


def sessions(response):
    return [line for line in response.set_cookies if line.startswith("lti_") and "Max-Age=0" not in line]


def refused(response, status, code):
    assert (response.status, response.error) == (status, code), response
    assert not sessions(response)


# --- the login ----------------------------------------------------------------------------------------------------------------------


def test_login_with_storage_is_a_page(place):
    """SPEC 9.3 (a), W-01, W-11, W-14, W-22: the cookie is set as well, and the two secrets are two."""
    place.campus.storage = "post_message_forwarding"
    browser = Browser()
    login = browser.start_login(place.campus, "BIO1", "zoe")
    assert login.status == 200 and "no-store" in login.header("Cache-Control")
    data = Page(login).data
    ((name, secret),) = browser.named("__Host-lti-").items()
    assert data["origin"] == place.campus.issuer and data["target"] == "post_message_forwarding"
    assert data["key"] == "lti_state_" + name[len("__Host-lti-") :]
    assert len(data["value"]) >= 22 and data["value"] != secret and secret not in login.text
    policy = login.header("Content-Security-Policy")
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)[1]
    assert "default-src 'none'" in policy and f'<script nonce="{nonce}">' in login.text and login.text.count("<script") == 1
    assert not login.header("X-Frame-Options") and not login.header("Access-Control-Allow-Origin")
    assert browser.authorize(login).status == 200


@pytest.mark.parametrize("target", ["", "a b", "_parent<", "x" * 65, "\u00e9"])
def test_odd_storage_target_is_ignored(place, target):
    """SPEC L-10."""
    place.campus.tamper_login = lambda fields: {**fields, "lti_storage_target": target}
    assert Browser().start_login(place.campus, "BIO1", "zoe").status == 303


def test_login_in_a_frame_tries_the_cookies_first(place):
    """Hints are good once at Moodle and Canvas: whether cookies come back is found out before the platform is asked."""
    browser = Browser()
    fields = browser.get(place.campus.open_url("zoe", "BIO1")).form().fields
    page = browser.post(place.url("/lti/login"), fields, IN_FRAME, origin=place.campus.issuer)
    data = Page(page).data
    assert page.status == 200 and data["cookie"] in browser.named("__Host-lti-") and "value" not in data
    assert ask_cookie(place, browser, data["cookie"]).json() == {"cookie": True}
    assert "probe" not in str(browser.cookies)
    # The button begins the same login anew, with all that it had.
    form = page.form()
    assert form.action == place.url("/lti/login")
    assert {**fields, "lti_new_window": "1"} == form.fields
    again = Browser().post(form.action, form.fields, {"Sec-Fetch-Dest": "document"})
    assert again.status == 303, "a window of its own needs no page"
    assert again.location.startswith(place.campus.auth_url)


def test_login_in_a_frame_with_cookies_is_a_redirect(place):
    browser = place.launch("zoe")
    fields = browser.get(place.campus.open_url("zoe", "BIO1")).form().fields
    assert browser.post(place.url("/lti/login"), fields, IN_FRAME, origin=place.campus.issuer).status == 303
    place.campus.storage = "_parent"
    fields["lti_storage_target"] = "_parent"
    page = browser.post(place.url("/lti/login"), fields, IN_FRAME, origin=place.campus.issuer)
    assert page.status == 200 and "cookie" not in Page(page).data


def test_long_login_with_storage_goes_on_by_a_form(place):
    """SPEC A-11."""
    place.campus.storage = "_parent"
    place.campus.tamper_login = lambda fields: lengthen(place.campus.hints, fields)
    link = place.campus.state.course("BIO1").links["proxied"]
    kept, link.path = link.path, "/app/echo?" + "x" * 3800
    try:
        browser = Browser()
        login = browser.start_login(place.campus, "BIO1", "zoe")
        assert Page(login).way is None and Page(login).data["value"]
        assert browser.submit(browser.authorize(login).form()).status == 303
    finally:
        link.path = kept


def test_login_page_works_without_its_script(place):
    """The cookie is there too: whoever follows the link comes in."""
    place.campus.storage = "_parent"
    browser = Browser()
    assert browser.launch(place.campus, "BIO1", "zoe").app.status == 200
    assert "Zo" in place.echo(browser)["x-lti-name"]


# --- does the cookie come back? -------------------------------------------------------------------------------------------------------


def test_probe_of_cookies(place):
    """SPEC W-06: whoever loses the first cookie is given another one by an answer to a script."""
    browser = Browser()
    first = ask_cookie(place, browser, "__Host-lti-abcdefgh")
    assert first.json() == {"cookie": False} and first.header("Content-Type") == "application/json"
    (probe,) = browser.named("__Host-lti-")
    assert probe == "__Host-lti-probe" and "Max-Age=60" in first.set_cookies[0] and "Partitioned" in first.set_cookies[0]
    second = ask_cookie(place, browser, probe)
    assert second.json() == {"cookie": True} and not browser.cookies
    third = ask_cookie(place, Browser(), probe)
    assert third.json() == {"cookie": False} and not third.set_cookies


def test_probe_of_sessions(place):
    browser = place.launch("zoe")
    (name,) = browser.named("lti_")
    assert ask_cookie(place, browser, name, "/lti/launch").json() == {"cookie": True}
    assert ask_cookie(place, Browser(), name, "/lti/launch").json() == {"cookie": False}
    # A cookie of the application is nobody's business here.
    browser.set_cookie("app_session", "1")
    for other in ("app_session", "lti", "", "__Host-", "lti_\r\nx"):
        answer = ask_cookie(place, browser, other, "/lti/launch")
        assert (answer.status, answer.error) == (400, "parameter-invalid"), other
    refused(browser.post(place.url("/lti/login"), {}, {"LTI-Step": "cookie"}), 400, "parameter-missing")
    refused(browser.request("GET", place.url("/lti/login?cookie=lti_x"), headers={"LTI-Step": "cookie"}), 405, "method")


FOREIGN = {
    "other origin": {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
    "other host of the site": {"Sec_Fetch_Site": "same-site"},
    "no page": {"Sec_Fetch_Site": "none"},
    "old browser, other origin": {"Sec_Fetch_Site": None, "Origin": "https://evil.example"},
    "old browser, opaque origin": {"Sec_Fetch_Site": None, "Origin": "null"},
    "old browser, platform's origin": {"Sec_Fetch_Site": None, "Origin": "http://localhost"},
}


@pytest.mark.parametrize("case", FOREIGN)
def test_scripts_of_others_are_refused(place, case):
    """SPEC W-21, S-32."""
    browser, page, proof = stray(place)
    answer = prove(place, browser, page["handle"], proof, **FOREIGN[case])
    refused(answer, 403, "cross-site")
    assert not answer.header("Access-Control-Allow-Origin")
    refused(ask_cookie(place, browser, "__Host-lti-abcdefgh", **FOREIGN[case]), 403, "cross-site")
    # Nothing was spent: the page itself still comes in.
    assert prove(place, browser, page["handle"], proof).status == 200


def test_request_that_says_nothing_of_its_page_is_refused(place):
    browser, page, proof = stray(place)
    refused(prove(place, browser, page["handle"], proof, Sec_Fetch_Site=None, Origin=None), 403, "cross-site")
    old = prove(place, browser, page["handle"], proof, Sec_Fetch_Site=None)
    assert old.status == 200, "a browser that has no Sec-Fetch-Site yet sends its origin"


def test_preflight_is_never_answered_with_yes(place):
    ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-lti-step"}
    for path in ("login", "launch"):
        answer = Browser().request("OPTIONS", place.url(f"/lti/{path}"), headers=ask)
        assert answer.status == 405 and not answer.header("Access-Control-Allow-Origin")


# --- the launch -----------------------------------------------------------------------------------------------------------------------


def test_storage_proves_the_browser(place):
    """SPEC 9.3 (b), W-20."""
    browser, page, proof = stray(place)
    answer = prove(place, browser, page["handle"], proof)
    assert answer.status == 200 and "no-store" in answer.header("Cache-Control")
    told = answer.json()
    (session,) = browser.named("lti_")
    assert told == {"location": place.url("/app/"), "cookie": session}
    assert ask_cookie(place, browser, session, "/lti/launch").json() == {"cookie": True}
    assert place.echo(browser)["x-lti-name"] == "Zoë Müller"


def test_page_of_a_stray_launch(place):
    """SPEC W-11, W-16, W-22, W-24: a sealed handle, the registered origin, and nobody's frame but the platform's."""
    place.campus.site = "https://school.example.edu"
    try:
        browser, put, form = begin(place)
    finally:
        place.campus.site = None
    browser.cookies.clear()
    page = browser.submit(form)
    data = Page(page).data
    assert (data["key"], data["target"], data["origin"]) == (put["key"], "_parent", place.campus.issuer)
    assert "eyJ" not in page.text and form.fields["state"] not in page.text and put["value"] not in page.text
    policy = page.header("Content-Security-Policy")
    assert policy.endswith(f"frame-ancestors 'self' {place.campus.issuer} https://school.example.edu")
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert not page.header("X-Frame-Options") and page.header("Referrer-Policy") == "no-referrer"
    assert not sessions(page)
    line = place.httpd.wait_log("LTI0260")
    assert "eyJ" not in line and put["value"] not in line


def test_good_cookie_needs_no_proof(place):
    browser, _, form = begin(place)
    assert browser.submit(form).status == 303


def test_wrong_proof_burns_the_launch(place):
    """SPEC W-20: once per handle; the right one comes too late."""
    browser, page, proof = stray(place)
    refused(prove(place, browser, page["handle"], proof[:-1] + ("A" if proof[-1] != "A" else "B")), 401, "state-browser")
    refused(prove(place, browser, page["handle"], proof), 401, "nonce-used")
    refused(prove(place, Browser(), page["handle"], proof), 401, "nonce-used")


@pytest.mark.parametrize("proof", ["", "x", "lti", "x" * 4000])
def test_odd_proofs(place, proof):
    browser, page, _ = stray(place)
    refused(prove(place, browser, page["handle"], proof), 401, "state-browser")


def test_secret_of_the_cookie_is_no_proof(place):
    browser, put, form = begin(place)
    (secret,) = browser.named("__Host-lti-").values()
    browser.cookies.clear()
    handle = Page(browser.submit(form)).data["handle"]
    refused(prove(place, browser, handle, secret), 401, "state-browser")


def test_proof_of_another_login_of_the_same_browser(place):
    """SPEC S-01: the attacker's launch in the victim's browser, whose storage knows the victim's logins only."""
    _, attackers, _ = stray(place)
    browser, victims, proof = stray(place)
    refused(prove(place, browser, attackers["handle"], proof), 401, "state-browser")
    assert prove(place, browser, victims["handle"], proof).status == 200


@pytest.mark.parametrize("text", ["a,{}", "a, {}", ",{}", "a\t,\t{}", "a={}", '"{}'])
def test_cookie_of_another_host_of_the_domain_proves_nothing(place, text):
    """SPEC W-01, S-01: any host of the domain may set a cookie whose value has another in it; one called __Host-... only we can."""
    attacker, victim = Browser(), Browser()
    form = attacker.prepare(place.campus, "BIO1", "zoe")
    ((name, secret),) = attacker.named("__Host-lti-").items()
    victim.set_cookie("x", text.format(f"{name}={secret}"))
    refused(victim.submit(form), 401, "state-browser")
    assert attacker.submit(form).status == 303
    ((name, secret),) = attacker.named("lti_").items()
    victim.set_cookie("x", text.format(f"{name}={secret}"))
    refused(victim.get(place.url("/app/echo")), 401, "session-none")
    assert "," not in text or secret not in victim.get(place.url("/open/echo")).text


def test_session_cookie_that_other_hosts_cannot_set(place):
    """SPEC W-06: LTICookieName __Host-lti; beside the cookies of logins, withheld as well, ended by signing out."""
    usual, own = place.campus.tool, f"http://localhost:{place.hosts_own}"
    place.campus.tool = type(usual)(own)
    try:
        browser = Browser()
        browser.start_login(place.campus, "BIO1", "zoe")
        browser.launch(place.campus, "BIO1", "zoe")
    finally:
        place.campus.tool = usual
    ((name, value),) = browser.named("__Host-lti_").items()
    assert browser.named("__Host-lti-") and not browser.named("lti_")
    answer = browser.get(own + "/app/echo")
    assert answer.status == 200 and "zoe" in answer.text.lower() and value not in answer.text and "__Host-lti" not in answer.text
    assert ask_cookie(place, browser, name, "/lti/launch", base=own).json() == {"cookie": True}
    assert browser.post(own + "/lti/logout").status == 200
    assert not browser.named("__Host-lti_") and browser.named("__Host-lti-")


def test_replay_of_a_proof(place):
    """SPEC S-02: the nonce is redeemed by the proof, and whatever comes of the same login afterwards is late."""
    browser, put, form = begin(place)
    kept = dict(browser.cookies)
    browser.cookies.clear()
    page = Page(browser.submit(form)).data
    second = Page(Browser().submit(form)).data
    assert prove(place, browser, page["handle"], put["value"]).status == 200
    refused(prove(place, browser, page["handle"], put["value"]), 401, "nonce-used")
    refused(prove(place, Browser(), second["handle"], put["value"]), 401, "nonce-used")
    browser.cookies.update(kept)
    refused(browser.submit(form), 401, "nonce-used")


def test_handle_after_a_launch_by_cookie(place):
    browser, put, form = begin(place)
    handle = Page(Browser().submit(form)).data["handle"]
    assert browser.submit(form).status == 303
    refused(prove(place, Browser(), handle, put["value"]), 401, "nonce-used")


def test_handle_without_the_header(place):
    """SPEC W-21: what a form of another site could send."""
    browser, page, proof = stray(place)
    for step in (None, "1", "22", "proof"):
        refused(prove(place, browser, page["handle"], proof, LTI_Step=step), 403, "cross-site")
    assert prove(place, browser, page["handle"], proof).status == 200


def test_handle_expires(place):
    browser, page, proof = stray(place)
    place.httpd.set_clock(59)
    late = Browser()
    assert prove(place, browser, page["handle"], proof).status == 200
    place.httpd.set_clock(0)
    browser, page, proof = stray(place)
    place.httpd.set_clock(62)
    refused(prove(place, late, page["handle"], proof), 401, "state-expired")


def test_used_launch_stays_used_as_long_as_handles_live(place):
    """The token's own end is nearer than the handle's: the nonce is kept for both."""
    browser, page, proof = stray(place)
    assert prove(place, browser, page["handle"], proof).status == 200
    rows = place.httpd.store.execute("SELECT MAX(expires_at) FROM lti_nonce")
    lifetime, skew, handle = 300, 60, 60
    assert int(rows[0][0]) / 1e6 > time.time() + lifetime + skew + handle - 10


def test_tampered_and_foreign_handles(place):
    browser, page, proof = stray(place)
    handle = page["handle"]
    middle = len(handle) // 2
    odd = ["", "AAAA", handle[:-1], handle + "A", handle + "=", handle[:middle] + ("A" if handle[middle] != "A" else "B") + handle[middle + 1 :]]
    for text in odd:
        refused(prove(place, browser, text, proof), 401, "state-invalid")
    # A state is no handle, a handle no state, and what one host sealed is nothing at another.
    _, _, form = begin(place)
    refused(prove(place, browser, form.fields["state"], proof), 401, "state-invalid")
    form.fields["state"] = handle
    refused(browser.submit(form), 401, "state-invalid")
    refused(prove(place, browser, handle, proof, base=place.other), 401, "state-invalid")
    missing = browser.post(place.url("/lti/launch"), {"handle": handle}, {"LTI-Step": "2"})
    refused(missing, 400, "parameter-missing")
    assert prove(place, browser, handle, proof).status == 200


def test_invalid_token_gets_no_handle(place):
    """SPEC 9.3: the server verifies the token completely before anything is asked."""
    place.campus.forge_signature = True
    try:
        browser, _, form = begin(place)
    finally:
        place.campus.forge_signature = False
    browser.cookies.clear()
    refused(browser.submit(form), 401, "signature")


def test_largest_launch_goes_through_a_handle(place):
    claim = "https://purl.imsglobal.org/spec/lti/claim/custom"
    place.campus.tamper_claims = lambda claims: {**claims, claim: {f"c{i}": "x" * 4000 for i in range(40)}}
    browser, page, proof = stray(place)
    assert len(page["handle"]) > 250000
    assert prove(place, browser, page["handle"], proof).status == 200
    flood = browser.post(place.url("/lti/launch"), {"handle": "A" * 600000, "proof": "x"}, {"LTI-Step": "2"})
    refused(flood, 413, "too-large")


# --- the window -----------------------------------------------------------------------------------------------------------------------


def test_stray_launch_without_storage_offers_a_window(place):
    """SPEC 9.4, step 3, W-24: refused, with the way into a window of its own, where the same login begins anew."""
    place.campus.hints_once = False
    browser = Browser()
    form = browser.prepare(place.campus, "BIO1", "zoe")
    page = Browser().submit(form)
    refused(page, 401, "state-browser")
    assert page.header("Content-Security-Policy").endswith(f"frame-ancestors 'self' {place.campus.issuer}")
    assert "Open in a new window" in page.text and 'target="_blank"' in page.text and "<script" not in page.text
    assert "Back to your course" not in page.text, "one button, the one that helps"
    document = page.text.replace('action="/lti/login"', f'action="{place.url("/lti/login")}"')
    button = type(form)()
    button.feed(document)
    window = Browser()
    login = window.post(button.action, button.fields, {"Sec-Fetch-Dest": "document"})
    assert login.status == 303
    back = window.get(login.location).form()
    # Where the cookie is lost even there, another window would not help.
    lost = Browser().submit(back)
    refused(lost, 401, "state-browser")
    assert "Open in a new window" not in lost.text and "allow cookies" in lost.text
    assert window.submit(back).status == 303
    assert place.echo(window)["x-lti-name"] == "Zoë Müller"


def test_long_hints_do_not_travel(place):
    place.campus.hints_once = False
    page = Browser().submit(Browser().prepare(place.campus, "BIO1", "zoe"))
    assert place.campus.state.person("zoe").id in page.text, "the hint of a usual login travels"
    place.campus.tamper_login = lambda fields: lengthen(place.campus.hints, fields)
    page = Browser().submit(Browser().prepare(place.campus, "BIO1", "zoe"))
    refused(page, 401, "state-browser")
    assert "<form" not in page.text and "Ask your teacher" in page.text


def test_hints_that_are_good_once_are_not_offered_again(place):
    """Moodle and Canvas have taken the hints when the launch comes back: the same login anew would end at an error page of theirs."""
    place.campus.tool.client_id = "m-1"
    page = Browser().submit(Browser().prepare(place.campus, "BIO1", "zoe"))
    refused(page, 401, "state-browser")
    assert "<form" not in page.text and "Ask your teacher" in page.text


def test_markup_in_hints_stays_text(place):
    """SPEC S-24."""
    odd = "\"'><script>alert(1)</script>&amp;\u00e9"
    fields = Browser().get(place.campus.open_url("zoe", "BIO1")).form().fields
    fields.update(login_hint=odd, lti_message_hint=odd)
    page = Browser().post(place.url("/lti/login"), fields, IN_FRAME, origin=place.campus.issuer)
    assert page.form().fields["login_hint"] == odd and page.form().fields["lti_message_hint"] == odd
    assert page.text.count("<script") == 1 and page.text.isascii()


def test_error_of_the_platform_without_the_cookie_is_not_believed(place):
    """SPEC B-10, S-04: whatever storage the login had."""
    _, _, form = begin(place)
    answer = Browser().post(place.url("/lti/launch"), {"state": form.fields["state"], "error": "access_denied"})
    refused(answer, 400, "parameter-invalid")


def test_answers_are_json_without_markup(place):
    browser, page, proof = stray(place)
    answer = prove(place, browser, page["handle"], proof)
    assert json.loads(answer.text) and answer.header("Content-Type") == "application/json" and answer.header("X-Content-Type-Options") == "nosniff"
