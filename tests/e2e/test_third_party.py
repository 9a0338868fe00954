# SPDX-License-Identifier: Apache-2.0
"""Launches in a frame of another site, over TLS, in a Chromium that blocks third-party cookies (SPEC section 9), as a person sees them: by partitioned
cookies, by the platform's storage, and by a window of one's own. With LTI_SCREENSHOTS=DIR, pictures."""
import json
import shutil
import tempfile
import urllib.parse

import pytest
from httpd import find_module, wait_for
from secure import SCHOOL, PLATFORM, TOOL, SecureStage
from test_browser import CHROMIUM, DRIVER, FLAGS, WAIT, By, find, picture, webdriver  # first: it skips where there is no selenium
from selenium.common.exceptions import StaleElementReferenceException

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")

# What tests switch while httpd runs: each is a file that makes a rule hold.
RULES = """
<Location "/lti/login">
    Header always unset Set-Cookie "expr=-f '{root}/conf/no-state' && -z req('LTI-Step')"
</Location>
<Location "/lti/launch">
    RequestHeader unset Cookie "expr=-f '{root}/conf/lost-state' && -z req('LTI-Step')"
    Header always unset Set-Cookie "expr=-f '{root}/conf/no-session' && req('LTI-Step') == '2'"
</Location>
<Location "/app/plain">
    Header always add Set-Cookie "plain=1; Path=/; Secure; SameSite=None"
    Header always add Set-Cookie "parted=1; Path=/; Secure; SameSite=None; Partitioned"
</Location>
"""
SWITCHES = ("no-state", "lost-state", "no-session")


@pytest.fixture(scope="module")
def place():
    if find_module() is None:
        pytest.exit("there is no module: build first, or name it in LTI_MODULE", 2)
    stage = SecureStage()
    stage.extra_tls = RULES.format(root=stage.httpd.root)
    yield stage.start()
    faults = stage.close()
    assert not faults, "the error log has something to say:\n" + "\n".join(faults)


@pytest.fixture(autouse=True)
def as_before(place):
    yield
    place.campus.storage, place.campus.manners, place.campus.site, place.campus.hints_once = None, "", None, True
    for name in SWITCHES:
        (place.httpd.root / "conf" / name).unlink(missing_ok=True)


def switch(place, name, on=True):
    path = place.httpd.root / "conf" / name
    path.touch() if on else path.unlink()


