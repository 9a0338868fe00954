# SPDX-License-Identifier: Apache-2.0
"""Issue 5, point 8: the program ltictl against a real httpd: every command, its tables, its JSON, its questions, its exit status; and against a server that lies to it."""
import base64
import csv
import fcntl
import hashlib
import io
import json
import os
import pty
import re
import ssl
import struct
import subprocess
import termios
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from httpd import MODULES, find_module, free_port, wait_for
from secure import Authority
from stage import QUIET
from test_status import OPEN, deployment, try_deployment

OK, FAILED, USAGE, OUTSIDE = 0, 1, 2, 3
ACCENT = "\u00c5se \u6797 e\u0301"
HOSTILE = "x\x1b[2J\x9b31m\u202egnp\n\t\x07\x7fy"


def program():
    given = os.environ.get("LTI_CTL")
    return Path(given) if given else find_module().parent.parent / "ltictl"


def surroundings(**more):
    kept = {name: value for name, value in os.environ.items() if name not in ("LTICTL_URL", "NO_COLOR", "http_proxy", "HTTP_PROXY")}
    return {**kept, "TERM": "xterm", **more}


def call(url, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **environment):
    command = [program(), *(["--url", url] if url else []), *arguments]
    return subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False, env=surroundings(**environment))


def told(url, *arguments, code=OK, **environment):
    """What it prints on standard output, which must be all if it succeeds, and on standard error."""
    done = call(url, *arguments, **environment)
    assert done.returncode == code, done
    assert code != OK or "--yes" in arguments or not done.stderr, done
    return done.stdout.decode() if code == OK else done.stderr.decode()


def as_json(url, *arguments, code=OK):
    done = call(url, *arguments, "--json")
    assert done.returncode == code, done
    assert done.stdout.isascii(), "nothing in it can steer a terminal"
    return json.loads(done.stdout)


def on_terminal(url, *arguments, width=100, answers=(), **environment):
    """On a terminal of that width: (exit status, all that came). `answers`: (what is waited for, what is typed then)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen([program(), "--url", url, *arguments], stdin=slave, stdout=slave, stderr=slave, env=surroundings(**environment), start_new_session=True)
    os.close(slave)
    seen, answers = b"", list(answers)
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data
        if answers and answers[0][0].encode() in seen:
            os.write(master, answers.pop(0)[1].encode())
    os.close(master)
    return process.wait(30), seen.decode()


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", text).replace("\r\n", "\n")


def columns_of(line):
    """How wide it is; the tests' own names have wide and combining letters."""
    return sum(0 if character == "\u0301" else 2 if "\u2e80" <= character <= "\uffdc" or character >= "\U0001f300" else 1 for character in line)


@pytest.fixture(scope="module")
def site(make_shared_stage):
    """Two courses, one of 400 people whose list comes in pages; a platform that is not there; a second way in with a password; places that are something else."""
    stage = make_shared_stage()
    state, httpd = stage.campus.state, stage.httpd
    for number in range(400):
        state.enrol("HIS2", state.add_person(f"s{number:04}", "Student", f"Number {number:04}"), "learner")
    for number, (given, family) in enumerate([("=HYPERLINK(1)", ""), ("+1", "-2"), ('say "hi"', "a,b"), (ACCENT, ""), ("\u06a9\u200c\u06a9", "")]):
        state.enrol("BIO1", state.add_person(f"odd{number}", given, family), "learner")
    stage.campus.page_cap = 100
    gone = free_port()
    away = f"""<LTIPlatform "away">
    LTIIssuer http://localhost:{gone}
    LTIClientID nobody
    LTIAuthorizationEndpoint http://localhost:{gone}/auth
    LTITokenEndpoint http://localhost:{gone}/token
    LTIKeySet http://localhost:{gone}/jwks
</LTIPlatform>"""
    users = httpd.root / "conf/users"
    users.write_text(f"anna:{{SHA}}{base64.b64encode(hashlib.sha1(b'secret word').digest()).decode()}\n")
    load = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in ("auth_basic", "authn_file"))
    service = f"""<VirtualHost 127.0.0.1:SERVICE_PORT>
    ServerName http://127.0.0.1:SERVICE_PORT
    <Location "/lti/roster">
        LTIRosterAccess all
        Require local
    </Location>
    <Location "/lti/status">
        LTIAdmin On
        AuthType Basic
        AuthName status
        AuthBasicProvider file
        AuthUserFile {users}
        Require valid-user
    </Location>
</VirtualHost>"""
    extra = OPEN.replace("(status|metrics)", "status") + '\n<Location "/closed">\n    Require all denied\n</Location>\nRedirect "/moved" "/lti/status"\nRedirect 503 "/broken"'
    stage.configure(pace=QUIET, extra=load + extra, service=service, platform=httpd.platform_block(LTIDeployment="ask " + stage.campus.tool.deployment_id) + "\n" + away)
    httpd.put("page.html", "<p>something else</p>")
    httpd.put("list.json", "[1, 2]")
    httpd.put("other.json", '{"health": 3, "weather": "fine"}')
    stage.start()
    for line in (r"AH01630", r"AH01617|AH01618", r"refused with admin-off"):
        httpd.allow_log(line)
    stage.ada, stage.rosa = stage.launch("ada"), stage.launch("rosa", "HIS2")
    stage.key = stage.wait_roster(stage.ada)
    stage.big = stage.wait_roster(stage.rosa, "HIS2")
    stage.status_url = stage.url("/lti/status")
    stage.basic_url = httpd.roster_url.replace("roster", "status")
    stage.secret = httpd.root / "conf/secret"
    stage.secret.write_text("secret word\nnot this line\n")
    return stage


