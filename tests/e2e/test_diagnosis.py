# SPDX-License-Identifier: Apache-2.0
"""Issue 5, point 3: the campus is brought into the very condition, and the status page's JSON has the state, what was seen and where to click, by the names of Moodle's menus. What needs no platform stands in
tests/unit/test_diagnosis.c, what the doctor finds in test_doctor.py."""
import re
import urllib.parse

import campus_faults as faults
import pytest
from client import Browser
from stage import QUIET

ADMIN = """<Location "/lti/status">
    LTIAdmin On
    Require local
</Location>
"""
UNAUTHORIZED = {"nrps": {"status": 401}}  # so that a new token is asked for


def token_says(body):
    return {**UNAUTHORIZED, "token": {"act": faults.say(body, 400)}}


def forbidden(body):
    return {"nrps": {"act": faults.say(body, 403)}}


# name: (faults of the campus, state, in what was seen, in the remedy)
CASES = {
    "client id unknown": (token_says(b'{"error": "invalid_client"}'), "client-refused", "invalid_client", "In Moodle: Site administration > Plugins > Activity modules"),
    "scope not granted": (token_says(b'{"error": "invalid_scope"}'), "scope-not-granted", "invalid_scope", "In Moodle: Site administration > Plugins > Activity modules"),
    "clocks differ": (token_says(b'{"error": "Expired token"}'), "clock", "Expired token", "NTP"),
    "permission changed": (forbidden(b"no"), "permission-changed", "HTTP 403", "Open the tool from the course once"),
    "too many members": (forbidden(b'{"detail":"above_response_limit"}'), "too-many-members", "above_response_limit", "LTI_NRPS_ACTIVE_ENROLLMENT_LIMIT"),
    "course gone": ({"nrps": {"status": 404}}, "course-gone", "HTTP 404", "In Moodle: the course > More"),
    "login page": ({"nrps": {"html": True}}, "rubbish", "text/html", "firewall"),
    "error page": ({"nrps": {"status": 500}}, "rubbish", "HTTP 500", "tried again"),
    "half an answer": ({"nrps": {"act": faults.reset}}, "connection", "http-aborted", "tried again"),
    "suddenly nobody": ({"nrps": {"empty": True}}, "empty", "roster-empty", "press Accept"),
    "most are missing": ({"nrps": {"act": faults.members(lambda people: people[:3])}}, "held", "roster-held", "press Accept"),
    "hostile": (token_says(b"<script>alert(1)</script>"), "client-refused", "HTML", "In Moodle"),
    # The last one: its platform is left in peace from then on.
    "rate limit": ({"nrps": {"act": faults.say(b"slow down", 429, "text/plain", [("Retry-After", "600")])}}, "rate-limited", "HTTP 429", "goes on by itself"),
}


@pytest.fixture(scope="module")
def office(make_shared_stage):
    stage = make_shared_stage()
    block = stage.httpd.platform_block
    blocks = block(LTIPreset=f"moodle {stage.campus.issuer}", LTISyncRate="1000/s") + "\n" + block("unused", LTIPreset="canvas https://canvas.example.org", LTIClientID="77")
    stage.configure(pace=QUIET, extra=ADMIN, platform=blocks)
    stage.httpd.allow_log("LTI0(301|302|530|57[0-9])")
    stage.start()
    stage.ada = stage.launch("ada")
    stage.key = stage.wait_roster(stage.ada)
    return stage


def told(stage, **query):
    answer = Browser().get(stage.url("/lti/status?" + urllib.parse.urlencode({"format": "json", **query})))
    assert answer.status == 200, answer
    return answer.json()


