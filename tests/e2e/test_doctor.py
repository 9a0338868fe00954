# SPDX-License-Identifier: Apache-2.0
"""Issue 5, points 3 and 7: status?doctor=PLATFORM walks what a support person would: key set, clock, token, scope, launch, deployment, roster service, roster. Each platform of the table is in
another condition; the step that fails says what was found and what to click in that family's menus. With LTI_SCREENSHOTS=DIR, pictures."""
import re
import threading
import time
import urllib.parse

import campus_faults as faults
import pytest
from campus import Campus
from client import Browser
from httpd import free_port, wait_for
from page_facts import HTML, Facts, complaints, dark, fits, phone
from secure import Authority
from stage import QUIET

browsing = pytest.importorskip("test_browser")
from test_browser import chromium, find, picture  # noqa: E402,F401

ADMIN = '<Location "/lti/status">\n    LTIAdmin On\n    Require local\n</Location>\n'
STEPS = ["key-set", "clock", "token", "scope", "launch", "deployment", "roster-service", "roster"]
HOSTILE = b'{"error": "invalid_client", "error_description": "<script>document.title=1</script> & \\"more\\""}'


# --- what is wrong at each platform, after its course was launched --------------------------------------------------------------------------


def nothing(campus):
    pass


def keys_down(campus):
    campus.faults["jwks"] = {"down": True}


def keys_moved(campus):
    campus.faults["jwks"] = {"status": 404}


def another_client(campus):
    campus.tool.client_id = "somebody-else"


def refused_in_markup(campus):
    campus.faults["token"] = {"act": faults.say(HOSTILE, 400)}


def not_granted(campus):
    campus.nrps_granted = False


def ahead(campus):
    campus.clock = 900


def forbidden(campus):
    campus.faults["nrps"] = {"status": 403}


def sign_in_page(campus):
    campus.faults["nrps"] = {"html": True}


def gone(campus):
    campus.stop()


def nobody(campus):
    campus.faults["nrps"] = {"act": faults.members(lambda people: [])}


# name: (family, launched, what is done, results as letters, failing step, its state, in `found`, in the remedy)
CASES = {
    "well": ("moodle", True, nothing, "PPPPPPPP", None, None, None, None),
    "keys-down": ("canvas", True, keys_down, "FPPPPPPP", "key-set", "connection", "127.0.0.1|localhost", "LTIProxy"),
    "keys-moved": ("moodle", True, keys_moved, "FPPPPPPP", "key-set", None, "status 404", "LTIKeySet"),
    "unknown-moodle": ("moodle", True, another_client, "PPFSPPPS", "token", "client-refused", "400", "Manage tools"),
    "unknown-canvas": ("canvas", True, another_client, "PPFSPPPS", "token", "client-refused", "invalid_client", "Developer Keys"),
    "markup": ("brightspace", True, refused_in_markup, "PPFSPPPS", "token", "client-refused", "<script>document.title=1</script>", "Manage Extensibility"),
    "canvas": ("canvas", True, not_granted, "PPPFPPPS", "scope", "scope-not-granted", "invalid_scope", "LTI Advantage Services"),
    "scope-sakai": ("sakai", True, not_granted, "PPPFPPPS", "scope", "scope-not-granted", "invalid_scope", "Provide Roster to External Tool"),
    "clock": ("blackboard", True, ahead, "PFFSPPPS", "clock", "clock", r"\b(899|900|901) s ahead", "NTP"),
    "fresh": ("brightspace", False, nothing, "PPPPFSSS", "launch", "never-launched", "no launch has ever come", "Manage Extensibility"),
    "service-off": ("schoology", True, None, "PPPPPPFS", "roster-service", "no-roster-service", "name no roster service", "Names and Role"),
    "forbidden": ("schoology", True, forbidden, "PPPPPPPF", "roster", None, "403", "Organization Apps|My Developer Apps"),
    "rubbish": ("moodle", True, sign_in_page, "PPPPPPPF", "roster", "rubbish", "text/html", "."),
    "nobody": ("moodle", True, nobody, "PPPPPPPF", "roster", "empty", "names nobody", "Participants"),
    "gone": ("sakai", True, gone, "FSFSPPPS", "token", "connection", "127.0.0.1|localhost", "LTIProxy"),
}


def block(name, family, campus, more=""):
    return f"""<LTIPlatform "{name}">
    LTIPreset {family} {campus.issuer}{" 12" if family == "sakai" else ""}
    LTIIssuer {campus.issuer}
    LTIAuthorizationEndpoint {campus.auth_url}
    LTITokenEndpoint {campus.token_url}
    LTITokenAudience {campus.token_url}
    LTIKeySet {campus.jwks_url}
    LTIClientID {campus.tool.client_id}
    LTIDeployment any
{more}</LTIPlatform>"""