# --- looking ----------------------------------------------------------------------------------------------------------------------------


def test_status(site):
    text = told(site.status_url, "status")
    assert re.match(r"(well|note|warning|error): .+\n\ncurrent\t2\n", text), text
    answer = as_json(site.status_url, "status")
    assert answer["health"]["sentence"] in text and "action_token" not in answer, "what acts is not printed"
    assert f"{answer['health']['people']} people" in text
    for problem in answer["problems"]:
        assert problem["diagnosis"]["sentence"] in text and all(step in text for step in problem["diagnosis"]["remedy"])


def test_platforms(site):
    rows = [line.split("\t") for line in told(site.status_url, "platforms").splitlines()]
    answer = as_json(site.status_url, "platforms")["platforms"]
    assert sorted(row[0] for row in rows) == ["away", "campus"] == sorted(platform["platform"] for platform in answer)
    campus = next(row for row in rows if row[0] == "campus")
    assert campus[2] == "2" and campus[6] == next(platform for platform in answer if platform["platform"] == "campus")["diagnosis"]["state"]


def test_courses(site):
    rows = {row[0]: row for row in (line.split("\t") for line in told(site.status_url, "courses").splitlines())}
    assert set(rows) == {site.key, site.big} == {row["course"] for row in as_json(site.status_url, "courses")}
    assert rows[site.key][1:5] == ["Biology I: Cells & Tissues", "campus", "current", str(len(site.enrolled()))]
    assert told(site.status_url, "courses", "--search", "cells").startswith(site.key + "\t")
    assert [row["course"] for row in as_json(site.status_url, "courses", "--order=people")] == [site.big, site.key]
    assert told(site.status_url, "courses", "--state", "held") == "" == told(site.status_url, "courses", "--platform", "away")
    assert "parameter-invalid" in told(site.status_url, "courses", "--state", "nonsense", code=FAILED)


@pytest.mark.parametrize("name", ["Biology I: Cells & Tissues", "biology i: cells & tissues", "BIO1", "bio1", "Cells", "KEY"])
def test_course_by_key_and_by_name(site, name):
    text = told(site.status_url, "course", site.key if name == "KEY" else name)
    course = as_json(site.status_url, "course", site.key)
    assert course["course"] == site.key and f"course {site.key} of platform campus" in text
    assert course["diagnosis"]["sentence"] in text and f"{course['active']} people" in text
    assert re.search(r"^read \d+ s ago; next in \d+ \w+$", text, re.M), text
    assert text.rstrip().splitlines()[-1].endswith("\twell"), "the runs"


def test_course_that_several_are_or_none_is(site):
    text = told(site.status_url, "course", "I", code=FAILED)
    assert "several courses are called so" in text and site.key in text and site.big in text
    assert "no course is called Chemistry" in told(site.status_url, "roster", "Chemistry", code=FAILED)
    assert "no course is called aaaaaaaaaaaaaaaa" in told(site.status_url, "sync", "aaaaaaaaaaaaaaaa", code=FAILED)


