# SPDX-License-Identifier: Apache-2.0
"""The database misbehaves, or many ask it at once: who is answered, who is refused, and how soon all is well again."""
import re
import threading
import time

import database
import pytest
from client import Browser
from httpd import wait_for

FAULTS = r"LTI0|AH0|\(dbd\)|dbd:error"


def dropped_and_promoted(stage):
    """A course whose roster contradicts the launches of two people who are still inside."""
    people = {login: stage.launch(login) for login in ("ada", "zoe", "sam")}
    stage.wait_roster(people["ada"])
    stage.campus.state.drop("BIO1", "zoe")
    stage.campus.state.set_role("BIO1", "sam", "teaching-assistant")
    stage.sync_now(people["ada"])
    return people


def hold_page(stage):
    """The next roster request of the campus hangs until the first event is set; the second tells that it came."""
    held, served = threading.Event(), threading.Event()
    stage.campus.faults["nrps"] = {"wait": held, "times": 1}
    stage.campus.on_answer = lambda endpoint, path, query: served.set() if endpoint == "nrps" else None
    return held, served


def lock(stage):
    """Somebody else writes, and takes his time: returns what ends it."""
    if database.KIND != "sqlite3":
        pytest.skip("one writer excludes all others on SQLite only")
    connection = database.sqlite3.connect(stage.httpd.store.file, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection.close


@pytest.mark.parametrize("ahead", [0, 400])
def test_many_requests_across_reloads(quiet, ahead):
    """Until shared memory is loaded all of them ask the database at once: nobody is refused, and nobody is judged by his launch (Invariant 6)."""
    people = dropped_and_promoted(quiet)
    quiet.httpd.set_clock(ahead)
    right = {"zoe": (403, "member-left"), "sam": (200, "teaching-assistant")}
    wrong, done = [], threading.Event()

    def ask(login):
        while not done.is_set():
            try:
                response = people[login].get(quiet.url("/app/echo"))
                told = response.status, response.error if response.status != 200 else dict(response.json()["headers"])["X-LTI-Role"]
            except OSError as error:
                told = error
            if told != right[login]:
                wrong.append((login, told))

    threads = [threading.Thread(target=ask, args=(login,)) for login in ("zoe", "zoe", "sam", "zoe") * 3]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            quiet.httpd.graceful()
            time.sleep(0.4)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:5]


def test_stop_while_the_database_is_locked(quiet):
    """A run is under way whose lease cannot be given back: the child leaves all the same."""
    ada = quiet.launch("ada")
    quiet.wait_roster(ada)
    held, served = hold_page(quiet)
    assert ada.post(quiet.url("/lti/sync")).status == 202
    assert served.wait(15)
    unlock = lock(quiet)
    try:
        began = time.monotonic()
        quiet.httpd.stop()
        assert time.monotonic() - began < 4, "a child waited for the database"
    finally:
        held.set()
        unlock()


def test_a_locked_database_costs_launches_only(quiet):
    quiet.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(quiet)
    unlock = lock(quiet)
    try:
        assert quiet.echo(people["sam"])["x-lti-role"] == "teaching-assistant"
        assert quiet.status(people["zoe"]) == (403, "member-left")
        refused = Browser().launch(quiet.campus, "BIO1", "ada", check=False).launch
        assert (refused.status, refused.error) == (503, "store-busy")
    finally:
        unlock()
    quiet.launch("ada")
    quiet.sync_now(people["ada"])


def test_a_lease_names_its_process(quiet):
    """Two containers may have the same name and the same process ids (Invariant 5)."""
    ada = quiet.launch("ada")
    quiet.wait_roster(ada)
    owners = set()
    for _ in range(2):
        held, served = hold_page(quiet)
        assert ada.post(quiet.url("/lti/sync")).status == 202
        assert served.wait(15)
        ((owner,),) = quiet.httpd.store.execute("SELECT lease_owner FROM lti_sync")
        held.set()
        assert re.fullmatch(r"localhost:\d+:\d+:[\w-]{16}", owner), owner
        owners.add(owner.rpartition(":")[2])
        quiet.httpd.restart()
    assert len(owners) == 2


