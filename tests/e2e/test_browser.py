# SPDX-License-Identifier: Apache-2.0
"""What people see: Chromium clicks in the campus and sees the application, in a frame and in a tab of its own. With LTI_SCREENSHOTS=DIR, pictures."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from httpd import wait_for

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import Select  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1100,1000 --lang=en""".split()
WAIT = 20


def open_chromium():
    profile = tempfile.mkdtemp(prefix="lti-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    from selenium.webdriver.chrome.service import Service

    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def chromium():
    yield from open_chromium()


@pytest.fixture(params=["localhost", "127.0.0.1"])
def campus_site(request, make_stage):
    """The campus on the tool's own site, and on another one: then frames are third-party, whose cookies Chromium blocks unless partitioned."""
    return make_stage(name=request.param).start()


def picture(driver, name):
    folder = os.environ.get("LTI_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(Path(folder) / f"{name}.png"))


def find(driver, selector):
    """The element, once it is there."""
    return wait_for(lambda: next(iter(driver.find_elements(By.CSS_SELECTOR, selector)), None), f"{selector} in {driver.current_url}", WAIT)


def open_course(driver, stage, course="BIO1"):
    driver.get(f"{stage.campus.issuer}/course/{stage.campus.state.course(course).id}")


def open_in_frame(driver, stage, person, link="proxied", course="BIO1"):
    """Clicks in the course and goes into the frame."""
    open_course(driver, stage, course)
    find(driver, f"#frame-{link}-{person}").click()
    driver.switch_to.frame(find(driver, "iframe#tool"))
    find(driver, "#greeting, h1")


def open_in_tab(driver, stage, person, link="proxied", course="BIO1"):
    open_course(driver, stage, course)
    before = set(driver.window_handles)
    find(driver, f"#tab-{link}-{person}").click()
    driver.switch_to.window(wait_for(lambda: next(iter(set(driver.window_handles) - before), None), "a new tab", WAIT))
    find(driver, "#greeting, h1")


def greeting(driver):
    return find(driver, "#greeting").text


def class_names(driver):
    return [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, "#class tbody td:first-child")]


def see_whole_class(driver, stage, course="BIO1"):
    """Reloads the application until its class list is that of the campus."""
    wanted = sorted(person.name for person, _ in stage.campus.state.roster(course))

    def seen():
        if sorted(class_names(driver)) == wanted:
            return True
        driver.execute_script("location.reload()")
        return False

    wait_for(seen, "the whole class in the application", WAIT, 0.5)


@pytest.mark.parametrize("link", ["proxied", "cgi"])
def test_student_in_a_frame(chromium, campus_site, link):
    open_in_frame(chromium, campus_site, "zoe", link)
    assert greeting(chromium) == "Welcome, Zoë Müller"
    assert "a student in Biology I: Cells & Tissues" in find(chromium, ".card").text
    see_whole_class(chromium, campus_site)
    chromium.switch_to.default_content()
    picture(chromium, f"student-frame-{link}-{campus_site.campus.name}")


@pytest.mark.parametrize("link", ["proxied", "cgi"])
def test_student_in_a_tab(chromium, campus_site, link):
    open_in_tab(chromium, campus_site, "xiaolong", link)
    assert greeting(chromium) == "Welcome, 李小龍"
    assert chromium.current_url.startswith(campus_site.httpd.base_url)
    see_whole_class(chromium, campus_site)
    picture(chromium, f"student-tab-{link}-{campus_site.campus.name}")


def test_instructor_and_a_name_that_looks_like_markup(chromium, stage):
    open_in_frame(chromium, stage, "ada")
    assert greeting(chromium) == "Welcome, Ada Lovelace" and find(chromium, "#role").text == "instructor"
    see_whole_class(chromium, stage)
    assert "<b>Bobby</b> \"Tables\" & Söhne" in class_names(chromium)
    chromium.switch_to.default_content()
    picture(chromium, "instructor-frame")
    open_course(chromium, stage)
    picture(chromium, "campus-course")
    open_in_tab(chromium, stage, "bobby")
    assert greeting(chromium) == "Welcome, <b>Bobby</b> \"Tables\" & Söhne"


def test_drop_in_the_campus_shuts_the_open_page(chromium, stage):
    open_in_tab(chromium, stage, "zoe")
    see_whole_class(chromium, stage)
    application = chromium.current_window_handle
    chromium.switch_to.window(next(handle for handle in chromium.window_handles if handle != application))
    open_course(chromium, stage)
    find(chromium, '#person-zoe form[action$="/drop"] button').click()
    wait_for(lambda: not chromium.find_elements(By.ID, "person-zoe"), "Zoë to be gone from the course", WAIT)
    chromium.switch_to.window(application)

    def shut():
        chromium.refresh()
        return "no longer on the list of people of this course" in find(chromium, "body").text

    wait_for(shut, "the page for those who left", WAIT, 0.5)
    assert "member-left" in find(chromium, "body").text
    picture(chromium, "dropped")


def test_change_of_role_in_the_campus_is_seen_without_a_launch(chromium, stage):
    open_in_tab(chromium, stage, "sam")
    assert find(chromium, "#role").text == "learner"
    see_whole_class(chromium, stage)
    application = chromium.current_window_handle
    chromium.switch_to.window(next(handle for handle in chromium.window_handles if handle != application))
    open_course(chromium, stage)
    row = "#person-sam form[action$='/role'] "
    Select(find(chromium, row + "select")).select_by_value("teaching-assistant")
    find(chromium, row + "button").click()
    chromium.switch_to.window(application)

    def changed():
        chromium.refresh()
        return find(chromium, "#role").text == "teaching-assistant"

    wait_for(changed, "the new role", WAIT, 0.5)
    picture(chromium, "role-changed")


def test_enrolment_in_the_campus_is_seen_by_the_others(chromium, stage):
    open_in_tab(chromium, stage, "ada")
    see_whole_class(chromium, stage)
    open_course(chromium, stage)
    form = 'form[action$="/enrol"] '
    Select(find(chromium, form + 'select[name="person"]')).select_by_visible_text("Rosa Parks")
    find(chromium, form + "button").click()
    find(chromium, "#person-rosa")
    open_in_tab(chromium, stage, "zoe")
    see_whole_class(chromium, stage)
    assert "Rosa Parks" in class_names(chromium)


def test_stranger_sees_a_page_in_plain_words(chromium, stage):
    chromium.get(stage.url("/app/"))
    text = find(chromium, "body").text
    assert "Please open this tool from your course." in text and "session-none" in text
    picture(chromium, "stranger")


def test_reload_of_the_application_keeps_the_session_in_a_frame(chromium, campus_site):
    open_in_frame(chromium, campus_site, "zoe")
    for _ in range(2):
        # A reload in the middle of loading repeats the launch, which is spent, not the page.
        wait_for(lambda: chromium.execute_script("return document.readyState") == "complete", "the whole page", WAIT)
        chromium.execute_script("location.reload()")
        wait_for(lambda: chromium.find_elements(By.ID, "greeting"), "the page again", WAIT)
        assert greeting(chromium) == "Welcome, Zoë Müller"


def test_back_button_after_a_launch_shows_no_fault_of_ours(chromium, stage):
    open_in_tab(chromium, stage, "zoe")
    chromium.back()
    chromium.forward()
    assert "Internal Server Error" not in find(chromium, "body").text


def test_campus_and_application_fit_a_phone(chromium, stage):
    chromium.set_window_size(500, 900)
    open_course(chromium, stage)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert chromium.execute_script(wide) <= 1
    picture(chromium, "phone-campus")
    open_in_tab(chromium, stage, "zoe")
    see_whole_class(chromium, stage)
    assert chromium.execute_script(wide) <= 1
    picture(chromium, "phone-application")