@pytest.mark.parametrize("name", CASES)
def test_condition_has_its_state_and_remedy(office, name):
    what, state, seen, remedy = CASES[name]
    office.campus.faults.clear()
    office.campus.faults.update(what)
    try:
        office.sync_now(office.ada)
    finally:
        office.campus.faults.clear()
    diagnosis = told(office, course=office.key)["diagnosis"]
    assert diagnosis["state"] == state, diagnosis
    assert seen in diagnosis["evidence"] and remedy in "\n".join(diagnosis["remedy"]), diagnosis
    assert diagnosis["severity"] >= 1 and diagnosis["sentence"].endswith("."), diagnosis
    # The overview has the same, among what is wrong and in the list.
    overview = told(office)
    assert [problem["diagnosis"]["state"] for problem in overview["problems"] if problem["course"] == office.key] == [state], overview["problems"]
    assert [row["diagnosis"]["state"] for row in overview["courses"]["rows"] if row["course"] == office.key] == [state]
    assert overview["health"]["state"] in ("note", "warning", "error")


def test_all_is_well_again(office):
    office.campus.faults.clear()
    office.sync_now(office.ada)
    diagnosis = told(office, course=office.key)["diagnosis"]
    assert (diagnosis["state"], diagnosis["severity"], diagnosis["remedy"]) == ("well", 0, []), diagnosis


def test_launches_without_the_roster_service(office):
    state = office.campus.state
    state.enrol("HIS2", "ada", "instructor")
    office.campus.nrps_claim = False
    try:
        ada = office.launch("ada", course="HIS2")
    finally:
        office.campus.nrps_claim = True
    diagnosis = told(office, course=office.echo(ada)["x-lti-course-key"])["diagnosis"]
    assert diagnosis["state"] == "no-roster-service" and "Names and Role Provisioning" in diagnosis["remedy"][0], diagnosis


ADDRESSES = {
    "https://10.1.2.3/nrps": ("address-refused", "10.1.2.3 is not a public address|10.1.2.3 has the address", "LTIServiceHosts 10.1.2.3"),
    "https://nowhere.invalid/nrps": ("connection", "resolve", "getent hosts"),
    "ftp://lms.example.org/nrps": ("address-refused", "service-url", "https"),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_address_of_the_roster(office, url):
    state, seen, remedy = ADDRESSES[url]
    execute = office.httpd.store.execute
    (right,) = execute(f"SELECT nrps_url FROM lti_context WHERE course_key = '{office.key}'")[0]
    execute(f"UPDATE lti_context SET nrps_url = '{url}' WHERE course_key = '{office.key}'")
    try:
        office.sync_now(office.ada)
        diagnosis = told(office, course=office.key)["diagnosis"]
    finally:
        execute(f"UPDATE lti_context SET nrps_url = '{right}' WHERE course_key = '{office.key}'")
    assert diagnosis["state"] == state, diagnosis
    assert re.search(seen, diagnosis["evidence"]) and remedy in "\n".join(diagnosis["remedy"]), diagnosis


def test_roster_that_stopped_and_roster_of_those_who_came(office):
    office.sync_now(office.ada)
    execute = office.httpd.store.execute
    execute(f"UPDATE lti_sync SET suspect = 1 WHERE course_key = '{office.key}'")
    assert told(office, course=office.key)["diagnosis"]["state"] == "smaller-than-launches"
    execute(f"UPDATE lti_sync SET suspect = 0, stale_at = succeeded_at + 1 WHERE course_key = '{office.key}'")
    diagnosis = told(office, course=office.key)["diagnosis"]
    assert diagnosis["state"] == "stale" and "Update now" in diagnosis["remedy"][0], diagnosis
    assert told(office)["health"]["states"]["stale"] == 1
    office.sync_now(office.ada)
    assert told(office, course=office.key)["diagnosis"]["state"] == "well"


def test_platform_that_nobody_launched_from(office):
    platforms = {platform["platform"]: platform["diagnosis"] for platform in told(office)["platforms"]}
    assert platforms["unused"]["state"] == "never-launched" and "In Canvas: Admin" in "\n".join(platforms["unused"]["remedy"]), platforms
    assert platforms["campus"]["state"] == "rate-limited", platforms  # the 429 above: until its time has come