def examine(stage, name, **query):
    """The report; who comes too soon comes again."""
    address = stage.url("/lti/status?") + urllib.parse.urlencode({"doctor": name, "format": "json", **query})
    answer = wait_for(lambda: (found := Browser().get(address)).status != 429 and found, "a place", 12, 0.5)
    assert answer.status == 200 and answer.header("Content-Type") == "application/json", answer
    return answer.json()


def letters(report):
    assert [step["step"] for step in report["steps"]] == STEPS
    return "".join(step["result"][0].upper() for step in report["steps"])


def step_of(report, name):
    return next(step for step in report["steps"] if step["step"] == name)


@pytest.fixture(scope="module")
def clinic(make_shared_stage):
    """A platform for each case, some more for tests of their own; all launched that are to be."""
    stage = make_shared_stage()
    stage.campuses = {}
    for name in [*CASES, "asking", "secret", "old", "busy1", "busy2", "busy3", "busy4", "busy5", "busy6", "busy7", "busy8", "busy9"]:
        campus = stage.campuses[name] = Campus(stage.campus.tool.base_url, free_port())
        campus.tool.client_id = f"client-of-{name}"
        if name == "secret":
            campus.tls = Authority(stage.httpd.root / "conf").context()
        if name == "service-off":
            campus.nrps_claim = False
        campus.start()
    blocks = [block(name, case[0], stage.campuses[name]) for name, case in CASES.items()]
    blocks += [block("secret", "moodle", stage.campuses["secret"]), block("old", "moodle", stage.campuses["old"])]
    blocks += [block("asking", "canvas", stage.campuses["asking"]).replace("LTIDeployment any", "LTIDeployment ask")]
    blocks += [block(name, "moodle", campus) for name, campus in stage.campuses.items() if name.startswith("busy")]
    stage.configure(pace=QUIET, platform="\n".join(blocks), extra=ADMIN).start()
    stage.httpd.allow_log("LTI0301")
    for name, case in CASES.items():
        if case[1]:
            Browser().launch(stage.campuses[name], "BIO1", "ada", "proxied")
    refused = Browser().launch(stage.campuses["asking"], "BIO1", "ada", "proxied", check=False)
    assert refused.launch.error == "deployment-waiting", refused.launch
    offered = [name for name, case in CASES.items() if case[1] and name != "service-off"]
    wait_for(lambda: fetched(stage) >= len(offered), "the first rosters", 30)
    for name, case in CASES.items():
        if case[2] is not None:
            case[2](stage.campuses[name])
    yield stage
    for campus in stage.campuses.values():
        campus.stop()


def fetched(stage):
    return len(stage.httpd.store.execute("SELECT course_key FROM lti_sync WHERE succeeded_at > 0"))


# --- each condition -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_step_that_fails_and_its_remedy(clinic, name):
    family, launched, _, results, step, state, found, remedy = CASES[name]
    since = len(clinic.httpd.log_lines())
    report = examine(clinic, name)
    assert (report["platform"], letters(report)) == (name, results), report
    assert report["passed"] is ("F" not in results)
    for one in report["steps"]:
        assert one["title"] and one["found"] and bool(one["remedy"]) is (one["result"] == "fail"), one
    outcome = "failed" if step else "passed"
    line = clinic.httpd.wait_log(rf"audit: who=- from=127\.0\.0\.1 action=examine.* platform={name} .*outcome={outcome}", since=since)
    assert step is None or step in line
    if step is None:
        return
    failed = step_of(report, step)
    assert state is None or failed["state"] == state
    assert re.search(found, failed["found"]), failed
    assert re.search(remedy, "\n".join(failed["remedy"])), failed


def test_what_a_healthy_one_tells(clinic):
    report = examine(clinic, "well")
    assert "usable key" in step_of(report, "key-set")["found"]
    roster = step_of(report, "roster")["found"]
    assert "status 200" in roster and "application/vnd.ims.lti-nrps.v2.membershipcontainer+json" in roster and "14 people" in roster
    assert re.search(r"came 2\d{3}-\d\d-\d\d", step_of(report, "launch")["found"])
    text = str(report)
    campus = clinic.campuses["well"]
    assert not any(person.name in text or person.email in text or person.id in text for person in campus.state.people.values())
    assert not any(token in text or token in clinic.httpd.log_text() for token in campus.tokens)


def test_nothing_is_stored(clinic):
    tables = ("lti_member", "lti_sync", "lti_token", "lti_run", "lti_event", "lti_staging")
    wait_for(lambda: not clinic.httpd.store.execute("SELECT course_key FROM lti_sync WHERE lease_owner IS NOT NULL AND lease_owner <> ''"), "the engine to rest")
    before = {table: clinic.httpd.store.execute(f"SELECT COUNT(*) FROM {table}") for table in tables}
    examine(clinic, "well")
    assert before == {table: clinic.httpd.store.execute(f"SELECT COUNT(*) FROM {table}") for table in tables}


def test_a_deployment_that_waits(clinic):
    report = examine(clinic, "asking")
    assert letters(report)[5] == "F"
    failed = step_of(report, "deployment")
    assert failed["state"] == "deployment" and "1 deployment waits" in failed["found"] and "Accept" in failed["remedy"][0]


