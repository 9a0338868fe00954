# SPDX-License-Identifier: Apache-2.0
"""An update that was asked for is followed to its end at the address that the answer names: that very request, whatever else goes on, whichever node does it."""
import threading

import pytest
from client import Browser
from httpd import SERVICE, wait_for
from stage import QUIET


@pytest.fixture(scope="module")
def shared(make_shared_stage):
    stage = make_shared_stage().configure(pace=QUIET, service=SERVICE.replace('"/lti/roster"', '"/lti"')).start()
    stage.ada = stage.launch("ada")
    stage.key = stage.wait_roster(stage.ada)
    return stage


@pytest.fixture
def room(shared):
    yield shared
    shared.campus.faults.clear()


def ask(stage):
    """Asks for an update; the address where it is followed."""
    answer = stage.ada.post(stage.url("/lti/sync"))
    assert answer.status == 202 and answer.json() == {"course": stage.key, "state": "queued"}, answer
    assert "since=" in answer.location
    return answer.location


def follow(stage, location):
    answer = stage.ada.get(location)
    assert answer.status == 200, answer
    return answer.json()["request"]


def end(stage, location, timeout=20):
    def ended():
        found = follow(stage, location)
        return found["state"] not in ("queued", "running") and found

    return wait_for(ended, "the end of the update", timeout)


def test_what_changed_is_told(room):
    room.campus.state.enrol("BIO1", "rosa")
    room.campus.state.drop("BIO1", "zoe")
    told = end(room, ask(room))
    assert told["state"] == "applied" and told["error"] is None and told["advice"] is None
    assert (told["joined"], told["left"], told["returned"], told["members"], told["pages"]) == (1, 1, 0, 14, 1)
    assert told["started_at"] <= told["ended_at"]
    room.campus.state.enrol("BIO1", "zoe")
    room.campus.state.drop("BIO1", "rosa")
    told = end(room, ask(room))
    assert (told["state"], told["joined"], told["left"], told["returned"]) == ("applied", 0, 1, 1)


def test_nothing_changed_many_times_in_a_row(room):
    """Runs that say the same share one row of the history; each request still has its end."""
    for _ in range(3):
        told = end(room, ask(room))
        assert (told["state"], told["joined"], told["changed"], told["left"], told["members"]) == ("applied", 0, 0, 0, 14)


def test_a_failure_says_why_and_what_to_do(room):
    room.httpd.allow_log("LTI0301|LTI077")
    room.campus.faults["nrps"] = {"status": 404}
    first = ask(room)
    told = end(room, first)
    assert told["state"] == "failed" and told["error"] == "roster-gone" and "404" in told["error_text"] and told["advice"]
    room.campus.faults.clear()
    assert end(room, ask(room))["state"] == "applied"
    # what the first one became does not change any more
    assert follow(room, first)["state"] == "failed"


def test_removals_that_are_held_are_not_said_to_be_applied(make_stage):
    stage = make_stage().configure(pace=QUIET).start()
    stage.ada = stage.launch("ada")
    stage.key = stage.wait_roster(stage.ada)
    stage.httpd.expect_log("LTI0302")
    for person, enrolment in list(stage.campus.state.roster("BIO1")):
        if enrolment.role == "learner" and len(stage.enrolled()) > 4:
            stage.campus.state.drop("BIO1", person.login)
    told = end(stage, ask(stage))
    assert told["state"] == "held" and told["missing"] == 10 and told["error"] == "roster-held" and told["left"] == 0


def test_one_that_is_asked_for_while_a_run_goes_on_has_a_run_of_its_own(room):
    """What is read before the request does not count for it: somebody may have come since."""
    held = threading.Event()
    room.campus.faults["nrps"] = {"wait": held, "times": 1}
    first = ask(room)
    wait_for(lambda: room.campus.faults.get("nrps") is None, "the first run to be under way")
    second = ask(room)
    assert follow(room, second)["state"] == "queued"
    held.set()
    one, other = end(room, first), end(room, second)
    assert one["state"] == other["state"] == "applied"


def test_a_long_run_shows_how_far_it_is(room):
    room.campus.faults["nrps"] = {"slow": 0.7}
    room.campus.page_cap, cap = 4, room.campus.page_cap
    try:
        location, seen = ask(room), []

        def ended():
            found = follow(room, location)
            seen.append((found["state"], found["pages"], found["members"]))
            return found["state"] == "applied"

        wait_for(ended, "the long run", 30)
    finally:
        room.campus.page_cap = cap
    running = sorted({(pages, members) for state, pages, members in seen if state == "running"})
    assert len(running) >= 2 and all(members <= 14 for _, members in running), seen


@pytest.mark.parametrize("since", ["", "x", "-1", "0", "99999999999999999999999", "1"])
def test_nobody_asked_then(room, since):
    answer = room.ada.get(room.url(f"/lti/sync?since={since}"))
    assert answer.status == 200 and "request" not in answer.json()




def test_an_application_follows_it_too(room):
    """From where LTIRosterAccess all holds: the course stands in the address."""
    base = room.httpd.roster_url.removesuffix("roster") + "sync"
    answer = Browser().post(f"{base}?course={room.key}")
    assert answer.status == 202 and f"course={room.key}" in answer.location

    def ended():
        found = Browser().get(answer.location).json()["request"]
        return found["state"] == "applied" and found

    assert wait_for(ended, "the end of the update")["members"] == 14


def used_at(stage):
    return stage.httpd.store.execute(f"SELECT used_at FROM lti_context WHERE course_key = '{stage.key}'")[0][0]


def test_a_course_whose_roster_is_read_is_in_use(room):
    """Invariant 4: an application that asks keeps its course from falling asleep; it is noted at most once an hour."""
    room.httpd.store.execute("UPDATE lti_context SET used_at = 5")
    room.members(room.key)
    first = int(used_at(room))
    assert first > 5
    room.members(room.key)
    room.ada.get(room.url("/lti/sync"))
    assert int(used_at(room)) == first
    room.httpd.store.execute(f"UPDATE lti_context SET used_at = {first - 3601 * 10**6}")
    room.ada.get(room.url("/lti/sync"))
    assert int(used_at(room)) > first
