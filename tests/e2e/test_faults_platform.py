# SPDX-License-Identifier: Apache-2.0
"""What a platform can do wrong while a roster is read (Invariants 2, 4, 7): each fault strikes a platform of its own, all of them at once, in one httpd. The roster that was there
stays, the reason and what to do about it can be read, and when the platform is well again the roster comes right by itself.

Faults of a kind that test_roster.py has (answers with another status, damaged JSON, loops, strangers' links) and those of one family (test_platforms.py) are not repeated here, except
where the next try is of interest.
"""
import dataclasses
import time
from datetime import datetime, timezone
from email.utils import formatdate

import campus_faults as faults
import pytest
from campus import Campus
from client import Browser
from httpd import free_port, wait_for
from stage import active

SOON = (50, 75)  # seconds until the next try after a first failure: a minute, give or take
HOUR = (3200, 4000)


@dataclasses.dataclass
class Fault:
    """`codes`: what the run may end with; None: the run succeeds all the same. `again`: when it is tried next."""

    at: str
    what: dict
    codes: tuple
    again: tuple = SOON
    text: str = ""  # part of the reason


def act(at, function, *codes, **more):
    return Fault(at, {"act": function}, codes, **more)


def status(at, number, *codes, headers=(), body=b"no\n", **more):
    return Fault(at, {"status": number, "headers": list(headers), "body": body}, codes, **more)


def in_ten_minutes(handler, answer):
    return faults.say(b"no", 429, "text/plain", [("Retry-After", formatdate(time.time() + 600, usegmt=True))])(handler, answer)


def without_ids(count):
    def change(people):
        for person in people[:count]:
            del person["user_id"]
        return people

    return faults.members(change)