def test_roster(site):
    rows = [line.split("\t") for line in told(site.status_url, "roster", site.big).splitlines()]
    assert {row[0] for row in rows} == site.enrolled("HIS2") and len(rows) == len(site.enrolled("HIS2")), "of all pages, each once"
    people = as_json(site.status_url, "roster", "bio1")
    assert {person["user_id"] for person in people} == site.enrolled()
    ada = next(person for person in people if person["user_id"] == site.campus.state.person("ada").id)
    assert ada["role"] == "instructor" and ada["launched_at"]


def test_on_a_terminal_columns_stand_below_each_other(site):
    code, text = on_terminal(site.status_url, "roster", site.key, width=120)
    assert code == OK and text.startswith("\x1b[1m"), "the head is bold"
    lines = plain(text).splitlines()
    head, at = lines[0], lines[0].index("role")
    assert head.split() == ["user", "id", "name", "role", "status", "joined", "last", "launch"]
    for line in lines[1:]:
        before = re.split(r"  (?=learner|instructor|teaching)", line)[0]
        assert columns_of(before) + 2 == at, line
    assert any(ACCENT in line for line in lines)
    code, text = on_terminal(site.status_url, "courses", width=80)
    lines = plain(text).splitlines()
    assert code == OK and max(map(columns_of, lines)) <= 80 and "\u2026" in text, lines
    assert {line.split()[0] for line in lines[1:]} == {site.key, site.big}, "a key is never cut"
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(site.status_url, "courses", **more)[1]


# --- update now ---------------------------------------------------------------------------------------------------------------------------


def test_sync(site):
    asked = len(site.campus.requests("nrps"))
    assert told(site.status_url, "sync", "bio1") == f"asked for; ltictl course {site.key} tells how it went\n"
    wait_for(lambda: len(site.campus.requests("nrps")) > asked, "the platform to be asked")
    site.campus.state.enrol("BIO1", site.campus.state.add_person("late", "Late", "Comer"), "learner")
    number = len(site.enrolled())
    assert told(site.status_url, "sync", site.key, "--wait") == f"updated: {number} people listed; 1 joined, 0 changed, 0 left, 0 returned\n"
    outcome = as_json(site.status_url, "sync", site.key, "--wait")
    assert outcome["state"] == "applied" and outcome["members"] == number
    assert as_json(site.status_url, "sync", site.key)["outcome"] == "done"


def test_sync_tells_how_far_it_is(site):
    site.campus.faults["nrps"] = {"slow": 0.5}
    try:
        code, text = on_terminal(site.status_url, "sync", "HIS2", "--wait")
    finally:
        site.campus.faults.clear()
    pages = [(int(page), int(people)) for page, people in re.findall(r"\r\x1b\[Kreading: (\d+) pages, (\d+) people", text)]
    assert code == OK and len({page for page, _ in pages}) >= 2 and pages == sorted(pages), text
    number = len(site.enrolled("HIS2"))
    assert text.endswith(f"\r\x1b[Kupdated: {number} people listed; 0 joined, 0 changed, 0 left, 0 returned\r\n"), text


def test_sync_that_fails(site):
    site.campus.faults["nrps"] = {"status": 403}
    site.httpd.allow_log("roster-forbidden")
    try:
        done = call(site.status_url, "sync", "HIS2", "--wait")
        assert done.returncode == FAILED and done.stdout.startswith(b"failed: roster-forbidden"), done
        assert as_json(site.status_url, "sync", "HIS2", "--wait", code=FAILED)["error"] == "roster-forbidden"
        assert "PROBLEM" in told(site.status_url, "course", "HIS2") or "warning" in told(site.status_url, "course", "HIS2")
    finally:
        site.campus.faults.clear()
    assert told(site.status_url, "sync", "HIS2", "--wait").startswith("updated:")


# --- what takes something away --------------------------------------------------------------------------------------------------------------


def hold(site, begin, end):
    site.httpd.allow_log(r"LTI0302.*roster-held")
    for number in range(begin, end):
        site.campus.state.drop("HIS2", f"s{number:04}")
    done = call(site.status_url, "sync", site.big, "--wait")
    assert done.returncode == FAILED and done.stdout == f"held: {end - begin} people would be removed at once; ltictl accept shows whom\n".encode(), done


