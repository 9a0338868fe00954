# SPDX-License-Identifier: Apache-2.0
"""LTIDeployment ask: strangers wait, an administrator lets them in and sends them away again (SPEC K-04, Invariant 1)."""
import html
import re
import time

import pytest
from client import Browser
from httpd import wait_for
from statements import accept, accept_beforehand, documented, end_sessions, withdraw

ODD_IDS = ["d ' OR 1=1 --", 'd "quoted"', "d\\n%s%00", "<script>alert(1)</script>", "d" * 255]


@pytest.fixture(scope="module")
def tool(make_shared_stage):
    stage = make_shared_stage()
    return stage.configure(pace="LTISyncInterval 1h", platform=stage.httpd.platform_block(LTIDeployment="ask d-listed")).start()


def launch(stage, deployment, person="zoe", course="BIO1", browser=None):
    """The browser after a launch of that deployment, whatever came of it."""
    browser = browser or Browser()
    stage.campus.tool.deployment_id = deployment
    browser.steps = browser.launch(stage.campus, course, person, check=False)
    return browser


def outcome(browser):
    return browser.steps.launch.status, browser.steps.launch.error


def standing(stage, deployment):
    """Status and title of what is remembered of it."""
    rows = stage.httpd.store.execute("SELECT deployment_id, status, context_title FROM lti_deployment")
    return next(((int(row[1]), row[2]) for row in rows if row[0] == deployment), None)


def courses(stage):
    """Deployments that have courses, or rosters to fetch."""
    return {row[0] for row in stage.httpd.store.execute("SELECT c.deployment_id FROM lti_context c JOIN lti_sync s ON s.course_key = c.course_key")}


def ended(stage, browser, within=2.0):
    wait_for(lambda: stage.status(browser) == (401, "session-ended"), "the session to end", within)


def let_in(stage, deployment):
    """A deployment that waits and then is accepted; the browser of its first launch."""
    assert outcome(launch(stage, deployment)) == (403, "deployment-waiting")
    accept(stage.httpd.store, deployment)
    browser = launch(stage, deployment)
    assert outcome(browser) == (303, "")
    return browser


def test_stranger_waits_and_leaves_nothing_but_its_name(tool):
    before = len(tool.campus.requests("nrps"))
    browser = launch(tool, "d-stranger")
    refused = browser.steps.launch
    assert outcome(browser) == (403, "deployment-waiting")
    text = html.unescape(refused.text)
    assert "waits for the approval of its administrator" in text and "deployment-waiting" in text
    assert re.search(r"request <code>[a-z2-7]{13}</code>", text)
    assert not browser.named("lti_") and tool.status(browser) == (401, "session-none")
    assert standing(tool, "d-stranger") == (0, "Biology I: Cells & Tissues")
    assert "d-stranger" not in courses(tool)
    assert tool.httpd.wait_log(r"LTI0201: refused with deployment-waiting .*deployment d-stranger waits")
    time.sleep(0.5)
    assert len(tool.campus.requests("nrps")) == before, "a roster of a stranger was fetched"


def test_refused_launch_is_spent_all_the_same(tool):
    """Whoever has the form of a refused launch must not get in with it once the deployment is accepted (SPEC S-02)."""
    tool.campus.tool.deployment_id = "d-spent"
    browser = Browser()
    form = browser.prepare(tool.campus, "BIO1", "zoe")
    kept = dict(browser.cookies)
    assert browser.submit(form).error == "deployment-waiting"
    accept(tool.httpd.store, "d-spent")
    browser.cookies.update(kept)
    assert browser.submit(form).error == "nonce-used"


def test_accepted_deployment_works_from_the_next_launch_on(tool):
    browser = let_in(tool, "d-accepted")
    assert tool.echo(browser)["x-lti-deployment-id"] == "d-accepted"
    assert "d-accepted" in courses(tool)
    time.sleep(1.5)
    assert tool.echo(browser)["x-lti-deployment-id"] == "d-accepted"
    assert outcome(launch(tool, "d-accepted", "ada")) == (303, "")