def start_chromium(place, prefs=None):
    from selenium.webdriver.chrome.service import Service

    profile = tempfile.mkdtemp(prefix="lti-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, *place.flags(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"profile.cookie_controls_mode": 1, **(prefs or {})})  # third-party cookies are blocked
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    driver.set_page_load_timeout(30)
    driver.profile = profile
    return driver


def end_chromium(driver):
    driver.quit()
    shutil.rmtree(driver.profile, ignore_errors=True)


@pytest.fixture(scope="module")
def usual_chromium(place):
    driver = start_chromium(place)
    yield driver
    end_chromium(driver)


@pytest.fixture(scope="module")
def strict_chromium(place):
    """Keeps no cookies of the tool at all while a page of platform or school is on top, partitioned or not."""
    blocked = {f"https://[*.]{TOOL},https://[*.]{top}": {"setting": 2} for top in (PLATFORM, SCHOOL)}
    driver = start_chromium(place, {"profile.content_settings.exceptions.cookies": blocked})
    yield driver
    end_chromium(driver)


def fresh(driver):
    first, *others = driver.window_handles
    for handle in others:
        driver.switch_to.window(handle)
        driver.close()
    driver.switch_to.window(first)
    driver.get("about:blank")
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    return driver


@pytest.fixture
def usual(usual_chromium):
    return fresh(usual_chromium)


@pytest.fixture
def strict(strict_chromium):
    return fresh(strict_chromium)


# --- what a person does -----------------------------------------------------------------------------------------------------------------


def open_frame(driver, place, person="zoe", link="proxied", site=None):
    course = place.campus.state.course("BIO1")
    query = urllib.parse.urlencode({"course": course.id, "person": place.campus.state.person(person).id, "link": link})
    driver.get(f"{site or place.campus.issuer}/frame?{query}")
    driver.switch_to.frame(find(driver, "iframe#tool"))


def come_in(driver):
    assert find(driver, "#greeting").text == "Welcome, Zoë Müller"
    assert driver.execute_script("return location.origin").endswith(str(driver.tool_port))


def window_section(driver):
    """The way into a new window, once the page offers it."""

    def offered():
        parts = driver.find_elements(By.ID, "window") or driver.find_elements(By.CSS_SELECTOR, "main form[target]")
        try:
            return next((part for part in parts if part.is_displayed()), None)
        except StaleElementReferenceException:
            return None  # the page of the login has just made room for that of the launch

    return wait_for(offered, "the button", WAIT)


def refused_in_window(driver, code):
    """The page of the launch, which may still have to take the place of the login's, says why."""

    def told():
        try:
            return code in window_section(driver).text
        except StaleElementReferenceException:
            return False

    wait_for(told, f"a page with {code}", WAIT)


def click_into_window(driver):
    before = set(driver.window_handles)
    section = window_section(driver)
    (section if section.tag_name == "form" else section.find_element(By.TAG_NAME, "form")).find_element(By.TAG_NAME, "button").click()
    driver.switch_to.window(wait_for(lambda: next(iter(set(driver.window_handles) - before), None), "a new window", WAIT))


def asked(driver):
    """What the tool asked of the storage in the campus's page, and how much is left there."""
    driver.switch_to.default_content()
    return driver.execute_script("return [(document.body.dataset.asked || '').trim().split(' '), Number(document.body.dataset.held)]")


def headers_of_application(driver, path="/app/echo"):
    driver.execute_script("location.href = arguments[0]", path)
    text = wait_for(lambda: (lambda text: text if text.startswith("{") else None)(find(driver, "body").text), "the echo", WAIT)
    return {name.lower(): value for name, value in json.loads(text)["headers"]}


@pytest.fixture(autouse=True)
def ports(place, request):
    for name in ("usual_chromium", "strict_chromium"):
        if name in request.fixturenames:
            request.getfixturevalue(name).tool_port = place.tls_port


# --- partitioned cookies ----------------------------------------------------------------------------------------------------------------


def test_partitioned_cookies_are_enough(place, usual):
    """SPEC W-01, W-04, W-06: third-party cookies really are blocked here, and the launch does not notice."""
    open_frame(usual, place)
    come_in(usual)
    headers_of_application(usual, "/app/plain/echo")
    cookies = headers_of_application(usual).get("cookie", "")
    assert "parted=1" in cookies and "plain=1" not in cookies, cookies
    usual.switch_to.default_content()
    picture(usual, "third-party-partitioned")
    # The second launch brings cookies: no page is needed any more.
    since = len(place.httpd.log_lines())
    open_frame(usual, place)
    come_in(usual)
    assert not [line for line in place.httpd.log_lines()[since:] if "LTI026" in line]


def test_partitioned_cookies_go_before_storage(place, usual):
    place.campus.storage = "_parent"
    open_frame(usual, place)
    come_in(usual)
    assert asked(usual)[0] == ["lti.put_data"]


# --- storage --------------------------------------------------------------------------------------------------------------------------


def test_storage_in_the_page_that_frames_the_tool(place, usual):
    """SPEC 9.3, W-05, W-10, W-16: without its state cookie the launch is proved by storage, and nothing is left there; the log has the case."""
    place.campus.storage = "_parent"
    switch(place, "no-state")
    open_frame(usual, place)
    come_in(usual)
    assert asked(usual) == [["lti.put_data", "lti.get_data", "lti.put_data"], 0]
    assert place.httpd.wait_log("LTI0260.*in a frame")
    picture(usual, "third-party-storage")


def test_storage_in_a_frame_of_its_own(place, usual):
    """SPEC W-10, W-11, W-13, W-24: the school's pages are on another site than the platform's end points, as at Canvas."""
    place.campus.storage, place.campus.site = "post_message_forwarding", place.school
    switch(place, "no-state")
    open_frame(usual, place, site=place.school)
    come_in(usual)


def test_storage_named_by_the_login_only(place, usual):
    """The capabilities of some platforms do not repeat the frame."""
    place.campus.storage, place.campus.site, place.campus.manners = "post_message_forwarding", place.school, "unnamed"
    switch(place, "no-state")
    open_frame(usual, place, site=place.school)
    come_in(usual)


MANNERS = ["silent", "mute", "error", "message-id", "subject", "source"]


@pytest.mark.parametrize("manners", MANNERS)
def test_storage_that_keeps_nothing(place, usual, manners):
    """SPEC W-12, W-15: what is no answer counts as none; the platform is not asked before, so that the login can begin in a new window."""
    place.campus.storage, place.campus.manners = "_parent", manners
    switch(place, "no-state")
    since = len(place.campus.requests("auth"))
    open_frame(usual, place)
    window_section(usual)
    assert len(place.campus.requests("auth")) == since
    switch(place, "no-state", False)
    click_into_window(usual)
    come_in(usual)


@pytest.mark.parametrize("manners", [*(f"{word}@get_data" for word in MANNERS[1:]), "forgets"])
def test_storage_that_gives_nothing_back(place, usual, manners):
    """SPEC W-12, W-20, W-23: the page has no proof, so there is no session; where hints are good for longer, the window is the way."""
    place.campus.storage, place.campus.manners, place.campus.hints_once = "_parent", manners, False
    switch(place, "no-state")
    since = len(place.httpd.log_lines())
    open_frame(usual, place)
    refused_in_window(usual, "state-browser")
    assert not [line for line in place.httpd.log_lines()[since:] if "LTI0202" in line]
    switch(place, "no-state", False)
    click_into_window(usual)
    come_in(usual)


def test_page_on_another_origin_than_the_registered_one(place, usual):
    """SPEC W-11, W-12: a page that is not the platform's is asked for its capabilities, and for nothing else."""
    place.campus.storage, place.campus.site = "_parent", place.school
    switch(place, "no-state")
    open_frame(usual, place, site=place.school)
    window_section(usual)
    assert asked(usual)[0] == [""], "the secret went to another origin"


def test_storage_that_gives_another_value(place, usual):
    """SPEC W-20: the server compares, once."""
    place.campus.storage, place.campus.manners, place.campus.hints_once = "_parent", "value", False
    switch(place, "no-state")
    open_frame(usual, place)
    refused_in_window(usual, "state-browser")
    place.httpd.wait_log("LTI0201: refused with state-browser.*W-20")
    assert not [cookie for cookie in usual.get_cookies() if cookie["name"].startswith("lti_")]
    # The page's own handle, and the secret that the login put: too late.
    again = """const page = document.getElementById('lti').dataset;
        return fetch(page.end, {method: 'POST', headers: {'LTI-Step': '2'}, body: new URLSearchParams({handle: page.handle, proof: 'x'})})
            .then((answer) => answer.status + ' ' + answer.headers.get('X-LTI-Error'))"""
    assert usual.execute_script(again) == "401 nonce-used"


def test_session_cookie_that_does_not_come_back(place, usual):
    """SPEC W-06: proved by storage, but the session is lost: the page notices."""
    place.campus.storage, place.campus.hints_once = "_parent", False
    switch(place, "no-state")
    switch(place, "no-session")
    open_frame(usual, place)
    window_section(usual)
    place.httpd.wait_log("LTI0262")
    for name in ("no-state", "no-session"):
        switch(place, name, False)
    click_into_window(usual)
    come_in(usual)


def test_launch_of_an_attacker_in_the_browser_of_another(place, usual):
    """SPEC S-01: a foreign page posts a good launch of somebody else's login; the victim's storage does not know it, whoever is asked."""
    place.campus.storage = "_parent"
    switch(place, "lost-state")
    course, person = place.campus.state.course("BIO1"), place.campus.state.person("bobby")
    usual.get(f"{place.campus.issuer}/open?" + urllib.parse.urlencode({"course": course.id, "person": person.id, "link": "proxied"}))
    section = window_section(usual)
    assert section and usual.execute_script("return location.pathname") == "/lti/launch"
    assert not [cookie for cookie in usual.get_cookies() if cookie["name"].startswith("lti_")]


# --- a window of its own ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", [None, "_parent"])
def test_browser_that_keeps_no_cookies_in_frames(place, strict, storage):
    """SPEC 9.4, step 3: one click, and the hints, which are good once, are good still."""
    place.campus.storage = storage
    open_frame(strict, place)
    section = window_section(strict)
    assert "In a window of its own it works" in section.text
    strict.switch_to.default_content()
    name = f"third-party-window-{storage or 'no-storage'}"
    picture(strict, name)
    strict.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    picture(strict, name + "-dark")
    strict.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    campus = strict.current_window_handle
    strict.switch_to.frame(find(strict, "iframe#tool"))
    click_into_window(strict)
    come_in(strict)
    assert strict.execute_script("return window.top === window")
    picture(strict, name + "-opened")
    strict.switch_to.window(campus)
    strict.switch_to.frame(find(strict, "iframe#tool"))
    assert "was opened in a new window" in find(strict, "#opened").text
    assert not strict.find_element(By.CSS_SELECTOR, "#window form").is_displayed()
    strict.switch_to.default_content()
    picture(strict, name + "-after")


def test_state_cookie_that_is_lost_on_the_way(place, usual):
    """SPEC 9.4, step 3, at the launch: nothing of the platform's helps, and hints are good for longer."""
    place.campus.hints_once = False
    switch(place, "lost-state")
    open_frame(usual, place)
    window_section(usual)
    usual.switch_to.default_content()
    picture(usual, "third-party-late-window")
    switch(place, "lost-state", False)
    usual.switch_to.frame(find(usual, "iframe#tool"))
    click_into_window(usual)
    come_in(usual)


def test_cookies_switched_off_altogether(place, usual):
    """SPEC 9.4, step 4: even a window of its own does not help: plain words, and no circle of buttons."""
    place.campus.hints_once = False
    switch(place, "lost-state")
    open_frame(usual, place)
    click_into_window(usual)
    text = wait_for(lambda: (lambda text: text if "state-browser" in text else None)(find(usual, "body").text), "the refusal", WAIT)
    assert "allow cookies" in text and not usual.find_elements(By.TAG_NAME, "button")
    picture(usual, "third-party-no-cookies")