def test_a_certificate_of_nobody_we_know(clinic):
    report = examine(clinic, "secret")
    assert letters(report) == "FSFSFSSS"
    for name in ("key-set", "token"):
        failed = step_of(report, name)
        assert failed["state"] == "connection" and "certificate" in failed["found"].lower() and "LTICAFile" in "\n".join(failed["remedy"])


def test_tools_installed_the_old_way(clinic):
    from test_old_lti import old_launch

    host = urllib.parse.urlsplit(clinic.campuses["old"].issuer).hostname
    fields = old_launch(oauth_consumer_key="old-1", tool_consumer_instance_guid=host, tool_consumer_instance_url=clinic.campuses["old"].issuer)
    assert Browser().post(clinic.url("/lti/launch"), fields, origin="https://campus.example.edu").error == "old-lti"
    wait_for(lambda: clinic.httpd.store.execute("SELECT consumer_key FROM lti_old_launch"), "it to be remembered")
    failed = step_of(examine(clinic, "old"), "launch")
    assert failed["result"] == "fail" and failed["state"] == "old-lti" and "LTI 1.1" in failed["found"], failed


# --- who may, and how often -----------------------------------------------------------------------------------------------------------------


def test_other_sites_cause_nothing(clinic):
    campus = clinic.campuses["busy1"]
    asked = len(campus.log)
    address = clinic.url("/lti/status?doctor=busy1")
    for headers in ([("Sec-Fetch-Site", "cross-site")], [("Origin", "https://evil.example")]):
        assert Browser().get(address, headers).error == "cross-site"
    assert Browser().request("HEAD", address).status == 200
    assert Browser().get(clinic.url("/lti/status?doctor=nobody-here")).status == 404
    assert len(campus.log) == asked


def test_a_platform_is_left_in_peace_for_some_seconds(clinic):
    """The bound is of each process: of as many examinations as there are processes and one more, one is refused."""
    address = clinic.url("/lti/status?doctor=busy1&format=json")
    answers = [Browser().get(address) for _ in range(6)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused and {answer.status for answer in answers} <= {200, 429}, answers
    assert refused[0].error == "examination-busy" and 1 <= int(refused[0].header("Retry-After")) <= 6


def test_no_more_than_two_at_once(clinic):
    names = [f"busy{number}" for number in range(2, 10)]
    for name in names:
        clinic.campuses[name].faults["jwks"] = {"slow": 1.5}
    answers = []

    def ask(name):
        answers.append(Browser().get(clinic.url(f"/lti/status?doctor={name}&format=json")))

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    processes = len(clinic.httpd.children())
    examined = [answer for answer in answers if answer.status == 200]
    assert 1 <= len(examined) <= 2 * max(processes, 1) and len(answers) == len(names)
    assert all(answer.status in (200, 429) for answer in answers), answers


@pytest.mark.slow
def test_it_ends_in_its_time(clinic):
    """A platform that says nothing costs some seconds, not the half minute of a run."""
    campus = clinic.campuses["busy1"]
    campus.faults["jwks"] = campus.faults["token"] = {"act": faults.silent}
    began = time.monotonic()
    report = examine(clinic, "busy1")
    assert time.monotonic() - began < 20 + 7
    assert letters(report)[0] == letters(report)[2] == "F"


# --- the page --------------------------------------------------------------------------------------------------------------------------------


def test_page_shows_the_same(clinic):
    browser = Browser()
    address = clinic.url("/lti/status?doctor=markup")
    answer = wait_for(lambda: (found := browser.get(address, [HTML])).status != 429 and found, "a place", 12, 0.5)
    facts = Facts(answer)
    assert facts.text("h1") == "Examination of markup"
    assert not any(tag == "script" for tag, _ in facts.tags), "none of ours is needed, none of theirs may be"
    assert "Passed" in facts.text("step-key-set") and "Left out" in facts.text("step-scope")
    token = facts.text("step-token")
    assert "Failed" in token and "<script>document.title=1</script>" in token and "Manage Extensibility" in token and "What to do" in token
    policy = facts.response.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and facts.response.header("Cache-Control") == "no-store"


@pytest.mark.skipif(not (browsing.CHROMIUM and browsing.DRIVER), reason="chromium and chromedriver are not installed")
def test_pictures(clinic, chromium):  # noqa: F811
    chromium.set_window_size(1000, 1560)
    for name, shade in (("canvas", None), ("clock", phone), ("rubbish", dark)):
        if shade is not None:
            shade(chromium)
        address = clinic.url(f"/lti/status?doctor={name}")

        def shown():
            chromium.get(address)
            return "Examination" in chromium.title

        wait_for(shown, "the page", 15, 1)
        assert fits(chromium) and find(chromium, "#step-roster")
        picture(chromium, f"doctor-{name}")
    assert not [entry for entry in complaints(chromium, clinic) if "429" not in entry]