def test_withdrawn_deployment_is_out_and_its_sessions_end(tool):
    browser, other = let_in(tool, "d-withdrawn"), let_in(tool, "d-other")
    withdraw(tool.httpd.store, "d-withdrawn")
    ended(tool, browser)
    page = browser.get(tool.url("/app/echo"))
    assert "Your session was ended. Please open the tool again from your course." in html.unescape(page.text)
    assert outcome(launch(tool, "d-withdrawn")) == (403, "deployment-withdrawn")
    assert tool.echo(other)["x-lti-deployment-id"] == "d-other"
    # Accepted again: whoever was inside before has to launch again.
    accept(tool.httpd.store, "d-withdrawn")
    fresh = launch(tool, "d-withdrawn")
    assert outcome(fresh) == (303, "")
    wait_for(lambda: tool.status(fresh)[0] == 200, "the new session to be known as accepted", 2.0)
    assert tool.status(browser) == (401, "session-ended")


def test_withdrawn_deployment_has_no_roster_fetched(tool):
    let_in(tool, "d-synced")
    store = tool.httpd.store
    now_due = "UPDATE lti_sync SET due_at = 1 WHERE course_key IN (SELECT course_key FROM lti_context WHERE deployment_id = 'd-synced')"
    known = "FROM lti_sync s JOIN lti_context c ON c.course_key = s.course_key WHERE c.deployment_id = 'd-synced'"
    wait_for(lambda: store.execute(f"SELECT s.succeeded_at {known} AND s.succeeded_at > 0"), "the first roster", 10)
    withdraw(store, "d-synced")
    before = len(tool.campus.requests("nrps"))
    store.execute(now_due)
    wait_for(lambda: store.execute(f"SELECT s.error_name {known}")[0][0] == "deployment-withdrawn", "the run to be refused", 10)
    assert len(tool.campus.requests("nrps")) == before
    accept(store, "d-synced")
    assert outcome(launch(tool, "d-synced")) == (303, "")
    store.execute(now_due)
    wait_for(lambda: store.execute(f"SELECT s.due_at {known} AND s.error_name IS NULL"), "the roster to be fetched again", 10)


def test_listed_deployment_needs_nobody(tool):
    """What the configuration names stays accepted, whatever the table says; its sessions can be ended all the same."""
    browser = launch(tool, "d-listed")
    assert outcome(browser) == (303, "") and standing(tool, "d-listed") is None
    accept_beforehand(tool.httpd.store, "d-listed")
    tool.httpd.store.execute("UPDATE lti_deployment SET status = 2 WHERE deployment_id = 'd-listed'")
    tool.httpd.store.execute(documented("UPDATE lti_schema"))
    time.sleep(1.5)
    assert tool.status(browser)[0] == 200
    again = launch(tool, "d-listed", "ada")
    assert outcome(again) == (303, "")
    end_sessions(tool.httpd.store, DEPLOYMENT="d-listed")
    ended(tool, browser)
    ended(tool, again)
    assert outcome(launch(tool, "d-listed")) == (303, "")


def test_accepting_beforehand(tool):
    accept_beforehand(tool.httpd.store, "d-beforehand")
    assert outcome(launch(tool, "d-beforehand")) == (303, "")
    accept_beforehand(tool.httpd.store, "d-elsewhere", "elsewhere")
    assert outcome(launch(tool, "d-elsewhere")) == (403, "deployment-waiting"), "another platform's deployment"


def test_session_of_another_deployment_in_the_same_browser_stays(tool):
    browser = let_in(tool, "d-first")
    launch(tool, "d-second", browser=browser)
    assert outcome(browser) == (403, "deployment-waiting")
    assert tool.echo(browser)["x-lti-deployment-id"] == "d-first"