def test_accept(site):
    assert "nothing is held" in told(site.status_url, "accept", "HIS2", code=FAILED)
    hold(site, 0, 300)
    assert "add --yes" in told(site.status_url, "accept", "HIS2", code=USAGE)
    code, text = on_terminal(site.status_url, "accept", "HIS2", answers=[("[y/N] ", "n\n")])
    assert code == FAILED and "300 people would be removed" in text and "Student Number 0" in text and "and 280 more" in text and "nothing was done" in text
    assert len(site.members(site.big)) > 300
    code, text = on_terminal(site.status_url, "accept", "HIS2", answers=[("[y/N] ", "y\n")])
    assert code == OK and "accepted" in text, text
    wait_for(lambda: set(site.members(site.big)) == site.enrolled("HIS2"), "those who are missing to be removed", 8)
    assert site.status(site.rosa)[0] == 200
    hold(site, 300, 395)
    assert as_json(site.status_url, "accept", "HIS2", "--yes")["outcome"] == "done"
    wait_for(lambda: set(site.members(site.big)) == site.enrolled("HIS2"), "those who are missing to be removed", 8)


def is_out(site, browser):
    wait_for(lambda: site.status(browser) == (401, "session-ended"), "the session to end", 2.5)
    return True


def test_end_sessions(site):
    zoe, bobby = site.launch("zoe"), site.launch("bobby")
    person = site.campus.state.person("zoe").id
    assert "add --yes" in told(site.status_url, "end-sessions", "bio1", code=USAGE)
    code, text = on_terminal(site.status_url, "end-sessions", "bio1", "--person", person, answers=[("[y/N] ", "\n")])
    assert code == FAILED and person in text and site.status(zoe)[0] == 200
    code, text = on_terminal(site.status_url, "end-sessions", "bio1", "--person", person, answers=[("[y/N] ", "y\n")])
    assert code == OK and is_out(site, zoe) and site.status(bobby)[0] == 200
    assert "ended" in told(site.status_url, "end-sessions", "bio1", "--yes") and is_out(site, bobby)
    assert site.status(site.rosa)[0] == 200, "of another course"
    site.ada = site.launch("ada")


def test_deployments(site):
    name = "--d 9"
    assert try_deployment(site, name).steps.launch.error == "deployment-waiting"
    rows = [line.split("\t")[:3] for line in told(site.status_url, "deployments").splitlines()]
    assert ["campus", "--d 9", "waiting"] in rows, rows
    assert "accepted" in told(site.status_url, "deployments", "accept", "campus", "--", name)
    browser = try_deployment(site, name)
    assert browser.steps.launch.status == 303 and deployment(site, name) == "accepted"
    assert "withdrawn" in told(site.status_url, "deployments", "withdraw", "campus", "--", name)
    assert is_out(site, browser) and deployment(site, name) == "withdrawn"
    assert "parameter-invalid" in told(site.status_url, "deployments", "accept", "nowhere", "x", code=FAILED)
    assert {row["platform"] for row in as_json(site.status_url, "deployments")["platforms"]} == {"campus", "away"}


# --- examination ---------------------------------------------------------------------------------------------------------------------------


def test_doctor(site):
    lines = told(site.status_url, "doctor", "campus").splitlines()
    assert len(lines) == 8 and all(line.startswith("ok      ") for line in lines), lines
    code, text = on_terminal(site.status_url, "doctor", "away")
    assert code == FAILED and re.match(r"\x1b\[31mFAIL   \x1b\[0m ", text) and re.search(r"^        1\. ", plain(text), re.M) and "skipped" in text, text
    assert "not-found" in told(site.status_url, "doctor", "nowhere", code=FAILED)


def test_doctor_for_scripts(site):
    report = {}

    def examined():
        done = call(site.status_url, "doctor", "away", "--json")
        report.update(json.loads(done.stdout or b"{}"))
        return done.returncode == FAILED and report

    wait_for(examined, "a place", 12, 0.5)
    assert report["passed"] is False and report["steps"][0]["result"] == "fail"


# --- export ---------------------------------------------------------------------------------------------------------------------------------


