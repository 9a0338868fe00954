# SPDX-License-Identifier: Apache-2.0
"""Pages of refusals: what they tell to whom, the way back to the course, and that nothing from outside comes in unescaped."""
import json
import re
import urllib.parse
from html.parser import HTMLParser

import pytest
from campus_protocol import LTI
from client import Browser

try:
    from test_browser import chromium  # noqa: F401
except pytest.skip.Exception:
    pass

BIDI = "\u202e"  # turns the writing direction round
LOCATIONS = """
<Location "/app/strict">
    LTIRemoteUser {sourcedid}@{platform}
</Location>
"""


class Page(HTMLParser):
    """What a browser makes of it."""

    VOID = {"meta", "br", "input"}

    def __init__(self, response):
        super().__init__()
        self.text, self.tags, self.links, self.attributes, self._open, self.styles = "", [], [], [], [], ""
        self.feed(response.body.decode("ascii"))
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        if tag == "a":
            self.links.append(dict(attributes)["href"])
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] == ["style"]:
            self.styles += data
        else:
            self.text += data


def read(response):
    """The page, after what holds for all of them."""
    page = Page(response)
    assert response.text.startswith("<!DOCTYPE html>\n<html lang=\"en\">")
    assert set(page.tags) <= set("html head meta title style body main h1 p code a details summary blockquote bdi br".split()), page.tags
    assert not [name for name in page.attributes if name.startswith("on")]
    assert "color-scheme:light dark" in page.styles and "viewport" in response.text
    assert response.header("Content-Type").startswith("text/html")
    assert response.header("X-Content-Type-Options") == "nosniff" and response.header("Referrer-Policy") == "no-referrer"
    assert "no-store" in response.header("Cache-Control")
    policy = response.header("Content-Security-Policy")
    (nonce,) = re.fullmatch(r"default-src 'none'; style-src 'nonce-([\w-]{22})'; base-uri 'none'(?:[;,] frame-ancestors [^;,]+)?", policy).groups()
    assert f'<style nonce="{nonce}">' in response.text
    assert "For the administrator of this site" in page.text
    assert re.search(rf"Code {response.error}, request [a-z2-7]{{13}}", page.text), page.text
    return page


@pytest.fixture(scope="module")
def site(make_shared_stage):
    stage = make_shared_stage()
    protected = stage.httpd.locations
    platform = stage.httpd.platform_block(LTIDeployment="d-1 d-9")
    return stage.configure(pace="LTISync Off", platform=platform, locations=protected + LOCATIONS, extra="LTIServiceHosts lms.example.org").start()


@pytest.fixture(autouse=True)
def campus_as_usual(request):
    yield
    if "site" in request.fixturenames:
        campus = request.getfixturevalue("site").campus
        campus.tamper_claims = campus.tamper_login = campus.auth_error = None
        campus.forge_signature = False


def refused(site, tamper=None, person="zoe"):
    site.campus.tamper_claims = tamper
    return Browser().launch(site.campus, "BIO1", person, check=False).launch


def course_url(site):
    return f"{site.campus.issuer}/course/{site.campus.state.course('BIO1').id}"


def way_back(site, response):
    """The link of the page: the platform's address and what it is told."""
    (link,) = read(response).links
    url, _, query = link.partition("?")
    return url, dict(urllib.parse.parse_qsl(query, strict_parsing=True))


def claims(**changes):
    return lambda known: dict(known, **{(LTI + name if name in ("message_type", "deployment_id", "launch_presentation", "roles") else name): value for name, value in changes.items()})


# --- the way back (SPEC K-31) -----------------------------------------------------------------------------------------------------------


AFTER_THE_SIGNATURE = {
    "message-type": (claims(message_type="LtiExplodeRequest"), 403),
    "claim-missing": (claims(roles=None), 401),
    "claim-invalid": (claims(roles="Learner"), 401),
    "audience": (claims(aud="somebody"), 401),
    "token-expired": (claims(iat=1, exp=2), 401),
    "nonce-mismatch": (claims(nonce="n" * 30), 401),
    "anonymous": (claims(sub=None), 401),
}


