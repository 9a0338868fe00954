# SPDX-License-Identifier: Apache-2.0
"""Everything that a test needs at once: a campus, an httpd with the module, the proxied application, and short ways to look at what came out."""
import re
import threading
import urllib.parse
from datetime import datetime, timezone

from campus import Campus
from client import Browser
from httpd import Httpd, free_port, wait_for
from proxied import make_server

QUIET = "LTISyncInterval 1h"  # only launches and "update now" refresh rosters
OFF = "LTISync Off"


class Stage:
    def __init__(self, mpm="event", name="localhost", seed="test"):
        port = free_port()
        self.campus = Campus(tool_base=f"http://localhost:{port}", port=free_port(), name=name, seed=seed)
        self.httpd = Httpd(self.campus, port, mpm)
        self.application = make_server(self.httpd.app_port, self.httpd.roster_url)
        self.started = False

    def configure(self, pace=None, **parts):
        """Before start(): `pace` replaces the sync interval; other names are parts of the configuration (see Httpd)."""
        if pace is not None:
            parts.setdefault("module_config", self.httpd.module_config.replace("LTISyncInterval 2s", pace))
        for name, text in parts.items():
            assert hasattr(self.httpd, name), name
            setattr(self.httpd, name, text)
        return self

    def start(self):
        self.started = True
        self.campus.start()
        threading.Thread(target=self.application.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.httpd.start()
        return self

    def close(self):
        """Stops everything and returns what the error log has against this test."""
        try:
            self.httpd.stop()
            return self.httpd.log_faults()
        finally:
            self.campus.stop()
            if self.started:
                self.application.shutdown()
            self.application.server_close()
            self.httpd.close()

    # --- addresses ------------------------------------------------------------------------------------------------------------

    def url(self, path):
        return self.httpd.base_url + path

    # --- people and what the applications see ---------------------------------------------------------------------------------

    def launch(self, person, course="BIO1", link="proxied", browser=None, **options):
        browser = browser or Browser()
        browser.steps = browser.launch(self.campus, course, person, link, **options)
        return browser

    def echo(self, browser, path="/app/echo", headers=()):
        """What the proxied application is told: X-LTI names (lower case) -> value; each must come once."""
        response = browser.get(self.url(path), headers)
        assert response.status == 200, response
        found = {}
        for name, value in response.json()["headers"]:
            if name.lower().startswith("x-lti-"):
                assert name.lower() not in found, f"{name} came twice"
                found[name.lower()] = value
        return found

    def environment(self, browser, path="/cgi/class.cgi?echo", headers=()):
        """What the CGI script is told: its whole environment."""
        response = browser.get(self.url(path), headers)
        assert response.status == 200, response
        return response.json()

    def status(self, browser, path="/app/echo"):
        response = browser.get(self.url(path))
        return response.status, response.error

    # --- rosters --------------------------------------------------------------------------------------------------------------

    def members(self, course_key):
        """Everybody active in the course as GET roster tells applications: user id -> member, all pages."""
        browser, found = Browser(), {}
        address = f"{self.httpd.roster_url}?{urllib.parse.urlencode({'course': course_key})}"
        while address:
            response = browser.get(address)
            assert response.status == 200, response
            for member in response.json()["members"]:
                found[member["user_id"]] = member
            following = re.search(r'<([^>]+)>\s*;\s*rel="?next"?', response.header("Link"))
            address = urllib.parse.urljoin(address, following[1]) if following else None
        return found

    def enrolled(self, course="BIO1"):
        """Ids of those whom the campus lists."""
        return {person.id for person, enrolment in self.campus.state.roster(course) if enrolment.status == "Active"}

    def wait_roster(self, browser, course="BIO1", timeout=15.0):
        """Until the module's roster is that of the campus; returns the course's key."""
        key = self.echo(browser)["x-lti-course-key"]
        wanted = self.enrolled(course)
        wait_for(lambda: self.state(browser) == "current", "the roster to be current", timeout)
        wait_for(lambda: active(self.members(key)) == wanted, f"the roster of {course} to be that of the campus", timeout)
        return key

    def state(self, browser):
        return self.echo(browser).get("x-lti-roster-state")

    def sync_status(self, browser):
        response = browser.get(self.url("/lti/sync"))
        assert response.status == 200, response
        return response.json()

    def sync_now(self, browser, timeout=20.0):
        """"Update now", and waits for the run that it started; returns the status after it."""
        asked = browser.post(self.url("/lti/sync"))
        assert asked.status == 202, asked
        assert asked.header("Location"), asked
        # Until the run ends the course is due since the request; afterwards it is due some time later.
        since = datetime.now(timezone.utc).replace(microsecond=0)

        def finished():
            answer = browser.get(asked.location)
            assert answer.status == 200, answer
            told = answer.json()
            due = datetime.fromisoformat(told["due_at"].replace("Z", "+00:00"))
            return due > since and not told["running"] and told

        return wait_for(finished, "the run to end", timeout)


def active(members):
    return {key for key, member in members.items() if member.get("status", "Active") == "Active"}
