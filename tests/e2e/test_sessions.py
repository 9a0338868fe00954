# SPDX-License-Identifier: Apache-2.0
"""How sessions end: by time, by an administrator (Invariant 11), by another secret; and how secret and keys are changed without anybody noticing, on several nodes."""
import base64
import json
import os
import secrets
import subprocess
import time
import urllib.parse

import database
import pytest
from client import Browser
from httpd import PROTECTED, Httpd, free_port, wait_for
from statements import accept, end_sessions, withdraw

WITHIN = 2.0  # seconds, on every node (Invariant 11)
ENDED, LIVES = (401, "session-ended"), (200, "")
HOUR = 3600


def write_private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def secret_file(stage, *lines):
    return write_private(stage.httpd.root / "conf/secrets", "\n".join(lines) + "\n")


def make_key(path):
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path)], check=True, capture_output=True)
    path.chmod(0o600)
    return path


def published(base_url):
    return [key["kid"] for key in Browser().get(f"{base_url}/lti/jwks").json()["keys"]]


def seen(browser, base_url, path="/app/echo"):
    response = browser.get(base_url + path)
    return response.status, response.error


class Node(Httpd):
    """Another httpd for the site of a stage: same database, same public address, its own port and directories."""

    def __init__(self, stage, config=""):
        first = stage.httpd
        super().__init__(stage.campus, free_port(), first.mpm)
        self.store, self.database, self.platform = first.store, first.database, first.platform
        self.public_url = first.base_url
        self.module_config = first.module_config.replace(f"LTIStateDir {first.root}/state", f"LTIStateDir {self.root}/state\nLTIBaseURL {first.base_url}\n{config}")
        self.locations = PROTECTED.format(root=self.root, app_port=first.app_port)


def signing_kid(campus):
    """The key that the newest request for an access token was signed with."""
    form = urllib.parse.parse_qs(campus.requests("token")[-1].body.decode())
    head = form["client_assertion"][0].split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


# --- an administrator ends sessions, two nodes --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nodes(make_shared_stage):
    """A stage and a second node: one secret, two generated keys, one database."""
    stage = make_shared_stage()
    line = f"LTISecretFile {secret_file(stage, secrets.token_urlsafe(48))}"
    platform = stage.httpd.platform_block(LTIDeployment="ask d-1 d-2")
    stage.configure(pace=f"LTISync Off\n{line}", platform=platform).start()
    # The tables are made before the second one comes, so that SQLite need not sort it out.
    stage.launch("zoe")
    stage.second = Node(stage)
    try:
        yield stage.second.start() and stage
        faults = stage.second.log_faults()
    finally:
        stage.second.close()
    assert not faults, faults


@pytest.fixture
def crowd(nodes):
    """People in courses and deployments, each in a browser: name -> browser."""
    people = {}
    for name, person, course, deployment in (
        ("zoe in biology", "zoe", "BIO1", "d-1"),
        ("zoe in history", "zoe", "HIS2", "d-1"),
        ("zoe elsewhere", "zoe", "BIO1", "d-2"),
        ("ada in biology", "ada", "BIO1", "d-1"),
        ("ada in history", "ada", "HIS2", "d-1"),
    ):
        nodes.campus.tool.deployment_id = deployment
        people[name] = nodes.launch(person, course)
    nodes.campus.tool.deployment_id = "d-1"
    return people


CASES = {
    "person": ({"USER_ID": "zoe"}, {"zoe in biology", "zoe in history", "zoe elsewhere"}),
    "course": ({"KEY": "BIO1"}, {"zoe in biology", "ada in biology"}),
    "person in a course": ({"USER_ID": "zoe", "KEY": "BIO1"}, {"zoe in biology"}),
    "deployment": ({"DEPLOYMENT": "d-1"}, {"zoe in biology", "zoe in history", "ada in biology", "ada in history"}),
}