@pytest.mark.parametrize("code", AFTER_THE_SIGNATURE)
def test_the_way_back_is_offered_after_a_good_signature(site, code):
    tamper, status = AFTER_THE_SIGNATURE[code]
    answer = refused(site, tamper)
    assert (answer.status, answer.error) == (status, code)
    url, told = way_back(site, answer)
    assert url == course_url(site)
    request_id = re.search(r"request ([a-z2-7]{13})", Page(answer).text)[1]
    assert told["lti_errorlog"] == f"{code}, request {request_id}"
    assert told["lti_errormsg"].endswith(f"({code}, {request_id})") and told["lti_errormsg"][0].isupper()


def test_deployments_targets_and_replays_lead_back_too(site):
    campus = site.campus
    campus.tamper_login = lambda fields: dict(fields, lti_deployment_id="d-2")
    answer = refused(site, claims(deployment_id="d-2"))
    assert answer.status == 403 and answer.error.startswith("deployment-") and way_back(site, answer)[0] == course_url(site)
    campus.tamper_login = None
    answer = refused(site, lambda known: dict(known, **{LTI + "target_link_uri": site.url("/app/other")}))
    assert answer.error == "target-mismatch" and way_back(site, answer)[0] == course_url(site)
    browser = Browser()
    campus.tamper_claims = None
    form = browser.prepare(campus, "BIO1", "zoe")
    name, value = next(iter(browser.named("__Host-lti-").items()))
    assert browser.submit(form).status == 303
    browser.set_cookie(name, value)
    answer = browser.submit(form)
    assert (answer.status, answer.error) == (401, "nonce-used") and way_back(site, answer)[0] == course_url(site)


def test_no_way_back_without_a_good_signature(site):
    """What nobody vouches for is not offered: a forged token, an invented state, no token at all."""
    site.campus.forge_signature = True
    answer = refused(site)
    assert answer.error == "signature" and read(answer).links == []
    for fields in ({"state": "a" * 40, "id_token": "x.y.z"}, {"state": "a"}, {"id_token": "x.y.z"}):
        answer = Browser().post(site.url("/lti/launch"), fields)
        assert answer.status in (400, 401) and read(answer).links == []


RETURN_URLS = {
    "https://lms.example.org/back": "https://lms.example.org/back",
    "https://LMS.example.org:8443/back": "https://LMS.example.org:8443/back",
    "https://evil.example/back": None,
    "https://lms.example.org.evil.example/": None,
    "https://lms.example.org@evil.example/": None,
    "https://evil.example\\@lms.example.org/": None,
    "http://lms.example.org/back": None,
    "javascript:alert(1)": None,
    "//lms.example.org/back": None,
    "data:text/html,x": None,
    "https://lms.example.org/#x": None,
    "https://lms.example.org/\"><script>alert(1)</script>": "https://lms.example.org/\"><script>alert(1)</script>",
    "": None,
}


@pytest.mark.parametrize("url", RETURN_URLS)
def test_the_way_back_leads_to_the_platform_only(site, url):
    """https, and a host of the platform: its issuer, an end point, or LTIServiceHosts."""
    answer = refused(site, claims(message_type="x", launch_presentation={"return_url": url}))
    assert answer.error == "message-type"
    links = read(answer).links
    if RETURN_URLS[url] is None:
        assert links == [] and "evil" not in answer.text
    else:
        assert links and links[0].startswith(RETURN_URLS[url] + "?lti_errormsg=")


def test_the_way_back_keeps_its_query(site):
    answer = refused(site, claims(message_type="x", launch_presentation={"return_url": course_url(site) + "?a=1&b=%20c&"}))
    url, told = way_back(site, answer)
    assert url == course_url(site) and (told["a"], told["b"]) == ("1", " c") and set(told) == {"a", "b", "lti_errormsg", "lti_errorlog"}


