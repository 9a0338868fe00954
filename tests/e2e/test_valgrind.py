# SPDX-License-Identifier: Apache-2.0
"""A short run of httpd under valgrind's memcheck: logins, launches, requests, rosters, refusals. Nothing is read that was not written, nothing beyond its end."""
import re
import shutil
import threading

import client
import pytest
from client import Browser
from stage import QUIET
from test_bad_input import TOKENS

MEMCHECK = ["valgrind", "--error-exitcode=9", "--leak-check=no", "--vgdb=no", "--child-silent-after-fork=yes", "--num-callers=24"]
# Only where our module is among the callers: others have their own tests.
OURS = re.compile(r"(?:by|at) 0x[0-9A-F]+: (?:mod_lti|lti_)\w+|mod_lti_sync\.so")


def complaints(text):
    """The reports of memcheck that name our module."""
    blocks, block = [], []
    for line in text.splitlines():
        body = re.sub(r"^==\d+== ?", "", line)
        if line.startswith("==") and body.strip():
            block.append(body)
        elif block:
            blocks.append("\n".join(block))
            block = []
    if block:
        blocks.append("\n".join(block))
    wrong = re.compile(r"^(Invalid|Conditional jump|Use of uninit|Syscall param|Source and destination|Mismatched|Jump to the invalid|Process terminating)")
    return [each for each in blocks if wrong.match(each) and OURS.search(each)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not here")
def test_nothing_is_read_that_was_not_written(make_stage, monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT", 90)
    stage = make_stage().configure(pace=QUIET)
    stage.started = True
    stage.campus.start()
    threading.Thread(target=stage.application.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    log = stage.httpd.root / "logs/valgrind.log"
    process = stage.httpd.start_under(*MEMCHECK, f"--log-file={log}")
    # What takes long under valgrind may take too long for others: that is not what is tested here.
    stage.httpd.allow_log(r"lti_sync:(warn|error)|proxy|cgid|reqtimeout|watchdog|core:")
    try:
        people = [stage.launch(person, course, link) for person, course, link in (("zoe", "BIO1", "proxied"), ("ada", "BIO1", "cgi"), ("rosa", "HIS2", "proxied"))]
        for browser in people:
            assert stage.echo(browser)["x-lti-user-id"]
            assert browser.get(stage.url("/app/echo?page=2")).status == 200
        stage.campus.keys.alg = "ES256"
        stage.launch("sam")
        stage.campus.keys.alg = "RS256"
        stage.wait_roster(people[0], timeout=60)
        assert stage.members(stage.echo(people[0])["x-lti-course-key"])
        assert people[1].get(stage.url("/lti/jwks")).status == 200
        for name, (make, codes) in TOKENS.items():
            stage.campus.make_token = lambda claims, make=make: make(stage.campus.keys, claims)
            refused = Browser().launch(stage.campus, "BIO1", "zoe", check=False).launch
            assert refused.error in codes, (name, refused)
        stage.campus.make_token = None
        for path in ("/lti/launch", "/lti/login", "/lti/login?iss=%ff", "/app/echo", "/lti/roster?course=x", "/lti/none"):
            assert 400 <= Browser().get(stage.url(path)).status < 500
        assert Browser().get(stage.url("/app/echo"), {"Cookie": "lti_AAAAAAAAAAAAAAAA=1.5f.AAAA; lti_x; ;=;"}).status == 401
        assert Browser().post(stage.url("/lti/launch"), body=b"state=%zz&&id_token").status == 400
    finally:
        stage.httpd.stop(at_once=True)
        process.wait(60)
    text = log.read_text()
    assert not complaints(text), "\n\n".join(complaints(text))
    assert "ERROR SUMMARY" in text, text[-2000:]
