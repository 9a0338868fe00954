# SPDX-License-Identifier: Apache-2.0
"""The demo: a campus, httpd with the module, two applications behind it; shows a launch and a roster at work, then stays until it is stopped. Called by ./demo."""
import argparse
import html
import signal
import socket
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "e2e", HERE.parent / "campus", HERE.parent / "apps"):
    sys.path.insert(0, str(folder))

from campus import Campus  # noqa: E402
from client import Browser  # noqa: E402
from httpd import Httpd, free_port, wait_for  # noqa: E402
from proxied import make_server  # noqa: E402
from stage import Stage  # noqa: E402

SYNC_EVERY = "30s"
ADMIN = """<LocationMatch "^/lti/(status|metrics)$">
    LTIAdmin On
    Require local
</LocationMatch>
"""


def port_or_another(wanted):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", wanted)) != 0:
            return wanted
    return free_port()


class DemoStage(Stage):
    """The stage of the tests, on addresses that a person can remember."""

    def __init__(self, campus_port, tool_port):
        self.campus = Campus(tool_base=f"http://localhost:{tool_port}", port=campus_port, seed="demo")
        self.campus.page_cap = 10  # so that rosters have pages
        self.httpd = Httpd(self.campus, tool_port)
        self.httpd.module_config = self.httpd.module_config.replace("LTISyncInterval 2s", f"LTISyncInterval {SYNC_EVERY}")
        self.httpd.extra = ADMIN
        self.application = make_server(self.httpd.app_port, self.httpd.roster_url)


def tell(stage, person, course, link, what):
    browser = Browser()
    steps = browser.launch(stage.campus, course, person, link)
    if steps.app.status != 200:
        raise AssertionError(f"the application answered {steps.app}")
    told = stage.echo(browser) if link == "proxied" else None
    if told is None:
        environment = stage.environment(browser)
        told = {"x-lti-" + key[4:].lower().replace("_", "-"): value for key, value in environment.items() if key.startswith("LTI_")}
    print(f"   {what}: hello {told['x-lti-name']}, {told['x-lti-role']} in {told['x-lti-context-title']}")
    return browser, steps


def show(stage):
    """One launch each way, the roster, a drop."""
    print("\n1. A student clicks the course's link; Apache validates the launch, the application reads who it is:")
    student, _ = tell(stage, "zoe", "BIO1", "proxied", "proxied application, by headers  ")
    tell(stage, "ada", "BIO1", "cgi", "CGI application, by environment  ")
    print("\n2. The course's people, those included who never clicked:")
    key = stage.wait_roster(student)
    members = stage.members(key)
    print(f"   {len(members)} people of course {key}, fetched in pages, kept in SQLite, published in shared memory")
    page = html.unescape(student.get(stage.url("/app/")).text)
    shown = sum(1 for member in members.values() if member["name"] in page)
    print(f"   the application's page shows them as the class list ({shown} names found in it)")
    print("\n3. The campus drops the student; after the next refresh the open session is refused:")
    teacher, _ = tell(stage, "ada", "BIO1", "proxied", "a teacher presses \"update now\"    ")
    stage.campus.state.drop("BIO1", "zoe")
    stage.sync_now(teacher)
    refused = wait_for(lambda: (answer := student.get(stage.url("/app/"))).status == 403 and answer, "the student to be refused")
    print(f"   the student's next request: {refused.status}, {refused.error}")
    stage.campus.state.enrol("BIO1", "zoe", "learner")
    stage.sync_now(teacher)
    print("   (and is enrolled again)")
    print("\n4. What an administrator sees at one look:")
    told = Browser().get(stage.url("/lti/status?format=json&part=health")).json()["health"]
    print(f"   {told['sentence']}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--campus-port", type=int, default=8080)
    arguments.add_argument("--tool-port", type=int, default=8081)
    arguments.add_argument("--once", action="store_true", help="show it once and stop")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))

    stage = DemoStage(port_or_another(options.campus_port), port_or_another(options.tool_port))
    try:
        stage.start()
        show(stage)
        campus, tool = f"http://localhost:{stage.campus.port}/", stage.httpd.base_url
        print(f"\nOpen   {campus}")
        print("       pick a course, and open the tool as one of its people; enrol, drop, change a role, and watch the application follow")
        print(f"       {tool}/lti/status is the administrator's page: how rosters stand, what is wrong, and what to click to mend it")
        print(f"\n       on another machine: ssh -L {stage.campus.port}:localhost:{stage.campus.port} -L {stage.httpd.port}:localhost:{stage.httpd.port} root@THIS-MACHINE")
        print(f"       the tool is at {tool}, its configuration {stage.httpd.conf}")
        print(f"       its log {stage.httpd.error_log}; rosters are refreshed every {SYNC_EVERY}\n", flush=True)
        if not options.once:
            print("Ctrl-C stops everything.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("\nstopping")
    finally:
        faults = stage.close()
    if options.once and faults:
        print("the error log has something to say:\n" + "\n".join(faults))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