@pytest.mark.parametrize("case", CASES)
def test_ended_sessions_are_over_on_all_nodes_within_two_seconds(nodes, crowd, case):
    whose, over = CASES[case]
    key = nodes.echo(crowd["zoe in biology"])["x-lti-course-key"]
    values = {"USER_ID": nodes.campus.state.person("zoe").id, "KEY": key, "DEPLOYMENT": "d-1"}
    addresses = (nodes.httpd.base_url, nodes.second.base_url)
    for address in addresses:
        assert {seen(browser, address) for browser in crowd.values()} == {LIVES}
    end_sessions(nodes.httpd.store, **{name: values[name] for name in whose})
    began = time.monotonic()
    wanted = {name: ENDED if name in over else LIVES for name in crowd}
    for address in addresses:
        look = lambda address=address: {name: seen(browser, address) for name, browser in crowd.items()} == wanted  # noqa: E731
        wait_for(look, f"the sessions of a {case} to be over at {address}", max(0.1, WITHIN - (time.monotonic() - began)))
    # Whoever was sent away may launch again at once, and stays.
    again = nodes.launch("zoe", "BIO1")
    assert [seen(again, address) for address in addresses] == [LIVES, LIVES]


def launch_at(nodes, address, deployment):
    """A launch whose last step another node takes; the browser, and what came of it."""
    nodes.campus.tool.deployment_id = deployment
    browser = Browser()
    try:
        form = browser.prepare(nodes.campus, "BIO1", "zoe")
    finally:
        nodes.campus.tool.deployment_id = "d-1"
    form.action = f"{address}/lti/launch"
    launched = browser.submit(form)
    return browser, (launched.status, launched.error)


def test_deployments_are_accepted_and_withdrawn_on_all_nodes(nodes):
    addresses = (nodes.httpd.base_url, nodes.second.base_url)
    for address in addresses:
        assert launch_at(nodes, address, "d-asked")[1] == (403, "deployment-waiting")
    accept(nodes.httpd.store, "d-asked")
    for address in addresses:
        browser, outcome = launch_at(nodes, address, "d-asked")
        # The first request may come to a node whose memory is not as new as the database.
        assert outcome == (303, "") and [seen(browser, address) for address in addresses[::-1]] == [LIVES, LIVES]
    time.sleep(WITHIN)
    withdraw(nodes.httpd.store, "d-asked")
    began = time.monotonic()
    for address in addresses:
        wait_for(lambda address=address: seen(browser, address) == ENDED, f"the end at {address}", max(0.1, WITHIN - (time.monotonic() - began)))
        assert launch_at(nodes, address, "d-asked")[1] == (403, "deployment-withdrawn")


def test_a_new_launch_in_the_same_browser_replaces_the_ended_session(nodes):
    browser = nodes.launch("sam")
    end_sessions(nodes.httpd.store, USER_ID=nodes.campus.state.person("sam").id)
    wait_for(lambda: seen(browser, nodes.httpd.base_url) == ENDED, "the session to end", WITHIN)
    nodes.launch("sam", browser=browser)
    assert seen(browser, nodes.httpd.base_url) == LIVES


def test_another_course_of_the_same_browser_takes_over(nodes):
    """The newest session that is left counts, as with one that expired."""
    browser = nodes.launch("zoe", "HIS2")
    nodes.launch("zoe", "BIO1", browser=browser)
    key = nodes.echo(browser)["x-lti-course-key"]
    assert nodes.echo(browser)["x-lti-context-label"] == "BIO1"
    end_sessions(nodes.httpd.store, KEY=key)
    wait_for(lambda: nodes.echo(browser)["x-lti-context-label"] == "HIS2", "the other course", WITHIN)


def test_ended_session_is_nobody_on_public_pages_and_end_points(nodes):
    browser = nodes.launch("ada")
    assert "x-lti-name" in nodes.echo(browser, "/open/echo")
    end_sessions(nodes.httpd.store, USER_ID=nodes.campus.state.person("ada").id)
    wait_for(lambda: "x-lti-name" not in nodes.echo(browser, "/open/echo"), "the identity to be gone", WITHIN)
    for path in ("/lti/roster", "/lti/sync", "/cgi/class.cgi"):
        assert seen(browser, nodes.httpd.base_url, path) == ENDED, path


