# SPDX-License-Identifier: Apache-2.0
"""What a database can do wrong: open sessions are judged as before, nothing is lost, nothing is half written, somebody says why, and when it is over the roster comes right by itself.

A database that is locked while people launch, that is restarted under load, or whose tables were lost: test_database.py. One that goes away: test_lifecycle.py. A node that is cut off
from it: test_nodes_roster.py.
"""
import os
import re
import subprocess
import time
from datetime import datetime, timezone

import database
import pytest
from client import Browser
from httpd import ROOT, wait_for
from relay import Relay
from stage import QUIET, active
from test_database import FAULTS, dropped_and_promoted, hold_page, lock

KIND = database.KIND
SERVER = KIND != "sqlite3"
SCHEMA = (ROOT / "mod_lti_sync/lti_schema.c").read_text()
NEWEST = int(re.findall(r"^    version_(\d+),$", SCHEMA, re.M)[-1])


def takes_seconds(test):
    """On SQLite only in the full check; the runs on other databases are of the full check anyway."""
    return test if SERVER else pytest.mark.slow(test)


def check(stage, people):
    """Those who are inside: Zoë was dropped, Sam is an assistant by the roster only, Ada is the teacher."""
    assert stage.status(people["zoe"]) == (403, "member-left")
    assert stage.echo(people["sam"])["x-lti-role"] == "teaching-assistant"
    assert stage.echo(people["ada"])["x-lti-role"] == "instructor"


def change(stage):
    """Somebody comes, somebody goes, somebody is something else: more than one statement."""
    state = stage.campus.state
    state.enrol("BIO1", "rosa")
    state.drop("BIO1", "emmy")
    state.set_role("BIO1", "alan", "teaching-assistant")


def is_right(stage, key):
    try:
        members = stage.members(key)
    except (AssertionError, OSError):
        return False
    alan = members.get(stage.campus.state.person("alan").id, {})
    return active(members) == stage.enrolled() and any("TeachingAssistant" in role for role in alan.get("roles", []))


def key_of(stage, people):
    return stage.echo(people["ada"])["x-lti-course-key"]


def launches(stage):
    """The answer to a launch; None if not even that."""
    try:
        return Browser().launch(stage.campus, "BIO1", "ada", check=False).launch
    except (AssertionError, OSError):
        return None


def launch_works(stage):
    response = launches(stage)
    return response is not None and response.status == 303


def failed(stage, people):
    """What is told of a run that failed."""

    def told():
        answer = people["ada"].get(stage.url("/lti/sync"))
        return answer.status == 200 and answer.json()["error"] and answer.json()

    return wait_for(told, "the reason", 20)


# --- gone -----------------------------------------------------------------------------------------------------------------------------


@takes_seconds
def test_gone_at_start(make_stage):
    """httpd starts all the same, says what is missing, and needs no restart when it is there."""
    stage = make_stage().configure(pace=QUIET)
    stage.httpd.allow_log(FAULTS)
    stage.httpd.expect_log(r"LTI0305: the database does not answer.*Check DBDParams")
    folder, away = stage.httpd.root / "db", stage.httpd.root / "db-away"
    if SERVER:
        stage.httpd.store.server.kill()
    else:
        folder.rename(away)
    try:
        stage.start()
        refused = launches(stage)
        assert (refused.status, refused.error) == (503, "store"), refused
        assert "moment" in refused.text
        stage.httpd.wait_log("LTI0305", 20)
    finally:
        if SERVER:
            stage.httpd.store.server.start()
        else:
            away.rename(folder)
    wait_for(lambda: launch_works(stage), "launches", 20, 0.3)
    stage.wait_roster(stage.launch("zoe"))
    stage.httpd.wait_log("LTI0306")


@pytest.mark.skipif(not SERVER, reason="a file does not hang")
def test_stops_while_the_database_hangs(make_stage):
    """The thread of the rosters is inside the driver, which nobody can call back: httpd ends all the same, before it would have to kill its child."""
    stage = make_stage()
    store = stage.httpd.store
    wire = Relay(store.server.socket)
    stage.httpd.database = store.server.directives_by_port(store.name, wire.port)
    stage.start()
    stage.wait_roster(stage.launch("ada"))
    stage.httpd.expect_log("LTI0680: .*does not answer.*DBDParams")
    try:
        wire.hang()
        time.sleep(2)  # by then it has asked
        began = time.monotonic()
        stage.httpd.stop(at_once=True)
        assert time.monotonic() - began < 6
    finally:
        wire.heal()
        wire.close()