def test_export(site):
    raw = call(site.status_url, "export", site.key, "--csv")
    assert raw.returncode == OK and not raw.stderr and raw.stdout.count(b"\n") == raw.stdout.count(b"\r\n"), "RFC 4180 ends lines with CRLF"
    head, *rows = list(csv.reader(io.StringIO(raw.stdout.decode(), newline=""), strict=True))
    assert head == ["user_id", "name", "email", "sourcedid", "role", "roles", "status", "joined_at", "status_at", "launched_at"]
    assert all(len(row) == len(head) for row in rows) and {row[0] for row in rows} == site.enrolled()
    names = {row[3]: row[1] for row in rows}
    assert names["SIS-odd0"].startswith("'=HYPERLINK(1)") and names["SIS-odd1"].startswith("'+1"), "no formula for a spreadsheet"
    assert names["SIS-odd2"] == 'say "hi" a,b' and names["SIS-odd3"].startswith(ACCENT)
    assert "\u200c" in names["SIS-odd4"], "a mark that belongs to the name"
    exact = list(csv.reader(io.StringIO(told(site.status_url, "export", site.key, "--csv", "--raw"), newline="")))
    assert {row[3]: row[1] for row in exact[1:]}["SIS-odd0"].startswith("=HYPERLINK(1)")


# --- who is not let in ----------------------------------------------------------------------------------------------------------------------


def test_by_password(site):
    assert "give --user NAME" in told(site.basic_url, "status", code=OUTSIDE)
    options = ("--user", "anna", "--password-file", str(site.secret))
    assert "current\t2" in told(site.basic_url, *options, "status")
    assert told(site.basic_url, *options, "sync", site.key, "--wait").startswith("updated:"), "the password goes along when it is followed"
    wait_for(lambda: [line for line in site.httpd.log_lines() if "who=anna" in line and "action=sync" in line], "the audit to name her")
    wrong = site.httpd.root / "conf/wrong"
    wrong.write_text("guess\n")
    assert "HTTP 401" in told(site.basic_url, "--user", "anna", "--password-file", str(wrong), "status", code=OUTSIDE)
    code, text = on_terminal(site.basic_url, "--user", "anna", "platforms", answers=[("Password: ", "secret word\n")])
    assert code == OK and "campus" in text and "secret" not in text, "it is not shown"
    assert "no terminal" in told(site.basic_url, "--user", "anna", "status", code=USAGE)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/closed", "look at the Require lines"),
        ("/lti/metrics", "admin-off"),
        ("/moved", "leads elsewhere (HTTP 302, http://localhost"),
        ("/nothing/here", "there is no status page at http"),
        ("/page.html", "is not the status page of mod_lti_sync"),
        ("/list.json", "is not the status page of mod_lti_sync"),
        ("/other.json", "is not the status page of mod_lti_sync"),
        ("/broken", "HTTP 503"),
    ],
)
def test_not_the_page(site, path, words):
    for command in (["courses"], ["sync", "x"], ["platforms"]):
        text = told(site.url(path), *command, code=OUTSIDE)
        assert text.startswith("ltictl: ") and text.count("\n") == 1 and words in text, text


def test_nobody_there(site):
    url = f"http://localhost:{free_port()}/lti/status"
    assert "is httpd running" in told(url, "status", code=OUTSIDE)
    assert "is httpd running" in told(None, "status", code=OUTSIDE, LTICTL_URL=url)
    assert "current\t2" in told(None, "status", LTICTL_URL=site.status_url)
    assert "cannot be reached" in told("gopher://localhost/", "status", code=OUTSIDE)


def test_a_password_does_not_leave_the_machine_in_clear(site):
    assert "use https" in told("http://tools.example/lti/status", "--user", "a", "--password-file", str(site.secret), "status", code=USAGE)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["explode"],
        ["status", "now"],
        ["course"],
        ["course", "a", "b"],
        ["status", "--explode"],
        ["status", "-x"],
        ["status", "--wait"],
        ["courses", "--person", "x"],
        ["roster", "bio1", "--yes"],
        ["courses", "--search"],
        ["--json=1", "status"],
        ["deployments", "accept"],
        ["deployments", "explode", "campus", "x"],
        ["export", "bio1"],
        ["export", "bio1", "--csv", "--json"],
        ["--password-file", "/nowhere", "status"],
        ["--user", "a", "--password-file", "/nowhere", "status"],
        ["help", "explode"],
    ],
)
def test_wrong_words(site, arguments):
    assert told(site.status_url, *arguments, code=USAGE).strip()


def test_help(site):
    assert "usage: ltictl" in told(None, "help") == told(None, "--help") == told(None, "-h")
    for name in re.findall(r"^  (\S+) ", told(None, "help"), re.M):
        assert told(None, "help", name).startswith(f"usage: ltictl {name}") and told(None, name, "--help") == told(None, "help", name)


