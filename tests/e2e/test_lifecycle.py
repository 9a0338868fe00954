# SPDX-License-Identifier: Apache-2.0
"""Restart, reload, dead children: the roster answers rightly from the first request on, and goes on being refreshed."""
import os
import re
import signal
import threading
import time

import pytest
from client import Browser
from httpd import is_alive, wait_for
from stage import active


def changed_course(stage):
    """A course whose roster says other things than the launches of its people: Zoë was dropped, Sam became a teaching assistant."""
    people = {login: stage.launch(login) for login in ("ada", "zoe", "sam")}
    stage.wait_roster(people["ada"])
    stage.campus.state.drop("BIO1", "zoe")
    stage.campus.state.set_role("BIO1", "sam", "teaching-assistant")
    stage.sync_now(people["ada"])
    check_changed(stage, people)
    return people


def check_changed(stage, people):
    assert stage.status(people["zoe"]) == (403, "member-left")
    told = stage.echo(people["sam"])
    assert (told["x-lti-role"], told["x-lti-role-source"]) == ("teaching-assistant", "roster")
    assert told["x-lti-roster-size"] == "13" and told["x-lti-roster-state"] == "current"
    assert stage.echo(people["ada"])["x-lti-role"] == "instructor"


def test_restart_answers_rightly_from_the_first_request(quiet):
    people = changed_course(quiet)
    quiet.campus.stop()  # nothing can be fetched anew
    quiet.httpd.allow_log("LTI0301")
    quiet.httpd.restart()
    check_changed(quiet, people)
    assert len(quiet.members(quiet.echo(people["ada"])["x-lti-course-key"])) == 13


def test_graceful_reload_answers_rightly_from_the_first_request(quiet):
    people = changed_course(quiet)
    quiet.campus.stop()
    quiet.httpd.allow_log("LTI0301")
    for _ in range(3):
        quiet.httpd.graceful()
        check_changed(quiet, people)


def test_no_request_fails_across_reloads(quiet):
    people = changed_course(quiet)
    wrong, done = [], threading.Event()

    def ask():
        while not done.is_set():
            try:
                answers = (quiet.status(people["zoe"]), quiet.echo(people["sam"])["x-lti-role"])
            except Exception as error:  # a dropped connection, a 5xx: anything
                answers = error
            if answers != ((403, "member-left"), "teaching-assistant"):
                wrong.append(answers)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(4):
            quiet.httpd.graceful()
            time.sleep(0.3)
    finally:
        done.set()
        thread.join()
    assert not wrong, wrong[:5]


def test_refreshing_goes_on_after_reloads_and_a_restart(stage):
    ada = stage.launch("ada")
    stage.wait_roster(ada)
    for step, login in (("graceful", "rosa"), ("graceful", "plato"), ("restart", "thu")):
        getattr(stage.httpd, step)()
        stage.campus.state.enrol("BIO1", login)
        stage.wait_roster(ada, timeout=30)


def test_reload_in_the_middle_of_a_run(quiet):
    """The run of the old generation is given up or finished; nothing half is applied, and the next one is whole."""
    ada = quiet.launch("ada")
    key = quiet.wait_roster(ada)
    before = quiet.members(key)
    quiet.campus.page_cap = 4
    held, served = threading.Event(), threading.Event()
    quiet.campus.faults["nrps"] = {"after": 1, "wait": held, "times": 1}
    quiet.campus.on_answer = lambda endpoint, path, query: served.set() if "offset" in query else None
    quiet.campus.state.enrol("BIO1", "rosa")
    assert ada.post(quiet.url("/lti/sync")).status == 202
    assert served.wait(15)
    quiet.httpd.allow_log("LTI0301")
    quiet.httpd.graceful()
    assert quiet.members(key) == before
    held.set()
    quiet.campus.faults.clear()
    wait_for(lambda: ada.post(quiet.url("/lti/sync")).status == 202 and active(quiet.members(key)) == quiet.enrolled(), "the next run", 30, 1)


def test_stop_in_the_middle_of_a_run_is_quick(quiet):
    ada = quiet.launch("ada")
    quiet.wait_roster(ada)
    held, served = threading.Event(), threading.Event()
    quiet.campus.faults["nrps"] = {"wait": held, "times": 1}
    quiet.campus.on_answer = lambda endpoint, path, query: served.set() if endpoint == "nrps" else None
    try:
        assert ada.post(quiet.url("/lti/sync")).status == 202
        assert served.wait(15)
        began = time.monotonic()
        quiet.httpd.stop(at_once=True)
        assert time.monotonic() - began < 5, "a child did not leave by itself"
    finally:
        held.set()
    assert "still did not exit" not in quiet.httpd.log_text()


def test_killed_children(stage):
    """One after the other, each with SIGKILL: whichever of them was the writer, the roster stays right and goes on."""
    stage.httpd.allow_log(r"child pid \d+ exit signal Killed")
    stage.httpd.allow_log(r"AH0")
    people = {login: stage.launch(login) for login in ("ada", "zoe", "sam")}
    stage.wait_roster(people["ada"])
    stage.campus.state.set_role("BIO1", "sam", "teaching-assistant")
    wait_for(lambda: stage.echo(people["sam"])["x-lti-role"] == "teaching-assistant", "the new role")
    for child in stage.httpd.children():
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not is_alive(child), "the child to die")
        wait_for(lambda: answers(stage, people["sam"]) == "teaching-assistant", "the right answer after a kill", 10)
    stage.campus.state.drop("BIO1", "zoe")
    stage.campus.state.enrol("BIO1", "rosa")
    wait_for(lambda: stage.status(people["zoe"]) == (403, "member-left"), "a new writer", 60)
    stage.wait_roster(people["ada"])