def strike_updates(store):
    """Each change of a member that is there already fails: the transaction has begun by then, and has written others."""
    if KIND == "pgsql":
        store.execute("CREATE FUNCTION on_fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is on fire'; END $$")
        store.execute("CREATE TRIGGER on_fire BEFORE UPDATE ON lti_member FOR EACH ROW EXECUTE FUNCTION on_fire()")
        return lambda: store.execute("DROP TRIGGER on_fire ON lti_member")
    what = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the disk is on fire'"
    if KIND == "sqlite3":
        what = "BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END"
    each = "" if KIND == "sqlite3" else "FOR EACH ROW"
    store.execute(f"CREATE TRIGGER on_fire BEFORE UPDATE ON lti_member {each} {what}")
    return lambda: store.execute("DROP TRIGGER on_fire")


def test_fails_in_the_middle_of_applying(quiet):
    """All of the run or nothing of it (SPEC N-41); the reason stands at the course, and the next try is due in a minute."""
    quiet.httpd.allow_log(FAULTS)
    quiet.httpd.expect_log(r"LTI0301.*store.*the disk is on fire")
    people = dropped_and_promoted(quiet)
    key = key_of(quiet, people)
    before = quiet.members(key)
    heal = strike_updates(quiet.httpd.store)
    change(quiet)
    assert people["ada"].post(quiet.url("/lti/sync")).status == 202
    told = failed(quiet, people)
    assert told["error"] == "store" and "the disk is on fire" in told["error_text"] and "DBDParams" in told["advice"], told
    due = datetime.fromisoformat(told["due_at"].replace("Z", "+00:00")) - datetime.now(timezone.utc)
    assert 40 < due.total_seconds() < 75
    assert quiet.members(key) == before
    check(quiet, people)
    heal()
    quiet.httpd.set_clock(90)
    wait_for(lambda: is_right(quiet, key), "the roster to come right by itself", 20)
    check(quiet, people)


def hold_rows(stage):
    """Another client has changed all members and does not commit: whoever wants to change them waits. Returns what ends it."""
    store, seconds = stage.httpd.store, 30
    sleep = f"SELECT pg_sleep({seconds})" if KIND == "pgsql" else f"SELECT SLEEP({seconds})"
    script = f"BEGIN; UPDATE lti_member SET status_at = status_at + 1; {sleep}; ROLLBACK;\n"
    if KIND == "pgsql":
        command = [store.server.bin / "psql", "-h", store.server.root, "-U", "postgres", "-d", store.name, "-qX"]
    else:
        command = [store.server.client, "--no-defaults", "--user=root", f"--socket={store.server.root}/sock", store.name]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.stdin.write(script.encode())
    process.stdin.close()

    def end():
        process.kill()
        process.wait()

    return end


@pytest.mark.parametrize("away", [0, 4])
def test_server_dies_in_the_middle_of_applying(make_stage, away):
    if not SERVER:
        pytest.skip("SQLite has no server; its process dies in test_faults_httpd.py")
    stage = make_stage().configure(pace=QUIET).start()
    stage.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(stage)
    key = key_of(stage, people)
    end = hold_rows(stage)
    try:
        time.sleep(0.5)
        change(stage)
        assert people["ada"].post(stage.url("/lti/sync")).status == 202
        time.sleep(1.5)  # the run waits for the rows
        stage.httpd.store.server.kill()
        time.sleep(away)
        check(stage, people)
    finally:
        end()
        stage.httpd.store.server.start()
    stage.httpd.set_clock(200)  # the lease of the run that broke has ended, the next try is due
    wait_for(lambda: is_right(stage, key), "the roster to come right by itself", 60)
    check(stage, people)


# --- there, but not to be written to --------------------------------------------------------------------------------------------------


@takes_seconds
def test_locked_while_a_roster_comes(quiet):
    """The run has fetched everything and waits for the lock: what it knows is not thrown away."""
    unlock = None
    quiet.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(quiet)
    key = key_of(quiet, people)
    change(quiet)
    held, served = hold_page(quiet)
    asked = len(quiet.campus.requests("nrps"))
    try:
        assert people["ada"].post(quiet.url("/lti/sync")).status == 202
        assert served.wait(15)
        unlock = lock(quiet)
        held.set()
        time.sleep(1.5)
        check(quiet, people)
    finally:
        held.set()
        if unlock:
            unlock()
    wait_for(lambda: is_right(quiet, key), "the roster", 20)
    assert len(quiet.campus.requests("nrps")) == asked + 1, "it was fetched again"