def test_sessions_know_the_way_back(site):
    """Refusals long after the launch: a missing detail, a page for teachers only."""
    browser = site.launch("zoe")
    answer = browser.get(site.url("/lti/roster"))
    assert (answer.status, answer.error) == (403, "role-required") and way_back(site, answer)[0] == course_url(site)
    site.campus.tamper_claims = lambda known: {name: value for name, value in known.items() if name != LTI + "lis"}
    site.launch("zoe", browser=browser)
    answer = browser.get(site.url("/app/strict/echo"))
    assert (answer.status, answer.error) == (403, "remote-user") and way_back(site, answer)[0] == course_url(site)
    assert site.status(browser) == (200, "")


def test_a_session_that_is_over_knows_the_way_back(make_stage):
    stage = make_stage().configure(pace="LTISync Off").start()
    browser = stage.launch("zoe")
    stage.httpd.set_clock(9 * 3600)
    answer = browser.get(stage.url("/app/echo"))
    if answer.status == 200:
        pytest.skip("the module has no test clock")
    assert (answer.status, answer.error) == (401, "session-expired") and way_back(stage, answer)[0] == course_url(stage)
    # One that was never ours knows nothing.
    (name,) = browser.named("lti_")
    browser.set_cookie(name, "1.5f.AAAA")
    answer = browser.get(stage.url("/app/echo"))
    assert answer.error == "session-invalid" and read(answer).links == []


# --- what the platform posts (SPEC 1.4, B-10) --------------------------------------------------------------------------------------------


def post_error(site, error, description=None, state=None):
    site.campus.auth_error = error
    browser = Browser()
    form = browser.prepare(site.campus, "BIO1", "zoe")
    form.fields.pop("error_description", None)
    if description is not None:
        form.fields["error_description"] = description
    if state is not None:
        form.fields["state"] = state
    return browser.submit(form)


def test_the_platforms_own_words_are_shown(site):
    answer = post_error(site, "access_denied", "Zoë is not enrolled in this course.")
    assert (answer.status, answer.error) == (403, "platform-denied")
    page = read(answer)
    assert "Your learning platform says:\naccess_deniedZoë is not enrolled in this course." in page.text and "blockquote" in page.tags


DESCRIPTIONS = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "&lt;b&gt;", "</blockquote></body>", BIDI + "x", "é" * 5000]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=range(len(DESCRIPTIONS)))
def test_words_of_others_are_text_and_bounded(site, description):
    answer = post_error(site, "access_denied", description)
    page = read(answer)
    shown = page.text.split("access_denied", 1)[1].split("\n", 1)[0]
    assert shown == description if len(description) < 200 else (shown.endswith(" …") and len(shown) < 300)
    assert len(answer.body) < 6000


@pytest.mark.parametrize("error", ["<script>alert(1)</script>", "x" * 1000, BIDI, "a b"], ids=range(4))
def test_error_codes_of_no_kind(site, error):
    site.httpd.allow_log("LTI0201: refused with platform-error")
    answer = post_error(site, error)
    assert answer.status == 502 and "<script" not in answer.text
    assert ("x" * 64 in read(answer).text) == (error == "x" * 1000) and "x" * 65 not in answer.text


def test_an_error_with_a_state_that_is_not_good_is_not_shown(site):
    """SPEC B-10: it may come from anybody."""
    for state in ("a" * 60, "invented", "x.y"):
        answer = post_error(site, "access_denied", "call 0900 12345", state)
        assert (answer.status, answer.error) == (400, "parameter-invalid")
        assert "access_denied" not in answer.text and "0900" not in answer.text
    # A good state of another browser is as good as none.
    site.campus.auth_error = "access_denied"
    form = Browser().prepare(site.campus, "BIO1", "zoe")
    answer = Browser().submit(form)
    assert answer.status == 400 and "access_denied" not in answer.text


# --- methods, end points, pages of the administrator's -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/lti/launch", "/lti/login", "/lti/logout", "/lti/jwks", "/lti/roster", "/lti/sync"])
def test_methods_that_are_not_taken(site, path):
    browser = site.launch("ada")
    answer = browser.request("DELETE", site.url(path))
    assert (answer.status, answer.error) == (405, "method")
    assert {word.strip() for word in answer.header("Allow").split(",")} & {"GET", "POST"} and "DELETE" not in answer.header("Allow")
    read(answer)