def answers(stage, browser):
    try:
        return stage.echo(browser)["x-lti-role"]
    except (AssertionError, OSError):
        return None


def test_all_children_killed_at_once(quiet):
    quiet.httpd.allow_log(r"child pid \d+ exit signal Killed")
    quiet.httpd.allow_log(r"AH0")
    people = changed_course(quiet)
    for child in quiet.httpd.children():
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: answers(quiet, people["sam"]) == "teaching-assistant", "new children", 15)
    check_changed(quiet, people)


def kill_in_a_run(stage, ada):
    """Kills every child while page 2 of a roster is on its way: the writer is among them."""
    stage.httpd.allow_log(r"child pid \d+ exit signal Killed")
    stage.httpd.allow_log(r"AH0|LTI0301")
    campus = stage.campus
    campus.page_cap = 4
    campus.state.enrol("BIO1", "rosa")
    held, served = threading.Event(), threading.Event()
    campus.faults["nrps"] = {"after": 1, "wait": held, "times": 1}
    campus.on_answer = lambda endpoint, path, query: served.set() if "offset" in query else None
    try:
        assert ada.post(stage.url("/lti/sync")).status == 202
        assert served.wait(15)
        for child in stage.httpd.children():
            os.kill(child, signal.SIGKILL)
    finally:
        held.set()
        campus.on_answer = None


def test_writer_killed_in_a_run_leaves_the_old_roster(quiet):
    people = changed_course(quiet)
    kill_in_a_run(quiet, people["ada"])
    wait_for(lambda: answers(quiet, people["sam"]) == "teaching-assistant", "new children", 15)
    check_changed(quiet, people)


@pytest.mark.slow
def test_writer_killed_in_a_run_is_replaced_when_its_lease_ends(quiet):
    people = changed_course(quiet)
    kill_in_a_run(quiet, people["ada"])
    wait_for(lambda: answers(quiet, people["ada"]), "new children", 15)
    people["ada"].post(quiet.url("/lti/sync"))
    quiet.wait_roster(people["ada"], timeout=180)


def test_another_secret_ends_all_sessions(quiet):
    browser = quiet.launch("zoe")
    quiet.httpd.stop()
    secrets = [path for path in (quiet.httpd.root / "state").iterdir() if "secret" in path.name]
    assert secrets
    for path in secrets:
        path.unlink()
    quiet.httpd.start()
    assert quiet.status(browser) == (401, "session-invalid")
    quiet.launch("zoe")


def test_state_directory_is_for_root_only(still):
    """SPEC S-31."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    files = list((still.httpd.root / "state").iterdir())
    assert len(files) >= 2
    for path in files:
        status = path.stat()
        assert status.st_uid == 0 and status.st_mode & 0o777 == 0o600, path


def test_tool_key_stays_over_restarts(still):
    before = Browser().get(still.url("/lti/jwks")).json()
    still.httpd.restart()
    assert Browser().get(still.url("/lti/jwks")).json() == before


def test_database_that_goes_away_and_comes_back(stage):
    """Requests are answered from shared memory; launches, which need the nonce table, are refused with a 503 page."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    stage.httpd.allow_log(r"LTI0|AH0|\(dbd\)|dbd:error")
    people = changed_course(stage)
    folder = stage.httpd.root / "db"
    away = stage.httpd.root / "db-away"
    folder.rename(away)
    try:
        check = stage.echo(people["sam"])
        assert check["x-lti-role"] == "teaching-assistant" and stage.status(people["zoe"])[0] == 403
        response = Browser().launch(stage.campus, "BIO1", "ada", check=False).launch
        assert response.status in (303, 503), response
    finally:
        away.rename(folder)
    wait_for(lambda: Browser().launch(stage.campus, "BIO1", "ada", check=False).launch.status == 303, "launches to work again", 30, 0.5)


@pytest.mark.slow
def test_full_shared_memory_falls_back_to_the_database(make_stage):
    stage = make_stage()
    stage.httpd.allow_log(r"LTI0304")
    stage.configure(pace="LTISyncInterval 1h\nLTISharedMemory 1M")
    state = stage.campus.state
    for number in range(6000):
        state.enrol("BIO1", state.add_person(f"s{number:05}", "Student" * 5, f"Number{number:05}" * 3))
    stage.campus.page_cap = 2000
    stage.start()
    browser = stage.launch("s00042")
    ada = stage.launch("ada")
    wait_for(lambda: stage.state(ada) == "current", "the roster", 60, 0.5)
    state.set_role("BIO1", "s00042", "teaching-assistant")
    stage.sync_now(ada, 60)
    assert stage.echo(browser)["x-lti-role"] == "teaching-assistant"
    assert stage.echo(browser)["x-lti-roster-size"] == "6014"


def test_log_names_no_secret(stage):
    """SPEC S-22, over a whole life: launches, runs, refusals."""
    browser = stage.launch("ada")
    stage.wait_roster(browser)
    stage.status(Browser())
    log = stage.httpd.log_text()
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", log)
    for token in stage.campus.tokens:
        assert token not in log
    for value in browser.named("lti_").values():
        assert value not in log