def refuse_writing(stage):
    """From now on all connections can read only; returns what ends it."""
    store, folder = stage.httpd.store, stage.httpd.root / "db"
    if KIND == "mysql":
        pytest.skip("nothing makes a MariaDB read-only for its administrator, who the tests are")
    if KIND == "pgsql":

        def switch(word):
            store.execute(f"ALTER DATABASE {store.name} SET default_transaction_read_only = {word}")
            store.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{store.name}' AND pid <> pg_backend_pid()")

        def end():
            store.server.execute("postgres", f"ALTER DATABASE {store.name} RESET default_transaction_read_only")
            store.server.execute("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{store.name}'")

        switch("on")
        return end
    if os.geteuid() != 0:
        pytest.skip("needs root")
    owner = folder.stat()
    files = [folder, *folder.iterdir()]
    modes = {path: path.stat().st_mode & 0o777 for path in files}
    for path in files:
        os.chown(path, 0, 0)
        path.chmod(0o555 if path == folder else 0o444)

    def end():
        for path in files:
            if path.exists():
                os.chown(path, owner.st_uid, owner.st_gid)
                path.chmod(modes[path])

    return end


def test_read_only(quiet):
    """Somebody restored the file with other rights, or the server became a standby."""
    quiet.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(quiet)
    key = key_of(quiet, people)
    heal = refuse_writing(quiet)
    try:
        if not SERVER:
            quiet.httpd.graceful()  # who has the file open may go on writing
        change(quiet)
        refused = wait_for(lambda: (answer := launches(quiet)) is not None and answer.status == 503 and answer, "the refusal", 15)
        assert refused.error in ("store", "store-busy")
        assert quiet.echo(people["sam"])["x-lti-role"] == "teaching-assistant" and quiet.status(people["ada"])[0] == 200
        quiet.httpd.wait_log("LTI0305|LTI0301.*store|read-?only", 20)
    finally:
        heal()
    if not SERVER:
        quiet.httpd.graceful()  # SQLite never writes on a connection that was opened for reading
    wait_for(lambda: launch_works(quiet), "launches", 20, 0.3)
    quiet.httpd.set_clock(90)
    people["ada"].post(quiet.url("/lti/sync"))
    wait_for(lambda: is_right(quiet, key), "the roster", 20)
    check(quiet, people)