def test_ended_sessions_stay_ended_after_a_restart(nodes):
    """The first requests of all meet empty shared memory: the database answers."""
    browser, other = nodes.launch("sam"), nodes.launch("ada")
    end_sessions(nodes.httpd.store, USER_ID=nodes.campus.state.person("sam").id)
    for restart in (nodes.httpd.restart, nodes.httpd.graceful):
        restart()
        assert seen(browser, nodes.httpd.base_url) == ENDED
        assert seen(other, nodes.httpd.base_url) == LIVES


def test_keys_of_all_nodes_are_published_by_each(nodes):
    """Platforms fetch the key set from whichever node the load balancer chooses (SPEC Y-21)."""
    addresses = (nodes.httpd.base_url, nodes.second.base_url)
    first, second = (published(address)[0] for address in addresses)
    assert first != second
    for address, own in zip(addresses, (first, second)):
        wait_for(lambda address=address: set(published(address)) == {first, second}, f"both keys at {address}", WITHIN)
        assert published(address)[0] == own


def test_launch_that_begins_on_one_node_ends_on_the_other(nodes):
    browser = Browser()
    form = browser.prepare(nodes.campus, "BIO1", "zoe")
    kept = dict(browser.cookies)
    form.action = nodes.second.base_url + "/lti/launch"
    launched = browser.submit(form)
    assert launched.status == 303 and launched.location == nodes.url("/app/")
    assert [seen(browser, address) for address in (nodes.httpd.base_url, nodes.second.base_url)] == [LIVES, LIVES]
    browser.cookies.update(kept)
    form.action = nodes.url("/lti/launch")
    assert browser.submit(form).error == "nonce-used", "each node took the same launch"


def test_node_with_another_secret_is_named_in_the_log(nodes):
    known = nodes.httpd.store.execute("SELECT node FROM lti_node")
    stranger = Node(nodes)
    stranger.module_config = stranger.module_config.replace(f"LTISecretFile {nodes.httpd.root}/conf/secrets", "")
    for httpd in (nodes.httpd, nodes.second, stranger):
        httpd.expect_log(r"lti_sync:error.*LTI0311: node \S+ uses another secret than this node")
    try:
        stranger.start()
        for httpd in (nodes.httpd, nodes.second, stranger):
            httpd.wait_log("LTI0311", 5)
        browser = nodes.launch("zoe")
        assert seen(browser, stranger.base_url) == (401, "session-invalid")
    finally:
        stranger.close()
        own = ", ".join(f"'{node}'" for (node,) in known)
        nodes.httpd.store.execute(f"DELETE FROM lti_node WHERE node NOT IN ({own})")


# --- nobody can tell ------------------------------------------------------------------------------------------------------------------


def softened(stage):
    """With the application also at an address where the roster does not count, and a database that may fail."""
    place = '<Location "/soft">\n    AuthType LTI\n    Require valid-user\n    LTILiveRoster Off\n</Location>'
    stage.configure(pace="LTISync Off", extra=f'{place}\nProxyPass "/soft/" "http://127.0.0.1:{stage.httpd.app_port}/"')
    stage.httpd.allow_log(r"LTI0|AH0|\(dbd\)|dbd:error")
    return stage.start()