def name_of_size(size):
    def change(people):
        people[3]["name"] = "ŵ" * (size // 2)
        return people

    return faults.members(change)


# SPEC N-30, N-38, T-01, T-02 among others. BIO1 has 14 people on one page.
FAULTS = {
    "refuses connections": Fault("", {}, ("http-connect",)),
    "token: silent": act("token", faults.silent, "http-timeout", "http-aborted"),
    "silent": act("nrps", faults.silent, "http-timeout"),
    "hangs in the middle of a page": act("nrps", faults.Hang(), "http-timeout"),
    "tears the connection down in the middle of a page": act("nrps", faults.reset, "http-aborted"),
    "500": status("nrps", 500, "http-status"),
    "503, in a minute and a half": status("nrps", 503, "roster-busy", headers=[("Retry-After", "90")], again=(85, 110)),
    "429, at a date": act("nrps", in_ten_minutes, "roster-busy", again=(580, 630)),
    "403, no permission": status("nrps", 403, "roster-forbidden", body=b'{"error":"insufficient_scope"}', again=HOUR, text="insufficient_scope"),
    "403, rate limit": status("nrps", 403, "roster-busy", body=b"403 Forbidden (Rate Limit Exceeded)", headers=[("X-Rate-Limit-Remaining", "0.0")]),
    "403, too many members": status("nrps", 403, "roster-too-large", body=b'{"detail":"above_response_limit"}'),
    "401, always": status("nrps", 401, "roster-forbidden", again=HOUR),
    "token: empty": act("token", faults.say(), "token-answer"),
    "token: null": act("token", faults.say(b"null"), "token-answer"),
    "token: an empty object": act("token", faults.say(b"{}"), "token-answer"),
    "token: one that is null": act("token", faults.say(b'{"access_token": null, "token_type": "Bearer", "expires_in": 3600}'), "token-answer"),
    "token: without end": act("token", faults.bomb(1, b'{"access_token": "', faults.JSON), "token-answer", "http-too-large"),
    "token: 503": status("token", 503, "token-answer"),
    "token: redirect": status("token", 302, "token-answer", "http-redirect", headers=[("Location", "/login")]),
    "HTML with 200": Fault("nrps", {"html": True}, ("roster-type",)),
    "another media type": act("nrps", faults.labelled("text/plain"), "roster-type", text="text/plain"),
    "bytes that are no UTF-8": act("nrps", faults.spelt(lambda body: body.replace(b"Hopper", b"H\xf6pper")), "roster-malformed"),
    "cut, but the length is right": act("nrps", faults.spelt(lambda body: body[: len(body) // 2]), "roster-malformed"),
    "empty object": act("nrps", faults.spelt(lambda body: b"{}"), "roster-malformed"),
    "null": act("nrps", faults.spelt(lambda body: b"null"), "roster-malformed"),
    "two objects": act("nrps", faults.spelt(lambda body: body + body), "roster-malformed"),
    "gzip that is none": act("nrps", faults.falsely_compressed, "http-aborted"),
    "gzip bomb": act("nrps", faults.bomb(140), "http-too-large"),
    "member of a hundred KiB": act("nrps", name_of_size(100_000), "roster-limit"),
    "two members of fifteen without id": act("nrps", without_ids(2), "roster-members"),
}

# Not as they should be, but the list is whole (SPEC N-17, N-36).
BORNE = {
    "slow, but it goes on": {"act": faults.dripping(3)},
    "gzip": {"act": faults.compressed},
    "everybody twice": {"act": faults.members(lambda people: people * 2)},
    "huge names": {"act": name_of_size(50_000)},
}

# The list cannot be taken at its word (SPEC N-32, N-39): nobody goes.
HELD = {
    "nobody": ({"empty": True}, "roster-empty"),
    "an empty body": ({"act": faults.spelt(lambda body: b"")}, "roster-empty"),
    "one member of fifteen without id": ({"act": without_ids(1)}, "roster-held"),
}


class Place:
    """A platform with one course and two people in it, and what became of them."""

    def __init__(self, stage, name):
        self.stage, self.name = stage, name
        self.campus = Campus(stage.campus.tool.base_url, free_port()).start()
        self.state = self.campus.state

    def open(self):
        self.ada, self.zoe = (self.launch(login) for login in ("ada", "zoe"))
        self.key = self.stage.echo(self.ada)["x-lti-course-key"]

    def launch(self, login):
        browser = Browser()
        browser.launch(self.campus, "BIO1", login)
        return browser

    def told(self):
        return self.stage.sync_status(self.ada)

    def look(self):
        """What applications, those who are inside and the teacher see."""
        told = self.told()
        self.due = datetime.fromisoformat(told["due_at"].replace("Z", "+00:00"))
        return {"members": self.stage.members(self.key), "zoe": self.stage.status(self.zoe), "told": told, "state": self.stage.state(self.ada)}

    def change(self):
        self.state.drop("BIO1", "zoe")
        self.state.enrol("BIO1", "rosa")

    def strike(self, at, what):
        """From now on; the token is one that nobody knows any more, where the token end point is what fails."""
        if at == "token":
            self.campus.tokens.clear()
        if at:
            self.campus.faults[at] = what
        else:
            self.campus.stop()

    def heal(self):
        for fault in self.campus.faults.values():
            if isinstance(fault.get("act"), faults.Hang):
                fault["act"].ended.set()
        self.campus.faults.clear()
        if self.campus._server is None:
            self.campus.start()

    def ask(self):
        self.asked = datetime.now(timezone.utc).replace(microsecond=0)
        answer = self.ada.post(self.stage.url("/lti/sync"))
        assert answer.status == 202, answer

    def is_over(self):
        told = self.told()
        return datetime.fromisoformat(told["due_at"].replace("Z", "+00:00")) > self.asked and not told["running"]

    def is_right(self):
        return active(self.stage.members(self.key)) == {person.id for person, _ in self.state.roster("BIO1")} and self.stage.state(self.ada) == "current"


def all_of(places, check, what, timeout):
    left = list(places)

    def remaining():
        left[:] = [place for place in left if not check(place)]
        return not left

    try:
        wait_for(remaining, what, timeout, 0.1)
    except AssertionError:
        raise AssertionError(f"{what}: not at {[(place.name, place.told()) for place in left]}") from None


@pytest.fixture(scope="module")
def seen(make_shared_stage):
    """name -> what was seen before, during and after."""
    stage = make_shared_stage()
    places = {name: Place(stage, name) for name in [*FAULTS, *BORNE, *HELD]}
    blocks = [stage.httpd.platform_block(f"p{number}", LTIIssuer=place.campus.issuer, LTIAuthorizationEndpoint=place.campus.auth_url,
              LTITokenEndpoint=place.campus.token_url, LTIKeySet=place.campus.jwks_url) for number, place in enumerate(places.values())]
    stage.httpd.allow_log("LTI0301|LTI0302|LTI0570")
    stage.configure(pace="LTISyncInterval 1h\nLTISyncTimeout 2s\nLTISyncConcurrency 64", platform="\n".join(blocks)).start()
    try:
        for place in places.values():
            place.open()
        all_of(places.values(), Place.is_right, "the first roster", 30)
        found = {name: {"before": {"members": stage.members(place.key), "told": place.told()}, "place": place} for name, place in places.items()}
        for name, place in places.items():
            place.change()
            if name in FAULTS:
                place.strike(FAULTS[name].at, FAULTS[name].what)
            else:
                place.strike("nrps", BORNE[name] if name in BORNE else HELD[name][0])
            place.ask()
        all_of(places.values(), Place.is_over, "the runs to end", 40)
        for name, place in places.items():
            found[name]["looked_at"] = datetime.now(timezone.utc)
            found[name]["during"] = place.look()
        for place in places.values():
            place.heal()
        for ahead in (120, 700, 4500):
            due = [place for place in places.values() if place.due.timestamp() < time.time() + ahead]
            for place in places.values():
                place.campus.clock = ahead
            stage.httpd.set_clock(ahead)
            all_of(due, Place.is_right, f"the roster to come right by itself within {ahead} s", 30)
        for name, place in places.items():
            found[name]["after"] = {"zoe": stage.status(place.zoe), "told": place.told(), "state": stage.state(place.ada)}
        yield stage, found
    finally:
        stage.httpd.set_clock(0)
        for place in places.values():
            place.campus.stop()


@pytest.mark.parametrize("name", FAULTS)
def test_fault_changes_nothing_and_is_told(seen, name):
    stage, found = seen[0], seen[1][name]
    fault, before, during = FAULTS[name], found["before"], found["during"]
    assert during["members"] == before["members"] and len(before["members"]) == 14
    assert during["zoe"] == (200, "") and during["state"] == "failing"
    told = during["told"]
    assert told["error"] in fault.codes and fault.text in told["error_text"] and told["error_text"], told
    assert len(told["advice"]) > 20, told
    assert told["version"] == before["told"]["version"] and told["failures"] == 1
    due = datetime.fromisoformat(told["due_at"].replace("Z", "+00:00")) - found["place"].asked
    assert fault.again[0] <= due.total_seconds() <= fault.again[1] + (found["looked_at"] - found["place"].asked).total_seconds(), told
    line = next(line for line in stage.httpd.log_lines() if "LTI0301" in line and found["place"].key in line)
    assert told["error"] in line and "The old roster stays; next try in" in line


@pytest.mark.parametrize("name", FAULTS)
def test_roster_comes_right_by_itself(seen, name):
    after = seen[1][name]["after"]
    told = after["told"]
    assert (after["state"], told["error"], told["advice"], told["failures"]) == ("current", None, None, 0)
    assert after["zoe"] == (403, "member-left")


@pytest.mark.parametrize("name", BORNE)
def test_oddity_is_borne(seen, name):
    during, place = seen[1][name]["during"], seen[1][name]["place"]
    assert active(during["members"]) == {person.id for person, _ in place.state.roster("BIO1")}
    assert during["state"] == "current" and during["told"]["error"] is None and during["zoe"] == (403, "member-left")


def test_name_without_measure_is_no_name(seen):
    """SPEC N-36: the person is there, the name is not."""
    members = seen[1]["huge names"]["during"]["members"]
    assert sum("name" not in member for member in members.values()) == 1


@pytest.mark.parametrize("name", HELD)
def test_list_that_cannot_be_whole_removes_nobody(seen, name):
    """SPEC N-32, N-39, N-42."""
    found, code = seen[1][name], HELD[name][1]
    during = found["during"]
    assert set(found["before"]["members"]) <= set(during["members"]) and during["zoe"] == (200, "")
    assert during["state"] == "held" and during["told"]["error"] == code and during["told"]["advice"], during["told"]
    assert found["after"]["state"] == "current" and found["after"]["zoe"] == (403, "member-left")


def test_requests_to_a_platform_that_fails_stay_few(seen):
    """One try and one more after the pause, not one after the other; a second token only where the first one was refused (SPEC T-08)."""
    for name, found in seen[1].items():
        campus = found["place"].campus
        assert len(campus.requests("token")) <= 4, name
        assert len(campus.requests("nrps")) <= 6, name


# --- too much of it -------------------------------------------------------------------------------------------------------------------

CROWD = 200_000


def crowd(size):
    """So many people, with names; the teachers are those of the campus, so that Ada can look."""

    def change(people):
        ada = [person for person in people if any(role.endswith("Instructor") for role in person["roles"])]
        return ada + [
            {"user_id": f"u{number:06}", "status": "Active", "roles": ["Learner"], "name": f"Student Number {number}", "email": f"s{number}@example.edu"}
            for number in range(size - len(ada))
        ]

    return faults.members(change)


def cut(change):
    """What `change` makes, and two thirds of it."""
    return lambda handler, answer: faults.spelt(lambda body: body[: len(body) * 2 // 3])(handler, change(handler, answer))


@pytest.fixture
def large(make_stage):
    stage = make_stage().configure(pace="LTISyncInterval 1h\nLTISharedMemory 256M").start()
    stage.httpd.allow_log("LTI0301|LTI0302|LTI0570")
    return stage


@pytest.mark.slow
def test_two_hundred_thousand_members(large):
    """SPEC N-15: so many are taken; one more, or a page of so many that is cut, changes nothing; the small changes of a large course are small."""
    nrps = large.campus.faults
    nrps["nrps"] = {"act": crowd(CROWD)}
    ada = large.launch("ada")
    wait_for(lambda: large.state(ada) == "current", "the roster", 120, 0.5)
    assert large.echo(ada)["x-lti-roster-size"] == str(CROWD)
    for change, code in ((crowd(CROWD + 1), "roster-limit"), (cut(crowd(CROWD - 5000)), "roster-malformed")):
        nrps["nrps"] = {"act": change}
        told = large.sync_now(ada, 120)
        assert told["error"] == code and told["advice"], told
        assert large.echo(ada)["x-lti-roster-size"] == str(CROWD) and large.state(ada) == "failing"
    nrps["nrps"] = {"act": crowd(CROWD - 3)}
    since = len(large.httpd.log_lines())
    large.sync_now(ada, 120)
    large.httpd.wait_log(r"LTI0303.*joined 0, changed 0, left 3, returned 0", since=since)
    assert large.echo(ada)["x-lti-roster-size"] == str(CROWD - 3) and large.state(ada) == "current"


def test_pages_without_end(make_stage):
    """SPEC N-15: each next link is new, and none is the last; ten minutes are enough of it."""
    stage = make_stage().configure(pace="LTISyncInterval 1h").start()
    stage.httpd.expect_log("LTI0301.*roster-limit.*took more than 600 seconds")
    ada = stage.launch("ada")
    key = stage.wait_roster(ada)
    before = stage.members(key)
    stage.campus.state.drop("BIO1", "zoe")
    stage.campus.faults["nrps"] = {"act": faults.endless}
    stage.campus.log.clear()
    assert ada.post(stage.url("/lti/sync")).status == 202
    wait_for(lambda: len(stage.campus.requests("nrps")) > 5, "some pages")
    stage.campus.clock = 610
    stage.httpd.set_clock(610)
    stage.httpd.wait_log("LTI0301.*roster-limit")
    assert stage.members(key) == before
    stage.campus.faults.clear()
    stage.campus.clock = 700
    stage.httpd.set_clock(700)
    wait_for(lambda: active(stage.members(key)) == stage.enrolled(), "the roster to come right by itself", 20)