def test_head_has_the_headers_of_a_page_and_no_page(site):
    answer = Browser().request("HEAD", site.url("/app/echo"))
    assert (answer.status, answer.error, answer.body) == (401, "session-none", b"")
    answer = Browser().request("HEAD", site.url("/lti/nothing"))
    assert (answer.status, answer.error, answer.body) == (404, "not-found", b"")


def test_end_points_that_do_not_exist(site):
    for path in ("/lti/", "/lti/nothing", "/lti/launch/x", "/lti/Launch", "/lti/%6caunch/", "/lti/register", "/lti/deep-link", "/lti/<script>"):
        answer = Browser().get(site.url(path))
        assert (answer.status, answer.error) == (404, "not-found"), path
        assert read(answer).links == [] and "There is no such page." in answer.text


def test_a_page_of_the_administrators_stays_in_force(make_stage):
    """ErrorDocument: it is told what went wrong and where the way back leads; our policy does not hold for it."""
    stage = make_stage()
    stage.httpd.put("denied.html", "<p>Our own words</p><script>1</script>")
    stage.configure(
        pace="LTISync Off",
        extra="ErrorDocument 403 /open-cgi/class.cgi?echo\nErrorDocument 401 /denied.html\nErrorDocument 404 \"Nothing here\"",
    ).start()
    answer = refused(stage, claims(message_type="x"))
    told = json.loads(answer.body)
    assert (answer.status, answer.error) == (403, "message-type")
    assert told["REDIRECT_LTI_ERROR"] == "message-type" and re.fullmatch("[a-z2-7]{13}", told["REDIRECT_LTI_REQUEST_ID"])
    assert told["REDIRECT_LTI_ERROR_RETURN_URL"].startswith(course_url(stage) + "?lti_errormsg=")
    assert answer.header("Content-Security-Policy") == "" and "no-store" in answer.header("Cache-Control")
    answer = Browser().get(stage.url("/app/echo"))
    assert (answer.status, answer.error) == (401, "session-none") and "Our own words" in answer.text
    assert answer.header("Content-Security-Policy") == ""
    assert Browser().get(stage.url("/lti/nothing")).text == "Nothing here"


# --- what people see --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shade", ["light", "dark"])
def test_pages_in_a_browser(request, site, shade):
    """Readable in light and dark, narrow and wide; the details open without a script; the way back is one click. LTI_SCREENSHOTS=DIR keeps pictures."""
    seen = pytest.importorskip("test_browser")
    if not (seen.CHROMIUM and seen.DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    driver = request.getfixturevalue("chromium")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": shade}]})
    site.campus.auth_error = "access_denied"
    driver.get(site.campus.open_url("zoe", "BIO1", method="get"))
    assert "Your learning platform says" in seen.find(driver, "main").text
    seen.picture(driver, f"error-platform-{shade}")
    site.campus.auth_error = None
    site.campus.tamper_claims = claims(message_type="LtiExplodeRequest")
    driver.get(site.campus.open_url("zoe", "BIO1", method="get"))
    assert not driver.find_element(seen.By.CSS_SELECTOR, "details p").is_displayed()
    driver.find_element(seen.By.CSS_SELECTOR, "summary").click()
    assert "LTIMessageTypes" in driver.find_element(seen.By.CSS_SELECTOR, "details p").text
    for width in (320, 1100):
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": False})
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        seen.picture(driver, f"error-message-type-{shade}-{width}")
    colours = driver.execute_script("const s = getComputedStyle(document.body); return [s.color, getComputedStyle(document.documentElement).colorScheme]")
    assert (colours[0] == "rgb(0, 0, 0)") == (shade == "light"), colours
    driver.find_element(seen.By.LINK_TEXT, "Back to your course").click()
    assert driver.current_url.startswith(course_url(site) + "?lti_errormsg=")
    complaints = [entry for entry in driver.get_log("browser") if "Content Security Policy" in entry["message"]]
    assert not complaints, complaints