def test_without_memory_and_database_only_fresh_launches_are_served(make_stage):
    """Invariant 6; with a course and without one, and whatever the directory says of the roster."""
    if database.KIND != "sqlite3" or os.geteuid() != 0:
        pytest.skip("moves the directory of the SQLite file")
    stage = softened(make_stage())
    stage.campus.tamper_claims = lambda claims: {name: value for name, value in claims.items() if not name.endswith("/context")}
    browsers = [stage.launch("zoe")]
    stage.campus.tamper_claims = None
    browsers.append(stage.launch("ada"))
    folder = stage.httpd.root / "db"
    away = stage.httpd.root / "db-away"
    stage.httpd.stop()
    folder.rename(away)
    try:
        stage.httpd.start()
        paths = ("/app/echo", "/soft/echo")
        assert {seen(browser, stage.httpd.base_url, path) for browser in browsers for path in paths} == {LIVES}
        stage.httpd.set_clock(400)
        answers = [browser.get(stage.url(path)) for browser in browsers for path in paths]
        assert {(answer.status, answer.error, answer.header("Retry-After")) for answer in answers} == {(503, "roster-unavailable", "5")}
        assert "x-lti-name" not in stage.echo(browsers[0], "/open/echo")
    finally:
        away.rename(folder)
    wait_for(lambda: seen(browsers[0], stage.httpd.base_url) == LIVES, "the session to be served again", 15, 0.3)


def test_filled_memory_needs_no_database(make_stage):
    """It goes away: sessions go on, and those that were ended stay ended."""
    if database.KIND != "sqlite3" or os.geteuid() != 0:
        pytest.skip("moves the directory of the SQLite file")
    stage = softened(make_stage())
    zoe, ada = stage.launch("zoe"), stage.launch("ada")
    end_sessions(stage.httpd.store, USER_ID=stage.campus.state.person("zoe").id)
    wait_for(lambda: stage.status(zoe) == ENDED, "the session to end", WITHIN)
    folder, away = stage.httpd.root / "db", stage.httpd.root / "db-away"
    folder.rename(away)
    try:
        stage.httpd.set_clock(400)
        assert stage.status(zoe, "/soft/echo") == ENDED and stage.status(ada, "/soft/echo") == LIVES
    finally:
        away.rename(folder)


# --- lifetimes ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def timed(make_shared_stage):
    return make_shared_stage().configure(pace="LTISync Off\nLTISessionLifetime 3h\nLTISessionIdle 1h").start()


@pytest.fixture
def clock(timed):
    """Seconds since the test began, as far as the module knows; each test begins where the one before ended."""
    start = getattr(timed, "elapsed", 0)

    def set_to(seconds):
        timed.elapsed = start + seconds
        timed.httpd.set_clock(timed.elapsed)

    set_to(0)
    # The campus has the real time: its tokens are as old as the module's clock is ahead.
    timed.campus.tamper_claims = lambda claims: {**claims, "iat": claims["iat"] + timed.elapsed, "exp": claims["exp"] + timed.elapsed}
    yield set_to
    timed.elapsed += 1


def test_session_ends_when_it_is_not_used(timed, clock):
    browser = timed.launch("zoe")
    clock(HOUR - 60)
    assert timed.status(browser) == LIVES
    # Used, so that its time begins anew.
    clock(2 * HOUR - 180)
    assert timed.status(browser) == LIVES
    clock(3 * HOUR - 120)
    assert timed.status(browser) == (401, "session-expired")


