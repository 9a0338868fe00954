# SPDX-License-Identifier: Apache-2.0
"""Several httpds that serve one site: they share the database, publish the keys of all, and tell when their secrets differ (SPEC Y-21, Invariant 11)."""
import shutil
import time

import pytest
from client import Browser
from httpd import wait_for
from statements import accept, end_sessions, withdraw

TWO_SECONDS = 2.0


@pytest.fixture(scope="module")
def nodes(make_shared_stage):
    """Two nodes on one machine; each made its own signing key and, so far, its own secret."""
    first, second = make_shared_stage(), make_shared_stage()
    for stage in (first, second):
        stage.configure(pace="LTISync Off", platform=stage.httpd.platform_block(LTIDeployment="ask"), database=first.httpd.database)
        stage.httpd.expect_log(r"LTI0311: node .* uses another secret than this node .* Copy one LTISecretFile")
        stage.start()
        stage.first_kids = kids(stage)
        wait_for(lambda: rows(first), "the first node to tell of itself")
    return first, second


def kids(stage):
    return [key["kid"] for key in Browser().get(stage.url("/lti/jwks")).json()["keys"]]


def rows(stage):
    return {row[0]: (row[1], row[2], int(row[3])) for row in stage.httpd.store.execute("SELECT node, fingerprint, jwks, seen_at FROM lti_node")}


def complaints(stage):
    return [line for line in stage.httpd.log_lines() if "LTI0311" in line]


def test_each_serves_the_keys_of_all(nodes):
    """SPEC Y-21, on several nodes."""
    first, second = nodes
    assert len(first.first_kids) == 1 and len(second.first_kids) == 2, "complete from a node's first answer on: platforms keep what they get"
    wait_for(lambda: len(kids(first)) == len(kids(second)) == 2, "the keys of both", 10)
    assert set(kids(first)) == set(kids(second)) and kids(first)[0] != kids(second)[0], "the own one first"
    for key in Browser().get(first.url("/lti/jwks")).json()["keys"]:
        assert key["use"] == "sig" and not {"d", "p", "q"} & set(key)
    assert len(rows(first)) == 2, "two httpds of one machine are two nodes"


def test_different_secrets_are_told_once_and_it_ends_when_one_was_copied(nodes):
    first, second = nodes
    for stage in nodes:
        stage.httpd.wait_log("LTI0311")
    assert all(len(fingerprint) == 16 for fingerprint, _, _ in rows(first).values())
    before = [len(complaints(stage)) for stage in nodes]
    assert before == [1, 1]
    shutil.copy(first.httpd.root / "state/secret", second.httpd.root / "state/secret")
    names = set(rows(first))
    second.httpd.graceful()
    wait_for(lambda: len({row[0] for row in rows(first).values()}) == 1, "one fingerprint", 10)
    assert set(rows(first)) == names, "a node keeps its name over a reload"
    second.httpd.restart()
    wait_for(lambda: len(kids(second)) == 2, "the keys of both", 10)
    assert set(rows(first)) == names, "and over a restart"
    time.sleep(1.2)
    assert [len(complaints(stage)) for stage in nodes] == before


def test_what_is_decided_holds_on_all_within_two_seconds(nodes):
    first, second = nodes
    for stage in nodes:
        stage.campus.tool.deployment_id = "shared"
    assert Browser().launch(first.campus, "BIO1", "ada", check=False).launch.error == "deployment-waiting"
    accept(first.httpd.store, "shared")
    browsers = [(stage, stage.launch("ada")) for stage in nodes]
    for stage, browser in browsers:
        assert stage.status(browser)[0] == 200
    end_sessions(first.httpd.store, DEPLOYMENT="shared")
    over = time.monotonic() + TWO_SECONDS
    for stage, browser in browsers:
        wait_for(lambda: stage.status(browser) == (401, "session-ended"), "the session to end", max(0.1, over - time.monotonic()))
    browsers = [(stage, stage.launch("ada")) for stage in nodes]
    withdraw(first.httpd.store, "shared")
    over = time.monotonic() + TWO_SECONDS
    for stage, browser in browsers:
        wait_for(lambda: stage.status(browser) == (401, "session-ended"), "the session to end", max(0.1, over - time.monotonic()))
    for stage in nodes:
        assert Browser().launch(stage.campus, "BIO1", "ada", check=False).launch.error == "deployment-withdrawn"