@pytest.fixture
def small_disk(make_stage):
    """A stage whose database is on a disk of a few MiB; returns it, and the place of the disk."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if KIND == "mysql":
        pytest.skip("MariaDB keeps all databases on one disk")
    stage = make_stage().configure(pace=QUIET)
    place = stage.httpd.root / "db" if not SERVER else stage.httpd.store.server.root / f"disk-{stage.httpd.store.name}"
    owner = place.stat() if place.exists() else (stage.httpd.store.server.root / "data").stat()
    place.mkdir(exist_ok=True)
    size = "16m" if not SERVER else "64m"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700,uid={owner.st_uid},gid={owner.st_gid}", "tmpfs", str(place)], check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        if SERVER:
            stage.httpd.store.server.execute("postgres", f"CREATE TABLESPACE {stage.httpd.store.name}_disk LOCATION '{place}'")
            stage.httpd.store.server.execute("postgres", f"ALTER DATABASE {stage.httpd.store.name} SET TABLESPACE {stage.httpd.store.name}_disk")
        yield stage, place
    finally:
        stage.httpd.stop()
        if SERVER:
            stage.httpd.store.server.execute("postgres", f"ALTER DATABASE {stage.httpd.store.name} SET TABLESPACE pg_default")
            stage.httpd.store.server.execute("postgres", f"DROP TABLESPACE {stage.httpd.store.name}_disk")
        subprocess.run(["umount", "-l", str(place)], check=False)


def fill(path):
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, b"x" * 65536)
    except OSError:
        pass
    finally:
        os.close(file)


@takes_seconds
def test_disk_full(small_disk):
    stage, place = small_disk
    stage.start()
    stage.httpd.allow_log(FAULTS)
    stage.httpd.expect_log("LTI0301.*store.*(full|space)|LTI0305.*(full|space)")
    people = dropped_and_promoted(stage)
    key = key_of(stage, people)
    before = stage.members(key)
    state = stage.campus.state
    change(stage)
    for number in range(1500):
        state.enrol("BIO1", state.add_person(f"s{number:05}", "Student" * 9, f"Number{number:05}" * 9))
    stage.campus.page_cap = 5000
    held, served = hold_page(stage)
    filler = place / "filler"
    try:
        assert people["ada"].post(stage.url("/lti/sync")).status == 202
        assert served.wait(15)
        fill(filler)
        held.set()
        stage.httpd.wait_log("LTI0301.*store|LTI0305", 20)
        refused = people["ada"].post(stage.url("/lti/sync"))
        assert refused.status == 202 or (refused.status, refused.error) == (503, "store")
        check(stage, people)
        assert stage.members(key) == before
    finally:
        held.set()
        filler.unlink(missing_ok=True)
    stage.campus.clock = 200
    stage.httpd.set_clock(200)  # a lease that could not be given back has ended
    wait_for(lambda: stage.echo(people["ada"])["x-lti-roster-size"] == str(len(stage.enrolled())), "the roster to come right by itself", 30)
    assert is_right(stage, key)
    check(stage, people)


# --- tables of another version ---------------------------------------------------------------------------------------------------------


def steps_after(version):
    """(tables, columns, indices) that the steps after that version made."""
    tables, columns, indices = [], [], []
    for number in range(version + 1, NEWEST + 1):
        text = re.search(rf"version_{number}\[\] = \{{(.*?)^\}};", SCHEMA, re.M | re.S)[1].replace('"\n    "', "")
        tables += re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", text)
        columns += re.findall(r"ALTER TABLE (\w+) \{add_column\} (\w+)", text)
        indices += re.findall(r"CREATE INDEX \{unless_exists\} (\w+) ON (\w+)", text)
    return tables, columns, indices


def make_older(store, version):
    """What a release had that knew this version only."""
    tables, columns, indices = steps_after(version)
    assert len(tables) >= 3 and len(columns) >= 5 and len(indices) >= 5
    for index, table in indices:
        if table not in tables:
            store.execute(f"DROP INDEX {index} ON {table}" if KIND == "mysql" else f"DROP INDEX {index}")
    for table in tables:
        store.execute(f"DROP TABLE {table}")
    for table, column in columns:
        if table not in tables:
            store.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    kept = "'version', 'change', 'admission'" if version > 1 else "'version', 'change'"
    store.execute(f"DELETE FROM lti_schema WHERE name NOT IN ({kept})")
    store.execute(f"UPDATE lti_schema SET value = {version} WHERE name = 'version'")


def version_of(stage):
    return int(stage.httpd.store.execute("SELECT value FROM lti_schema WHERE name = 'version'")[0][0])


def test_tables_of_older_releases(quiet):
    """An upgrade of httpd in place: the roster and the sessions of before are there from the first request on."""
    quiet.httpd.allow_log(FAULTS)
    people = dropped_and_promoted(quiet)
    key = key_of(quiet, people)
    before = quiet.members(key)
    for version in (1, 2):
        quiet.httpd.stop()
        make_older(quiet.httpd.store, version)
        quiet.httpd.start()
        check(quiet, people)
        wait_for(lambda: version_of(quiet) == NEWEST, "the upgrade", 15)
        assert quiet.members(key) == before
    change(quiet)
    quiet.sync_now(people["ada"])
    assert is_right(quiet, key)
    check(quiet, people)


def test_tables_of_a_newer_release(quiet):
    """A node that was not upgraded with the others: processes that run go on, new ones refuse launches and write nothing."""
    quiet.httpd.allow_log(FAULTS)
    quiet.httpd.expect_log(r"LTI0305.*the tables have version 99")
    people = dropped_and_promoted(quiet)
    key = key_of(quiet, people)
    quiet.httpd.store.execute("UPDATE lti_schema SET value = 99 WHERE name = 'version'")
    check(quiet, people)
    quiet.httpd.graceful()
    change(quiet)
    refused = wait_for(lambda: (answer := launches(quiet)) is not None and answer.status == 503 and answer, "the refusal", 15)
    assert refused.error == "schema-newer"
    assert quiet.status(people["ada"])[0] == quiet.status(people["sam"])[0] == 200
    quiet.httpd.wait_log("LTI0305.*schema|LTI0305.*version 99")
    asked = len(quiet.campus.requests("nrps"))
    quiet.httpd.store.execute(f"UPDATE lti_schema SET value = {NEWEST} WHERE name = 'version'")
    wait_for(lambda: launch_works(quiet), "launches", 20, 0.3)
    assert len(quiet.campus.requests("nrps")) >= asked
    people["ada"].post(quiet.url("/lti/sync"))
    wait_for(lambda: is_right(quiet, key), "the roster", 20)
    wait_for(lambda: quiet.status(people["zoe"]) == (403, "member-left"), "the judgement of before", 15)
    check(quiet, people)