def test_use_that_brings_no_new_cookie_does_not_count_for_long(timed, clock):
    """The cookie is renewed when an eighth of the idle time is over, not with each request."""
    browser = timed.launch("zoe")
    before = browser.named("lti_")
    clock(HOUR // 8 - 60)
    assert timed.status(browser) == LIVES and browser.named("lti_") == before
    clock(HOUR // 8 + 60)
    assert timed.status(browser) == LIVES and browser.named("lti_") != before
    assert list(browser.named("lti_")) == list(before)
    # The first cookie, kept by somebody, ends at its time.
    old = Browser()
    old.set_cookie(*next(iter(before.items())))
    clock(HOUR + 60)
    assert timed.status(old) == (401, "session-expired") and timed.status(browser) == LIVES


def test_session_ends_in_spite_of_use(timed, clock):
    """SPEC S-26: renewing never moves the absolute end."""
    browser = timed.launch("zoe")
    for minutes in range(30, 180, 30):
        clock(minutes * 60)
        assert timed.status(browser) == LIVES, minutes
    clock(3 * HOUR - 60)
    assert timed.status(browser) == LIVES
    clock(3 * HOUR + 1)
    assert timed.status(browser) == (401, "session-expired")
    timed.launch("zoe", browser=browser)
    assert timed.status(browser) == LIVES


def test_two_sessions_of_one_browser_end_each_at_its_time(timed, clock):
    browser = timed.launch("zoe", "BIO1")
    clock(HOUR // 2)
    timed.launch("zoe", "HIS2", browser=browser)
    assert timed.echo(browser)["x-lti-context-label"] == "HIS2"
    for minutes in range(60, 181, 25):
        clock(minutes * 60)
        assert timed.echo(browser)["x-lti-context-label"] == "HIS2"
    clock(3 * HOUR + HOUR // 2 + 1)
    assert timed.status(browser)[0] == 401


def test_signed_out_is_signed_out_of_all_courses(timed, clock):
    browser = timed.launch("zoe", "BIO1")
    timed.launch("zoe", "HIS2", browser=browser)
    assert len(browser.named("lti_")) == 2
    form = browser.get(timed.url("/lti/logout")).form()
    assert browser.submit(form).status == 200
    assert browser.named("lti_") == {} and timed.status(browser) == (401, "session-none")


# --- another secret, other keys -------------------------------------------------------------------------------------------------------


def test_secret_is_rotated_without_logging_anybody_out(make_stage):
    stage = make_stage()
    old, new = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
    line = f"LTISecretFile {secret_file(stage, old)}"
    stage.configure(pace=f"LTISync Off\n{line}").start()
    idle, at_work, strolling = stage.launch("zoe"), stage.launch("ada"), Browser()
    form = strolling.prepare(stage.campus, "BIO1", "sam")  # a launch that the reload comes between
    secret_file(stage, new, old)
    stage.httpd.graceful()
    assert stage.status(idle) == LIVES
    assert strolling.submit(form).status == 303 and stage.status(strolling) == LIVES
    # People at work get a cookie of the new secret in time.
    stage.httpd.set_clock(HOUR)
    before = at_work.named("lti_")
    assert stage.status(at_work) == LIVES and at_work.named("lti_") != before
    secret_file(stage, new)
    stage.httpd.graceful()
    assert stage.status(at_work) == LIVES and stage.status(strolling) == LIVES
    assert stage.status(idle) == (401, "session-invalid")


def test_key_is_rotated_while_both_are_published(make_stage):
    """As docs/operations.md says: the new one second, first, alone."""
    stage = make_stage()
    folder = stage.httpd.root / "conf"
    old, new = make_key(folder / "old.pem"), make_key(folder / "new.pem")
    usual = stage.httpd.module_config.replace("LTISyncInterval 2s", "LTISyncInterval 1h")

    def use(*files):
        stage.httpd.module_config = usual + "".join(f"\nLTIKeyFile {file}" for file in files)

    use(old)
    stage.start()
    ada = stage.launch("ada")
    stage.wait_roster(ada)
    (first,) = published(stage.httpd.base_url)
    use(old, new)
    stage.httpd.graceful()
    both = published(stage.httpd.base_url)
    assert both[0] == first and len(both) == 2
    stage.sync_now(ada)
    assert signing_kid(stage.campus) == first
    use(new, old)
    stage.httpd.graceful()
    assert published(stage.httpd.base_url) == both[::-1]
    stage.httpd.store.execute("DELETE FROM lti_token")  # one that was given for the old key's signature would do
    stage.sync_now(ada)
    assert signing_kid(stage.campus) == both[1]
    use(new)
    stage.httpd.graceful()
    wait_for(lambda: published(stage.httpd.base_url) == [both[1]], "the old key to be gone", WITHIN)
    assert stage.status(ada) == LIVES