def test_restart_of_the_database_server_under_load(stage):
    if database.KIND == "sqlite3":
        pytest.skip("SQLite has no server")
    stage.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(stage)
    wrong, done = [], threading.Event()

    def ask():
        while not done.is_set():
            told = stage.status(people["zoe"]), stage.echo(people["sam"])["x-lti-role"]
            if told != ((403, "member-left"), "teaching-assistant"):
                wrong.append(told)
            time.sleep(0.02)

    def launch():
        while not done.is_set():
            response = Browser().launch(stage.campus, "BIO1", "ada", check=False).launch
            if response.status not in (303, 503):
                wrong.append(response)

    threads = [threading.Thread(target=ask), threading.Thread(target=launch), threading.Thread(target=launch)]
    for thread in threads:
        thread.start()
    try:
        for away in (0, 3):
            time.sleep(1)
            stage.httpd.store.server.restart(away)
    finally:
        time.sleep(0.5)
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:5]
    # Every thread of every process meets its dead connection, and gets over it.
    for _ in range(40):
        wait_for(lambda: Browser().launch(stage.campus, "BIO1", "ada", check=False).launch.status == 303, "launches", 15)
    stage.campus.state.enrol("BIO1", "rosa")
    stage.wait_roster(people["ada"], timeout=90)


def test_tables_that_were_lost_are_made_anew(stage):
    """The database was restored from nothing while httpd ran: nobody has to restart it, and nothing of before is shown as today's roster."""
    stage.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(stage)
    tables = ("lti_context", "lti_sync", "lti_member", "lti_staging", "lti_nonce", "lti_launch", "lti_schema",
              "lti_deployment", "lti_revocation", "lti_node", "lti_old_launch", "lti_event", "lti_token", "lti_pace", "lti_run",
              "lti_platform", "lti_visit", "lti_held")
    for table in tables:
        stage.httpd.store.execute(f"DROP TABLE {table}")
    wait_for(lambda: Browser().launch(stage.campus, "BIO1", "ada", check=False).launch.status == 303, "launches", 30, 0.5)
    stage.campus.state.enrol("BIO1", "rosa")
    key = stage.echo(people["ada"])["x-lti-course-key"]
    address = f"{stage.httpd.roster_url}?course={key}"
    wait_for(lambda: Browser().get(address).status == 200 and set(stage.members(key)) == stage.enrolled(), "the new roster", 30)
    rosa = stage.launch("rosa")
    stage.campus.state.drop("BIO1", "rosa")
    wait_for(lambda: stage.status(rosa) == (403, "member-left"), "the drop", 20)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["read-only", "garbage"])
def test_a_file_that_is_mended_needs_no_reload(make_stage, fault):
    """SQLite's connections keep what they saw of the file when they were made: new ones are made as soon as it may be well again."""
    if database.KIND != "sqlite3":
        pytest.skip("a file is SQLite's")
    stage = make_stage().configure(pace="LTISyncInterval 1h")
    stage.httpd.allow_log(FAULTS)
    file = stage.httpd.store.file
    if fault == "garbage":
        file.write_bytes(b"This is no database. " * 1000)
        file.chmod(0o666)
    else:
        stage.start()
        stage.httpd.stop()
        for name in file.parent.iterdir():
            name.chmod(0o444)
        file.parent.chmod(0o555)
    if stage.started:
        stage.httpd.start()
    else:
        stage.start()

    def launched():
        return Browser().launch(stage.campus, "BIO1", "ada", check=False).launch.status

    for _ in range(8):  # connections of several processes
        assert launched() == 503
    stage.httpd.wait_log("LTI0305")
    file.parent.chmod(0o755)
    if fault == "garbage":
        file.unlink()
    else:
        for name in file.parent.iterdir():
            name.chmod(0o644)
    wait_for(lambda: launched() == 303, "launches", 15, 0.2)
    wait_for(lambda: all(launched() == 303 for _ in range(12)), "launches in all processes", 30, 0.2)
    stage.httpd.wait_log("LTI0306")
    stage.wait_roster(stage.launch("ada"))