def test_a_full_disk_is_told(site):
    with open("/dev/full", "wb") as full:
        done = call(site.status_url, "roster", "HIS2", stdout=full)
    assert done.returncode == FAILED and b"cannot be written" in done.stderr, done


# --- a server that lies -----------------------------------------------------------------------------------------------------------------------

D = {"state": HOSTILE, "severity": 2, "sentence": HOSTILE, "evidence": HOSTILE, "remedy": [HOSTILE]}
C = {
    "course": HOSTILE, "title": HOSTILE, "label": HOSTILE, "platform": HOSTILE, "context_id": HOSTILE, "deployment": HOSTILE, "state": HOSTILE,
    "active": 1, "roles": {HOSTILE: 1}, "age": 1, "due_in": 1, "diagnosis": D,
}  # fmt: skip
LIE = {
    **C,
    "health": {"state": HOSTILE, "sentence": HOSTILE, "states": {HOSTILE: 1}},
    "problems": [{"title": HOSTILE, "course": HOSTILE, "diagnosis": D}, {"title": HOSTILE, "course": None, "diagnosis": D}],
    "platforms": [{"platform": HOSTILE, "family": HOSTILE, "diagnosis": D, "deployments": [{"deployment": HOSTILE, "status": HOSTILE, "seen_at": HOSTILE, "context_title": HOSTILE}]}],
    "courses": {"total": 2, "rows": [C, C]},
    "runs": [{"started_at": HOSTILE, "error": HOSTILE, "error_text": HOSTILE}],
    "people": {"rows": [{"user_id": HOSTILE, "name": HOSTILE, "role": HOSTILE, "status": HOSTILE}], "next": None},
    "held": {"missing": 1, "since": HOSTILE},
    "held_people": [{"user_id": HOSTILE, "name": HOSTILE}],
    "steps": [{"title": HOSTILE, "result": "fail", "found": HOSTILE, "remedy": [HOSTILE]}],
    "request": {"state": "failed", "error": HOSTILE, "error_text": HOSTILE, "advice": HOSTILE},
    "outcome": "done",
    "action_token": "x",
}


class Liar(BaseHTTPRequestHandler):
    def log_message(self, format, *arguments):
        pass

    def do_GET(self):
        answer = json.loads(json.dumps(LIE))
        if "search=one" in self.path:
            answer["courses"]["rows"].pop()
        body = json.dumps(answer).encode()
        self.send_response(202 if self.command == "POST" else 403 if self.path.startswith("/refused") else 302 if self.path.startswith("/moved") else 200)
        if self.path.startswith("/refused"):
            self.send_header("X-LTI-Error", "x\x1b[2J\x9b")
        self.send_header("Location", "http://elsewhere.example/x\x1b[2J" if self.path.startswith("/moved") else "?course=x")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()


@pytest.fixture(scope="module")
def liar():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


STEERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"], ["platforms"], ["courses"], ["course", "one"], ["course", "two"], ["roster", "one"], ["sync", "one"], ["sync", "one", "--wait"], ["doctor", "x"],
        ["accept", "one", "--yes"], ["accept", "one"], ["deployments"], ["end-sessions", "one", "--person", HOSTILE], ["export", "one", "--csv"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_nothing_from_outside_steers_the_terminal(liar, arguments):
    code, text = on_terminal(liar + "/lti/status", *arguments, answers=[("[y/N] ", "n\n")], NO_COLOR="1")
    rest = text.replace("\r\x1b[K", "")
    assert code in (OK, FAILED) and rest, text
    assert not STEERS.search(rest) and "gnp" in rest, ascii(text)
    if arguments[0] in ("courses", "roster", "platforms", "deployments"):
        assert rest.count("\n") == (3 if arguments[0] == "courses" else 2), "a line is a row"


def test_https_with_certificates_of_ones_own(tmp_path):
    authority = Authority(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.chain, authority.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    url = f"https://localhost:{server.server_address[1]}/lti/status"
    try:
        assert "cannot be reached" in told(url, "platforms", code=OUTSIDE), "nobody vouches for it"
        assert told(url, "--cacert", str(authority.ca), "platforms")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", ["/refused", "/moved"])
def test_nor_a_header(liar, path):
    code, text = on_terminal(liar + path, "status")
    assert code == OUTSIDE and not STEERS.search(text) and "[2J" in text, ascii(text)
