# SPDX-License-Identifier: Apache-2.0
"""Two courses in one Chromium, then two people, with an application that has sessions of its own, absolute links, redirects, forms and scripts: each tab must
keep seeing its own course and role. With LTI_SCREENSHOTS=DIR, pictures."""
import json
import re

import pytest
from campus_state import Link
from httpd import free_port, wait_for
from notebook import start_notebook

browsing = pytest.importorskip("test_browser")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from test_browser import chromium, find, open_in_tab, picture  # noqa: E402,F401

pytestmark = browsing.pytestmark

LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"

PLACE = """ProxyPass "/notes/" "http://127.0.0.1:{port}/notes/"
<Location "/notes">
    AuthType LTI
    Require valid-user
    AuthzSendForbiddenOnFailure On
    LTICoursePaths On
</Location>
"""


@pytest.fixture
def make_notes(make_stage):
    """Starts a stage with the application; `cookie_path` is what it wants its own cookie to be for."""
    servers = []

    def make(cookie_path="/notes/", **options):
        stage, port = make_stage(**options), free_port()
        servers.append(start_notebook(port, cookie_path))
        stage.httpd.module_config = f"LTIStateDir {stage.httpd.root}/state\nLTIApplication /notes/\nLTISync Off"
        stage.configure(extra=PLACE.format(port=port))
        for course in stage.campus.state.courses.values():
            course.links["notes"] = Link(f"rl-{course.label}-notes", "Notes", "/notes/")
        return stage.start()

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


class Tab:
    """A window of the browser that must always show the same course, person and role."""

    def __init__(self, driver, stage, person, course, role, name=None):
        driver.switch_to.new_window("tab")  # for the campus: the other tabs stay as they are
        open_in_tab(driver, stage, person, "notes", course)
        self.driver, self.handle = driver, driver.current_window_handle
        self.wanted = (course, name or stage.campus.state.person(person).name, role)
        self.prefix = re.match(r".*/notes/~[a-z2-7]{16}(?=/)", driver.current_url)[0]
        self.notes = []
        self.check()

    def enter(self):
        self.driver.switch_to.window(self.handle)
        return self

    def text(self, name):
        return find(self.driver, "#" + name).text

    def check(self, path=None):
        def settled():
            try:
                return path is None or self.text("where") == path
            except StaleElementReferenceException:
                return False

        wait_for(settled, f"{path} in {self.driver.current_url}")
        assert (self.text("course"), self.text("name"), self.text("role")) == self.wanted, "httpd sees another course"
        assert (self.text("own-course"), self.text("own-name"), self.text("own-role")) == self.wanted, "the application's session is another's"
        assert self.driver.current_url.startswith(self.prefix + "/"), self.driver.current_url
        assert [item.text for item in self.driver.find_elements(By.CSS_SELECTOR, "#notes li")] == self.notes
        return self

    def follow(self, link):
        self.enter()
        find(self.driver, "#" + link).click()
        self.check("/notes/page")
        self.driver.get(self.prefix + "/")
        return self.check("/notes/")

    def save(self, note):
        self.enter()
        find(self.driver, "#note").send_keys(note)
        find(self.driver, "#save").click()
        self.notes.append(note)
        return self.check("/notes/page")

    def script(self, button):
        self.enter()
        self.driver.execute_script("document.getElementById('fetched').textContent = ''")
        find(self.driver, "#" + button).click()
        told = json.loads(wait_for(lambda: self.text("fetched"), "the script's answer"))
        for seen in (told["now"], told["own"]):
            assert (seen["course"], seen["name"], seen["role"]) == self.wanted
        assert told["path"] == "/notes/api" and "~" not in told["referer"]
        assert (told["method"], told["body"]) == (("POST", "from a script") if button == "post" else ("GET", ""))
        return self

    def reload(self):
        self.enter().driver.refresh()
        return self.check()