@pytest.mark.parametrize("fault", ["signature", "target", "version", "nonce"])
def test_launch_that_is_not_valid_is_not_remembered(tool, fault):
    campus, name = tool.campus, f"d-forged-{fault}"
    claim = "https://purl.imsglobal.org/spec/lti/claim/"
    changes = {
        "target": {claim + "target_link_uri": tool.url("/elsewhere/")},
        "version": {claim + "version": "1.2.0"},
        "nonce": {"nonce": "another"},
    }
    try:
        campus.forge_signature = fault == "signature"
        campus.tamper_claims = lambda claims: {**claims, **changes.get(fault, {})}
        browser = launch(tool, name)
    finally:
        campus.forge_signature, campus.tamper_claims = False, None
    assert browser.steps.launch.status in (401, 403) and not browser.steps.launch.error.startswith("deployment")
    assert standing(tool, name) is None


@pytest.mark.parametrize("number", range(len(ODD_IDS)))
def test_odd_deployment_ids_are_remembered_letter_for_letter(tool, number):
    browser = launch(tool, ODD_IDS[number])
    assert outcome(browser) == (403, "deployment-waiting")
    assert "<script>alert" not in browser.steps.launch.text
    assert standing(tool, ODD_IDS[number]) is not None


def test_no_more_than_a_hundred_wait(tool):
    store = tool.httpd.store
    store.execute("DELETE FROM lti_deployment WHERE status = 0")
    for number in range(100):
        store.execute(f"INSERT INTO lti_deployment (platform, deployment_id, status, seen_at) VALUES ('campus', 'full-{number}', 0, {int(time.time() * 1e6)})")
    assert outcome(launch(tool, "d-late")) == (403, "deployment-waiting")
    assert standing(tool, "d-late") is None
    assert tool.httpd.wait_log(r"refused with deployment-waiting .*d-late is not accepted, nor remembered")
    # Those who wait already, and those who were accepted, are not touched by that.
    assert outcome(launch(tool, "full-7")) == (403, "deployment-waiting")
    store.execute("DELETE FROM lti_deployment WHERE deployment_id = 'full-8'")
    assert outcome(launch(tool, "d-late")) == (403, "deployment-waiting") and standing(tool, "d-late") is not None
    store.execute("DELETE FROM lti_deployment WHERE status = 0")


def test_waiting_is_bounded_for_the_database_too(tool):
    """A class that opens a waiting tool writes one row, and that it was seen again at most once a minute."""
    rows = []
    for person in ("zoe", "ada", "sam"):
        assert outcome(launch(tool, "d-class", person)) == (403, "deployment-waiting")
        rows.append(tool.httpd.store.execute("SELECT seen_at FROM lti_deployment WHERE deployment_id = 'd-class'"))
    assert rows[0] == rows[1] == rows[2] and len(rows[0]) == 1


def test_decisions_survive_a_restart(tool):
    browser, gone = let_in(tool, "d-stays"), let_in(tool, "d-goes")
    withdraw(tool.httpd.store, "d-goes")
    tool.httpd.restart()
    # From the first request on: shared memory is empty then, the database answers.
    assert tool.status(gone) == (401, "session-ended")
    assert tool.status(browser)[0] == 200
    assert outcome(launch(tool, "d-stays")) == (303, "") and outcome(launch(tool, "d-goes")) == (403, "deployment-withdrawn")


def test_listing_what_waits(make_stage):
    """The other way to accept: the configuration. And back: without the line its sessions are over."""
    stage = make_stage().configure(pace="LTISync Off")
    ask = stage.httpd.platform_block(LTIDeployment="ask")
    stage.configure(platform=ask).start()
    assert outcome(launch(stage, "d-1")) == (403, "deployment-waiting")
    stage.httpd.platform = stage.httpd.platform_block(LTIDeployment="d-1")
    stage.httpd.graceful()
    browser = launch(stage, "d-1")
    assert outcome(browser) == (303, "") and stage.status(browser)[0] == 200
    stage.httpd.platform = ask
    stage.httpd.graceful()
    assert stage.status(browser) == (401, "session-ended")