def use(tabs):
    """Everything that the application does, now in this tab, now in that."""
    for link in ("absolute", "relative", "redirect", "full-redirect", "up"):
        for tab in tabs:
            tab.follow(link)
    for tab in tabs:
        tab.save(f"a note of {tab.wanted}")
    for button in ("fetch", "post"):
        for tab in tabs:
            tab.script(button)
    for tab in reversed(tabs):
        tab.reload()


def test_two_courses_in_two_tabs(chromium, make_notes):  # noqa: F811
    """The application's cookie is for the whole host, as is usual."""
    stage = make_notes("/")
    tabs = [Tab(chromium, stage, "ada", "BIO1", "instructor"), Tab(chromium, stage, "ada", "HIS2", "learner")]
    use(tabs)
    picture(chromium, "two-courses-tab")


def test_two_people_in_one_course(chromium, make_notes):  # noqa: F811
    """A teacher looks at the course as its teacher and, by the platform's Student View, as a test student."""
    stage = make_notes()
    teacher = Tab(chromium, stage, "ada", "BIO1", "instructor")
    person = {"sub": "student-view-1", "name": "Test Student", "given_name": "Test", "family_name": "Student", "email": ""}
    roles = {"https://purl.imsglobal.org/spec/lti/claim/roles": [LEARNER, TEST_USER]}
    stage.campus.tamper_claims = lambda claims: {**claims, **person, **roles}
    student = Tab(chromium, stage, "ada", "BIO1", "learner", "Test Student")
    stage.campus.tamper_claims = None
    use([teacher, student])
    # Coming back as the teacher leaves the test student's tab alone.
    again = Tab.__new__(Tab)
    again.__dict__ = dict(teacher.__dict__)
    chromium.switch_to.new_window("tab")
    open_in_tab(chromium, stage, "ada", "notes", "BIO1")
    again.handle = chromium.current_window_handle
    again.check()
    for tab in (student, again, teacher):
        tab.script("fetch")


def test_choice_page(chromium, make_notes):  # noqa: F811
    stage = make_notes()
    Tab(chromium, stage, "ada", "BIO1", "instructor")
    history = Tab(chromium, stage, "ada", "HIS2", "learner")
    bobby = Tab(chromium, stage, "bobby", "BIO1", "learner")
    chromium.switch_to.new_window("tab")
    chromium.get(stage.url("/notes/page"))  # typed: no page says which course is meant
    assert find(chromium, "h1").text == "Which course?"
    links = chromium.find_elements(By.CSS_SELECTOR, "li a")
    assert sorted(link.text for link in links) == ["Biology I: Cells & Tissues", "Biology I: Cells & Tissues", "History II"]
    assert "<b>Bobby</b> \"Tables\" & Söhne, learner" in find(chromium, "ul").text
    for shade in ("light", "dark"):
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": shade}]})
        picture(chromium, f"choice-{shade}")
    next(link for link in links if link.text == "History II").click()
    history.handle = chromium.current_window_handle
    history.check("/notes/page")
    bobby.reload()
    chromium.switch_to.new_window("tab")
    # A script that says nothing of its page gets no course.
    history.enter()
    refused = "fetch('/notes/api', {method: arguments[0], referrerPolicy: 'no-referrer'}).then(answer => arguments[1](answer.status))"
    assert chromium.execute_async_script(refused, "GET") == 300
    assert chromium.execute_async_script(refused, "POST") == 409


def test_frames_of_two_courses_on_another_site(chromium, make_notes):  # noqa: F811
    """Platform and tool on different sites: the session's cookies are of a third party, and the application's links still find their course."""
    stage = make_notes(name="127.0.0.1")
    for course in ("BIO1", "HIS2", "BIO1"):
        chromium.switch_to.default_content()
        browsing.open_in_frame(chromium, stage, "ada", "notes", course)
        assert find(chromium, "#course").text == course
        find(chromium, "#absolute").click()
        wait_for(lambda: find(chromium, "#where").text == "/notes/page", "the page behind the absolute link")
        assert find(chromium, "#course").text == course
        assert re.search(r"/notes/~[a-z2-7]{16}/page$", chromium.execute_script("return location.pathname"))
