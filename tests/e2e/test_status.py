# SPDX-License-Identifier: Apache-2.0
"""Issue 5, points 1 and 4: the status page: who may see it, what is on it, its JSON, its buttons, what protects them, the audit. With LTI_SCREENSHOTS=DIR, pictures."""
import base64
import hashlib
import json
import re
import time
import urllib.parse

import pytest
from client import Browser
from httpd import MODULES, ROOT, wait_for
from page_facts import HTML, Facts, look
from stage import QUIET

STATUS = "/lti/status"
JSON = ("Accept", "application/json")
OPEN = '<LocationMatch "^/lti/(status|metrics)$">\n    LTIAdmin On\n    Require local\n</LocationMatch>'
SERVICE = """<VirtualHost 127.0.0.1:SERVICE_PORT>
    ServerName http://127.0.0.1:SERVICE_PORT
    ServerAlias tools.example *.tools.example *
    <Location "/lti/roster">
        LTIRosterAccess all
        Require local
    </Location>
    <Location "/lti/status">
        LTIAdmin On
        Require local
    </Location>
</VirtualHost>
"""
COURSES = 120
HOSTILE = [
    "<script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "\" onmouseover=\"document.title='taken'\" x=\"",
    "W" * 300,
    "\u202eevil\u202d ]]> --> <!-- ",
]


def sql(text):
    return "'" + text.replace("'", "''") + "'"


def add_courses(stage, rows):
    """Courses as if they had been launched and fetched: (key, title, label, platform, state, active, failures)."""
    now = int(time.time() * 1_000_000)
    contexts, syncs = [], []
    for number, (key, title, label, platform, state, active, failures) in enumerate(rows):
        nrps_url = "NULL" if key == "zz0001" else sql(f"{stage.campus.issuer}/nrps/{key}")
        contexts.append(
            f"({sql(key)}, {sql(platform)}, {sql(stage.campus.issuer)}, 'client', 'd-1', {sql('ctx-' + key)}, {sql(label)}, {sql(title)}, {sql(title.lower()[:100])}, {now}, {nrps_url})"
        )
        syncs.append(
            f"({sql(key)}, {state}, 1, {number + 1000}, {active}, {now - (number + 60) * 1_000_000}, {now + 7_200_000_000}, {now + (number + 1800) * 1_000_000}, {failures}, 0, 0, 0, 0, 0)"
        )
    store = stage.httpd.store
    store.execute(
        "INSERT INTO lti_context (course_key, platform, issuer, client_id, deployment_id, context_id, label, title, sort_name, launched_at, nrps_url) VALUES " + ", ".join(contexts)
    )
    store.execute(
        "INSERT INTO lti_sync (course_key, state, version, change_no, active, succeeded_at, stale_at, due_at, failures, lease_since, lease_until, held_since, held_missing, held_accepted) VALUES "
        + ", ".join(syncs)
    )


@pytest.fixture(scope="module")
def site(make_shared_stage):
    """A course with people, 120 others that are known from the database only, and a platform whose deployments are asked about."""
    stage = make_shared_stage()
    stage.configure(pace=QUIET, extra=OPEN, service=SERVICE, platform=stage.httpd.platform_block(LTIDeployment="ask " + stage.campus.tool.deployment_id)).start()
    stage.ada = stage.launch("ada")
    stage.key = stage.wait_roster(stage.ada)
    plain = [(f"zz{number:04d}", f"Course {number:04d}", f"L{number}", "campus", 2, number, number % 7) for number in range(COURSES)]
    hostile = [(f"yy{number:04d}", text, text[:60], "campus", 2, 5, 0) for number, text in enumerate(HOSTILE)]
    add_courses(stage, plain + hostile)
    stage.service_status = stage.httpd.roster_url.replace("roster", "status")
    return stage


def status(stage, query="", browser=None):
    answer = (browser or Browser()).get(stage.url(STATUS) + query, [JSON])
    assert answer.status == 200, answer
    return answer.json()


def act(stage, headers=(JSON,), browser=None, token=None, **fields):
    if token is None:
        token = status(stage, "?part=health")["action_token"]
    return (browser or Browser()).post(stage.url(STATUS), {**fields, "token": token}, headers=list(headers))


def audits(stage, since=0):
    return [line.partition("audit: ")[2] for line in stage.httpd.log_lines()[since:] if re.search(r"LTI073[23]: audit: ", line)]


def audit(stage, since):
    """The one line since then, as a dictionary."""
    lines = wait_for(lambda: audits(stage, since), "a line of the audit", 3)
    assert len(lines) == 1, lines
    return {name: urllib.parse.unquote(value) for name, value in (field.split("=", 1) for field in lines[0].split())}


# --- who may -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "LTIAdmin On",
        '<Directory "/">\n    LTIAdmin On\n    Require local\n</Directory>',
        '<Location "/lti/status">\n    LTIAdmin On\n</Location>',
        '<Location "/lti/status">\n    LTIAdmin On\n    Require all granted\n</Location>',
        '<Location "/lti/status">\n    Require local\n    <If "true">\n        LTIAdmin On\n    </If>\n</Location>',
    ],
)
def test_nobody_opens_the_page_to_everybody_by_mistake(make_stage, text):
    httpd = make_stage().httpd
    httpd.extra = text
    code, output = httpd.configtest()
    assert code != 0 and "LTIAdmin" in output, output
    assert "Require" in output or "not allowed" in output, output


def test_whatever_keeps_somebody_out_is_enough(make_stage):
    httpd = make_stage().httpd
    httpd.extra = '<Location "/lti/status">\n    <RequireAny>\n        Require ip 10.0.0.0/8\n    </RequireAny>\n    LTIAdmin On\n</Location>\n<Location "/x">\n    LTIAdmin Off\n</Location>'
    code, output = httpd.configtest()
    assert code == 0, output


def test_without_ltiadmin_both_are_closed_and_the_log_says_what_to_write(make_stage):
    """No section at all: the page is closed for everybody, instructors too."""
    stage = make_stage().configure(pace="LTISync Off").start()
    for browser in (Browser(), stage.launch("ada")):
        for answer in (browser.get(stage.url(STATUS)), browser.post(stage.url(STATUS), {"action": "sync", "course": "x"}), browser.get(stage.url("/lti/metrics"))):
            assert (answer.status, answer.error) == (403, "admin-off"), answer
    for path in (STATUS, "/lti/metrics"):
        assert stage.httpd.wait_log(rf"refused with admin-off .*LTIAdmin On does not hold for {path}\b.*Write <Location .*LTIAdmin On and a Require")


def test_the_sample_configuration_opens_it_to_this_machine(make_stage):
    """conf/lti_sync.conf, as shipped."""
    sample = (ROOT / "conf/lti_sync.conf").read_text(encoding="utf-8")
    block = re.search(r"^<LocationMatch[^\n]*status.*?^</LocationMatch>$", sample, re.S | re.M).group()
    stage = make_stage().configure(pace="LTISync Off", log_level="warn", extra=block.replace("Require local", "Require ip 10.1.2.3")).start()
    stage.httpd.expect_log("AH01630: client denied by server configuration")
    assert Browser().get(stage.url(STATUS)).status == 403
    stage.httpd.extra = block
    stage.httpd.graceful()
    assert look(Browser(), stage.url(STATUS)).response.status == 200
    assert Browser().get(stage.url("/lti/metrics")).status == 200
    since = len(stage.httpd.log_lines())
    assert act(stage, action="end-sessions", platform="campus", user="x").status == 200
    assert audit(stage, since)["outcome"] == "done", "the audit is written, though all else is quiet"


def test_a_virtual_host_without_platforms_says_so(make_stage):
    httpd = make_stage().httpd
    platform, httpd.platform = httpd.platform, ""
    httpd.service = SERVICE + f"<VirtualHost 127.0.0.1:{httpd.port}>\n    ServerName other.example\n{platform}\n{httpd.module_config.partition(chr(10))[2]}\n</VirtualHost>"
    httpd.module_config = f"LTIStateDir {httpd.root}/state"
    httpd.service = httpd.service.replace("LTISyncInterval 2s", "")
    code, output = httpd.configtest()
    assert code != 0 and f"{httpd.conf}:{httpd.line_of('LTIAdmin On')}: LTIAdmin On shows nothing in the virtual host 127.0.0.1" in output, output


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("192.0.2.7", 200),
        ("[::1]", 200),
        ("TOOLS.example", 200),
        ("a.tools.example", 200),
        ("attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("localhost.attacker.example", 421),
        ("tools.example.attacker.example", 421),
    ],
)
def test_only_by_a_name_of_this_host(site, host, wanted):
    """DNS rebinding: a page of the web whose name suddenly leads here reads nothing and presses nothing."""
    port = urllib.parse.urlsplit(site.service_status).port
    browser = Browser()
    for answer in (
        browser.get(site.service_status + "?part=health", [("Host", f"{host}:{port}"), JSON]),
        browser.post(site.service_status, {}, [("Host", f"{host}:{port}"), ("Origin", f"http://{host}:{port}")]),
    ):
        if wanted == 421:
            assert (answer.status, answer.error) == (421, "host-unknown"), answer
        else:
            assert answer.error in ("", "action-token"), answer


def test_a_port_for_administrators_shows_the_platforms_of_the_main_server(site):
    told = Browser().get(site.service_status, [JSON]).json()
    assert [platform["platform"] for platform in told["platforms"]] == ["campus"]
    assert told["courses"]["total"] == status(site)["courses"]["total"]


# --- what is on it -------------------------------------------------------------------------------------------------------------------


def test_page_is_safe_to_show(site):
    answer = Browser().get(site.url(STATUS), [HTML])
    policy = answer.header("Content-Security-Policy")
    nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", policy)[1]
    for part in ("default-src 'none'", f"style-src 'nonce-{nonce}'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "connect-src 'self'"):
        assert part in policy, policy
    assert answer.header("Cache-Control") == "no-store" and answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Referrer-Policy") == "no-referrer" and "Accept" in answer.header("Vary")
    assert answer.body.isascii(), "what is not ASCII is a character reference"
    page = Facts(answer)
    scripts = [values for tag, values in page.tags if tag == "script"]
    assert [values.get("nonce") for values in scripts] == [nonce] and nonce != re.search(r"nonce-([\w-]+)'", Browser().get(site.url(STATUS)).header("Content-Security-Policy"))[1]
    for tag, values in page.tags:
        assert not [name for name in values if name.startswith("on") or name == "style"], (tag, values)
        assert not values.get("src", "").strip() and (tag != "link" or values["href"] == "data:,"), (tag, values)
        if tag == "a":
            assert values["href"].startswith(("/lti/status", "#")), values


def test_page_and_json_say_the_same(site):
    wait_for(lambda: status(site, "?part=platforms")["platforms"][0]["token"]["given_at"], "what was seen of the platform")
    told = status(site)
    assert list(told) == ["health", "problems", "platforms", "courses", "action_token"]
    assert status(site, "?format=json").keys() == told.keys()
    page = look(Browser(), site.url(STATUS))
    health = told["health"]
    assert health["sentence"] in page.text("health") and health["courses"] == COURSES + len(HOSTILE) + 1
    assert f"{health['courses']} courses" in page.text("health")
    platform = told["platforms"][0]
    text = page.text("platform-campus")
    for fact in (platform["client_id"], platform["issuer"], *platform["urls"].values(), platform["diagnosis"]["sentence"], "contextmembership.readonly"):
        assert fact in text, (fact, text)
    assert platform["urls"]["login"] == site.url("/lti/login")
    assert platform["courses"] == health["courses"]
    for part in ("health", "problems", "platforms", "courses"):
        assert set(status(site, f"?part={part}")) == {part, "action_token"}
    assert Browser().get(site.url(STATUS) + "?part=everything").error == "parameter-invalid"


def test_no_names_of_people(site):
    person, _ = next(iter(site.campus.state.roster("BIO1")))
    for text in (json.dumps(status(site), ensure_ascii=False), look(Browser(), site.url(STATUS)).response.text):
        assert "Lovelace" not in text and person.email not in text and person.id not in text


def found(site, query):
    """Keys of the rows, by JSON; the page must show the same titles."""
    query += "&" if "?" in query else "?"
    told = status(site, query + "part=courses")["courses"]
    page = look(Browser(), site.url(STATUS) + query + "part=courses")
    rows = page.rows("found") if "found" in page.tables else []
    assert len(rows) == len(told["rows"])
    for row, course in zip(rows, told["rows"]):
        title = re.sub(r"\s+", " ", course["title"]).strip()
        assert row[0].startswith(title) and str(course["active"]) in row[2], (row, course)
    return [course["course"] for course in told["rows"]], told["total"]


def test_search(site):
    assert found(site, "?search=course+0042") == (["zz0042"], 1)
    assert found(site, "?search=L42") == (["zz0042"], 1)
    assert found(site, "?search=ctx-zz0042") == (["zz0042"], 1)
    assert found(site, "?search=zz0042") == (["zz0042"], 1)
    assert found(site, "?search=CELLS+%26+tis") == ([site.key], 1)
    assert found(site, "?search=no+such+course") == ([], 0)
    assert found(site, "?search=%25") == ([], 0) and found(site, "?search=_")[1] < 10, "signs of LIKE are plain letters"
    assert found(site, "?search=%27+OR+1%3D1+--") == ([], 0)
    assert found(site, "?search=" + urllib.parse.quote(HOSTILE[0])) == (["yy0000"], 1)


def test_filters(site):
    total = COURSES + len(HOSTILE) + 1
    assert found(site, "?platform=campus")[1] == found(site, "?state=current")[1] == total
    assert found(site, "?platform=elsewhere") == ([], 0) and found(site, "?state=held") == ([], 0)
    assert Browser().get(site.url(STATUS) + "?state=nonsense").error == "parameter-invalid"


def test_order_and_pages(site):
    keys = [f"zz{number:04d}" for number in range(COURSES)]
    assert found(site, "?search=course&limit=200")[0] == keys
    assert found(site, "?search=course&backwards=1&limit=200")[0] == keys[::-1]
    assert found(site, "?search=course&order=people&limit=200")[0] == keys[::-1]
    assert found(site, "?search=course&order=success&limit=200")[0] == keys[::-1], "longest ago first"
    assert found(site, "?search=course&order=next&limit=200")[0] == keys
    by_failures = status(site, "?search=course&order=failures&limit=200")["courses"]["rows"]
    assert [row["failures"] for row in by_failures] == sorted((number % 7 for number in range(COURSES)), reverse=True)
    assert found(site, "?search=course&limit=50&offset=100")[0] == keys[100:]
    assert found(site, "?search=course&offset=5000")[0] == []
    for bad in ("order=size", "offset=-1", "offset=x", "limit=0", "limit=9999999999", "search=a&search=b"):
        assert Browser().get(site.url(STATUS) + "?" + bad).status == 400, bad


def test_the_list_is_walked_without_scripts(site):
    browser = Browser()
    page = look(browser, site.url(STATUS) + "?search=course&order=people")
    seen = [page.rows("found")]
    assert "1 to 50 of 120" in page.text("found")
    while True:
        following = [values["href"] for tag, values in page.tags if tag == "a" and values.get("rel") == "next"]
        if not following:
            break
        page = look(browser, urllib.parse.urljoin(page.response.url, following[0].partition("#")[0]) + "&part=courses")
        seen.append(page.rows("found"))
    assert [len(rows) for rows in seen][1:] == [50, 20]
    form = page.form("/lti/status")
    assert form["search"] == "course" and form["order"] == "people", "a search keeps the order"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods(site, method):
    answer = Browser().request(method, site.url(STATUS))
    assert (answer.status, answer.error) == (405, "method") and "GET" in answer.header("Allow") and "POST" in answer.header("Allow")


def test_head(site):
    answer = Browser().request("HEAD", site.url(STATUS))
    assert answer.status == 200 and not answer.body


# --- buttons -----------------------------------------------------------------------------------------------------------------------------


def test_a_run_begins(site):
    since, asked = len(site.httpd.log_lines()), len(site.campus.requests("nrps"))
    answer = act(site, action="sync", course=site.key)
    assert answer.status == 202 and answer.json() == {"action": "sync", "course": site.key, "platform": "campus", "outcome": "done"}, answer
    told = Browser().get(answer.location, [JSON])
    assert told.status == 200 and told.json(), told
    wait_for(lambda: len(site.campus.requests("nrps")) > asked, "the platform to be asked")
    lines = [line for line in audits(site, since) if "action=" in line]
    assert lines == [f"who=- from=127.0.0.1 action=sync course={site.key} platform=campus outcome=done"]


def test_a_browser_is_led_back_to_where_it_pressed(site):
    back = "search=a%20b&state=current"
    answer = act(site, headers=[HTML], action="sync", course=site.key, back=back)
    assert answer.status == 303 and answer.header("Location").startswith(f"/lti/status?{back}&"), answer
    assert "The update was asked for" in look(Browser(), answer.location).response.text
    for hostile in ("//attacker.example/", "x#y", "a\\b", "<script>", "a b"):
        answer = act(site, headers=[HTML], action="sync", course=site.key, back=hostile)
        assert urllib.parse.urlsplit(answer.location)[:3] == urllib.parse.urlsplit(site.url(STATUS))[:3], answer
        assert hostile not in answer.header("Location") or hostile.startswith("//") is False
    assert "<script" not in look(Browser(), site.url(STATUS) + "?part=health&done=%3Cscript%3E").text("main")


def test_sessions_end(site):
    since = len(site.httpd.log_lines())
    zoe, bobby = site.launch("zoe"), site.launch("bobby")
    person = site.campus.state.person("zoe").id
    assert act(site, action="end-sessions", course=site.key, user=person).status == 200
    wait_for(lambda: site.status(zoe) == (401, "session-ended"), "the session to end", 2.5)
    assert site.status(bobby)[0] == 200
    assert audit(site, since) == {
        "who": "-", "from": "127.0.0.1", "action": "end-sessions", "course": site.key, "platform": "campus", "subject": person, "outcome": "done",
    }  # fmt: skip
    assert act(site, action="end-sessions", course=site.key).status == 200
    wait_for(lambda: site.status(bobby) == (401, "session-ended"), "all sessions of the course to end", 2.5)
    again = site.launch("bobby")
    assert site.status(again)[0] == 200
    assert act(site, action="end-sessions", platform="campus", user=site.campus.state.person("bobby").id).status == 200
    wait_for(lambda: site.status(again) == (401, "session-ended"), "all sessions of the person to end", 2.5)


def deployment(site, name):
    return next((entry["status"] for entry in status(site, "?part=platforms")["platforms"][0]["deployments"] if entry["deployment"] == name), None)


def try_deployment(site, name, person="emmy"):
    usual, browser = site.campus.tool.deployment_id, Browser()
    site.campus.tool.deployment_id = name
    try:
        browser.steps = browser.launch(site.campus, "HIS2" if person == "rosa" else "BIO1", person, check=False)
    finally:
        site.campus.tool.deployment_id = usual
    return browser


def test_deployments_are_let_in_and_sent_away(site):
    name = 'd "<b>" & 1'
    assert try_deployment(site, name).steps.launch.error == "deployment-waiting"
    assert deployment(site, name) == "waiting" and status(site, "?part=health")["health"]["deployments_waiting"] >= 1
    since = len(site.httpd.log_lines())
    assert act(site, action="deployment-accept", platform="campus", deployment=name).json() == {
        "action": "deployment-accept", "platform": "campus", "deployment": name, "outcome": "done",
    }  # fmt: skip
    assert audit(site, since)["subject"] == name
    browser = try_deployment(site, name)
    assert browser.steps.launch.status == 303 and deployment(site, name) == "accepted"
    assert act(site, action="deployment-withdraw", platform="campus", deployment=name).status == 200
    wait_for(lambda: site.status(browser) == (401, "session-ended"), "the sessions of the deployment to end", 2.5)
    assert deployment(site, name) == "withdrawn"
    assert try_deployment(site, name).steps.launch.error == "deployment-withdrawn"


def test_held_removals_are_accepted(make_stage):
    stage = make_stage().configure(pace=QUIET, extra=OPEN).start()
    stage.httpd.expect_log(r"LTI0302.*roster-held")
    ada = stage.launch("ada")
    key = stage.wait_roster(ada)
    answer = act(stage, action="accept", course=key)
    assert (answer.status, answer.error) == (400, "parameter-invalid"), "nothing is held"
    for login in ("xiaolong", "orjan", "bobby", "sam", "fatima", "siobhan", "nikola", "jose"):
        stage.campus.state.drop("BIO1", login)
    assert stage.sync_now(ada)["state"] == "held"
    told = status(stage)
    assert told["health"]["states"]["held"] == 1 and [(problem["course"], problem["diagnosis"]["state"]) for problem in told["problems"] if problem["course"]] == [(key, "held")]
    page = look(Browser(), stage.url(STATUS))
    assert f"{STATUS}?course={key}" in [values.get("href") for tag, values in page.tags if tag == "a"]
    since = len(stage.httpd.log_lines())
    assert act(stage, action="accept", course=key, missing="7").error == "parameter-invalid", "others than those that were shown"
    assert act(stage, action="accept", course=key, missing="8").status == 200
    wait_for(lambda: len(stage.members(key)) == 6, "those who are missing to be removed", 5)
    assert [re.search(r"outcome=(\S+)", line)[1] for line in audits(stage, since)] == ["parameter-invalid", "done"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "parameter-missing"),
        ({"action": "explode"}, "parameter-invalid"),
        ({"action": "sync"}, "parameter-missing"),
        ({"action": "accept"}, "parameter-missing"),
        ({"action": "end-sessions"}, "parameter-missing"),
        ({"action": "end-sessions", "user": "x"}, "parameter-missing"),
        ({"action": "end-sessions", "user": "x", "platform": "nowhere"}, "parameter-invalid"),
        ({"action": "end-sessions", "user": "x" * 256, "course": "KEY"}, "parameter-invalid"),
        ({"action": "sync", "course": "nonsense"}, "course-unknown"),
        ({"action": "sync", "course": "zz0001"}, "service-none"),
        ({"action": "accept", "course": "KEY", "missing": "many"}, "parameter-invalid"),
        ({"action": "deployment-accept", "platform": "campus"}, "parameter-missing"),
        ({"action": "deployment-accept", "platform": "nowhere", "deployment": "d"}, "parameter-invalid"),
        ({"action": "deployment-accept", "platform": "campus", "deployment": "d" * 256}, "parameter-missing"),
    ],
)
def test_what_makes_no_sense_does_nothing(site, fields, code):
    fields = {name: site.key if value == "KEY" else value for name, value in fields.items()}
    answer = act(site, **fields)
    assert answer.status >= 400 and answer.error == code, answer


# --- protection ----------------------------------------------------------------------------------------------------------------------------


def refused(site, answer, code):
    assert (answer.status, answer.error) == (403, code), answer


def test_a_token_is_needed(site):
    since = len(site.httpd.log_lines())
    browser = Browser()
    refused(site, browser.post(site.url(STATUS), {"action": "end-sessions", "course": site.key}), "action-token")
    good = status(site, "?part=health")["action_token"]
    assert audit(site, since) == {"who": "-", "from": "127.0.0.1", "action": "unknown", "outcome": "action-token"}
    swapped = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    for token in ("x", good[:-1], good + "A", swapped, "A" * 5000, "%%%", site.ada.named("lti_").popitem()[1] or "none"):
        refused(site, act(site, token=token, action="sync", course=site.key), "action-token")
    assert act(site, token=good, action="sync", course=site.key).status == 202


def test_a_token_ends_after_twelve_hours(make_stage):
    stage = make_stage().configure(pace="LTISync Off", extra=OPEN).start()
    token = status(stage, "?part=health")["action_token"]
    stage.httpd.set_clock(13 * 3600)
    refused(stage, act(stage, token=token, action="end-sessions", platform="campus", user="x"), "action-token")
    stage.httpd.set_clock(11 * 3600)
    assert act(stage, token=token, action="end-sessions", platform="campus", user="x").status == 200
    stage.httpd.set_clock(-3600)
    refused(stage, act(stage, token=token, action="end-sessions", platform="campus", user="x"), "action-token")


def test_by_password_the_audit_has_names_and_tokens_are_of_one_user(make_stage):
    stage = make_stage()
    users = stage.httpd.root / "conf/users"
    users.write_text("".join(f"{name}:{{SHA}}{base64.b64encode(hashlib.sha1(name.encode()).digest()).decode()}\n" for name in ("anna", "ben b")))
    load = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in ("auth_basic", "authn_file"))
    section = f"AuthType Basic\nAuthName status\nAuthBasicProvider file\nAuthUserFile {users}\nRequire valid-user"
    stage.configure(pace="LTISync Off", extra=load + OPEN.replace("Require local", section)).start()

    def of(name):
        return ("Authorization", "Basic " + base64.b64encode(f"{name}:{name}".encode()).decode())

    assert Browser().get(stage.url(STATUS)).status == 401
    since = len(stage.httpd.log_lines())
    token = Browser().get(stage.url(STATUS) + "?part=health", [JSON, of("anna")]).json()["action_token"]
    fields = {"action": "end-sessions", "platform": "campus", "user": "x y=z"}
    assert act(stage, [JSON, of("anna")], token=token, **fields).status == 200
    refused(stage, act(stage, [JSON, of("ben b")], token=token, **fields), "action-token")
    assert audits(stage, since) == [
        "who=anna from=127.0.0.1 action=end-sessions platform=campus subject=x%20y%3Dz outcome=done",
        "who=ben%20b from=127.0.0.1 action=unknown outcome=action-token",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "cross-site"), ("Origin", "null")],
        [("Origin", "https://attacker.example"), ("Sec-Fetch-Site", "cross-site")],
    ],
)
def test_other_sites_press_nothing(site, headers):
    refused(site, act(site, headers=[JSON, *headers], action="sync", course=site.key), "cross-site")


def test_browsers_that_do_not_tell_the_site(site):
    """http without Sec-Fetch-Site: the origin is compared."""
    token = status(site, "?part=health")["action_token"]
    body = urllib.parse.urlencode({"token": token, "action": "end-sessions", "platform": "campus", "user": "nobody"}).encode()
    form = ("Content-Type", "application/x-www-form-urlencoded")
    for origin, wanted in ((site.httpd.base_url, 200), (None, 200), ("http://attacker.example", 403), ("null", 403)):
        answer = Browser().request("POST", site.url(STATUS), body, [form, JSON, *([("Origin", origin)] if origin else [])])
        assert answer.status == wanted, (origin, answer)
    port = urllib.parse.urlsplit(site.service_status).port
    host = ("Host", f"tools.example:{port}")
    token = Browser().get(site.service_status + "?part=health", [host, JSON]).json()["action_token"]
    body = urllib.parse.urlencode({"token": token, "action": "end-sessions", "platform": "campus", "user": "nobody"}).encode()
    for origin, wanted in ((f"http://tools.example:{port}", 200), (f"http://b.tools.example:{port}", 403)):
        answer = Browser().request("POST", site.service_status, body, [host, form, JSON, ("Origin", origin)])
        assert answer.status == wanted, (origin, answer)


def test_reading_changes_nothing(site):
    asked = len(site.campus.requests("nrps"))
    token = status(site, "?part=health")["action_token"]
    since = len(site.httpd.log_lines())
    for action in ("sync", "accept", "end-sessions"):
        assert Browser().get(site.url(STATUS) + f"?part=health&action={action}&platform=campus&token={token}").status == 200
    assert Browser().post(site.url(STATUS) + f"?action=sync&course={site.key}&token={token}", {}).error == "action-token"
    time.sleep(0.3)
    assert len(site.campus.requests("nrps")) == asked
    assert [line for line in audits(site, since) if "outcome=done" in line] == []


def test_courses_of_platforms_that_this_host_does_not_have(site):
    add_courses(site, [("other1", "Course of nobody here", "X", "elsewhere", 2, 3, 0)])
    try:
        assert found(site, "?search=nobody+here")[0] == [] and "other1" not in json.dumps(status(site, "?limit=200"))
        for action in ("sync", "accept", "end-sessions"):
            assert act(site, action=action, course="other1").error == "course-unknown"
        assert Browser().get(site.url(STATUS) + "?course=other1").error == "course-unknown"
    finally:
        for table in ("lti_context", "lti_sync"):
            site.httpd.store.execute(f"DELETE FROM {table} WHERE course_key = 'other1'")


# --- with eyes and hands -----------------------------------------------------------------------------------------------------------------------

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402
from test_browser import WAIT, find, open_chromium, picture  # noqa: E402


@pytest.fixture(scope="module")
def eyes():
    """One Chromium for all tests below."""
    yield from open_chromium()


def look_like(driver, width=1100, dark=False):
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False})


def whole_picture(driver, name, width=1100):
    height = driver.execute_script("return document.documentElement.scrollHeight")
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": min(height, 6000), "deviceScaleFactor": 1, "mobile": False})
    picture(driver, name)


def complaints(driver):
    return [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def fits(driver):
    return driver.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("name", "width", "dark"), [("status-hostile", 1100, False), ("status-hostile-dark", 1100, True), ("status-hostile-phone", 360, False)])
def test_it_holds_whatever_courses_are_called(site, eyes, name, width, dark):
    look_like(eyes, width, dark)
    eyes.get(site.url(STATUS))
    find(eyes, "#platforms")
    assert eyes.title != "taken" and not complaints(eyes)
    assert "<script>" in find(eyes, "#found").text, "the hostile titles are shown as text"
    assert fits(eyes), f"the page is wider than {width}"
    colour = eyes.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(number) for number in re.findall(r"\d+", colour)[:3]) < 200) == dark, colour
    if width < 700:
        assert eyes.execute_script("return getComputedStyle(document.querySelector('#found tr td')).display") == "block", "rows are cards"
    whole_picture(eyes, name, width)


def test_who_cannot_see_it_can_use_it(site, eyes):
    look_like(eyes)
    eyes.get(site.url(STATUS))
    assert eyes.execute_script("return document.documentElement.lang") == "en"
    assert len(eyes.find_elements(By.CSS_SELECTOR, "main")) == len(eyes.find_elements(By.CSS_SELECTOR, "h1")) == 1
    for section in eyes.find_elements(By.CSS_SELECTOR, "section"):
        assert section.accessible_name, section.get_attribute("outerHTML")[:200]
    for control in eyes.find_elements(By.CSS_SELECTOR, "button, input:not([type=hidden]), select, a[href]"):
        assert control.accessible_name.strip(), control.get_attribute("outerHTML")[:200]
    names = [button.accessible_name for button in eyes.find_elements(By.CSS_SELECTOR, "form.one button")]
    assert len(names) == len(set(names)), f"buttons that are read out alike: {names}"
    levels = [int(heading.tag_name[1]) for heading in eyes.find_elements(By.CSS_SELECTOR, "h1, h2, h3, h4")]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels
    ids = eyes.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    eyes.execute_script("document.activeElement.blur()")
    from selenium.webdriver.common.keys import Keys

    find(eyes, "body").send_keys(Keys.TAB)
    first = eyes.switch_to.active_element
    assert first.get_attribute("class") == "skip" and first.is_displayed() and first.rect["x"] >= 0, "the skip link is the first stop, and shown then"
    assert eyes.execute_script("return getComputedStyle(document.activeElement).outlineStyle") != "none"


def shown(driver):
    """Titles of the courses, in one step: the script replaces the list at any moment."""
    return driver.execute_script("return [...document.querySelectorAll('#found tbody th a')].map((link) => link.innerText)")


def test_search_as_one_types(site, eyes):
    look_like(eyes)
    eyes.get(site.url(STATUS))
    box = find(eyes, "input[name=search]")
    eyes.execute_script("window.stays = true")
    box.send_keys("course 0042")
    wait_for(lambda: shown(eyes) == ["Course 0042"], "the one course", WAIT)
    assert "search=course+0042" in eyes.current_url and eyes.execute_script("return window.stays"), "the page stays, its address tells"
    assert eyes.switch_to.active_element == box, "one goes on typing"
    eyes.refresh()
    assert shown(eyes) == ["Course 0042"]
    assert find(eyes, "input[name=search]").get_attribute("value") == "course 0042"
    find(eyes, "input[name=search]").clear()
    find(eyes, "input[name=search]").send_keys("no such course")
    wait_for(lambda: "No course is like that" in eyes.execute_script("return document.getElementById('found').innerText"), "that there is none", WAIT)
    assert not complaints(eyes)


def test_a_deployment_is_accepted_by_its_button(site, eyes):
    name = "d-button"
    assert try_deployment(site, name).steps.launch.error == "deployment-waiting"
    look_like(eyes)
    eyes.get(site.url(STATUS) + "?search=course")
    row = next(row for row in eyes.find_elements(By.CSS_SELECTOR, "#platform-campus tbody tr") if name in row.text)
    button = next(button for button in row.find_elements(By.CSS_SELECTOR, "button") if button.text.startswith("Accept"))
    assert button.accessible_name == f"Accept deployment {name}"
    eyes.execute_script("arguments[0].scrollIntoView()", button)
    button.click()
    assert "launches of the deployment are let in" in find(eyes, ".said").text
    assert "search=course" in eyes.current_url and deployment(site, name) == "accepted"
    assert try_deployment(site, name).steps.launch.status == 303


# --- one look -----------------------------------------------------------------------------------------------------------------------------------

SCENE = [  # title, label, state (2 current, 3 failing), people, failures, error, its text
    ("Biology II: Ecology", "BIO2", 2, 212, 0, None, None),
    ("Calculus for Engineers", "MAT110", 2, 388, 0, None, None),
    ("Chemistry: Laboratory", "CHE3", 3, 54, 4, "roster-forbidden", "the platform answered 403 to the request for the roster"),
    ("Drawing and Perspective", "ART1", 2, 23, 0, None, None),
    ("English Literature 1800-1900", "ENG4", 2, 61, 0, None, None),
    ("Geography of Cities", "GEO2", 3, 97, 9, "scope-refused", "the platform answered 400: invalid_scope"),
    ("Introduction to Statistics", "STA1", 2, 540, 0, None, None),
    ("World History since 1945", "HIS5", 2, 133, 0, None, None),
]


@pytest.fixture(scope="module")
def scene(make_shared_stage):
    """A site on an ordinary day: most of it works."""
    stage = make_shared_stage()
    stage.configure(pace=QUIET, extra=OPEN, platform=stage.httpd.platform_block(LTIDeployment="ask " + stage.campus.tool.deployment_id)).start()
    stage.wait_roster(stage.launch("ada"))
    add_courses(stage, [(f"scene{number}", title, label, "campus", state, active, failures) for number, (title, label, state, active, failures, _, _) in enumerate(SCENE)])
    for number, (*_, error, text) in enumerate(SCENE):
        if error:
            stage.httpd.store.execute(f"UPDATE lti_sync SET error_name = {sql(error)}, error_text = {sql(text)} WHERE course_key = 'scene{number}'")
    assert try_deployment(stage, "17:8d3b0c").steps.launch.error == "deployment-waiting"
    wait_for(lambda: status(stage, "?part=platforms")["platforms"][0]["token"]["given_at"], "what was seen of the platform")
    return stage


def test_what_is_wrong_comes_first_with_what_to_do(scene):
    told = status(scene)
    assert told["health"]["state"] in ("warning", "error")
    found = {problem["title"]: problem for problem in told["problems"] if problem["kind"] == "course"}
    for title in ("Chemistry: Laboratory", "Geography of Cities"):
        diagnosis = found[title]["diagnosis"]
        assert diagnosis["severity"] >= 2 and diagnosis["remedy"] and diagnosis["sentence"], diagnosis
    severities = [problem["diagnosis"]["severity"] for problem in told["problems"]]
    assert severities == sorted(severities, reverse=True), "the worst first"
    page = look(Browser(), scene.url(STATUS))
    order = [values.get("id") for tag, values in page.tags if tag == "section"]
    assert order[:4] == ["health", "problems", "courses", "platforms"]
    for problem in told["problems"]:
        for text in (problem["title"] or problem["platform"], problem["diagnosis"]["sentence"], *problem["diagnosis"]["remedy"]):
            assert re.sub(r"\s+", " ", text).strip() in page.text("problems"), text
        if problem["course"]:
            assert f"{STATUS}?course={problem['course']}" in page.links
            assert any(form.get("action") == "sync" and form.get("course") == problem["course"] for form in page.forms)


@pytest.mark.parametrize(("name", "width", "dark"), [("status", 1100, False), ("status-dark", 1100, True), ("status-phone", 390, False)])
def test_an_ordinary_day(scene, eyes, name, width, dark):
    look_like(eyes, width, dark)
    eyes.get(scene.url(STATUS))
    assert find(eyes, "#problems article") and fits(eyes) and not complaints(eyes)
    whole_picture(eyes, name, width)


# --- a whole university --------------------------------------------------------------------------------------------------------------------


MANY = 20_000


@pytest.fixture(scope="module")
def university(make_shared_stage):
    stage = make_shared_stage().configure(pace=QUIET, extra=OPEN).start()
    stage.wait_roster(stage.launch("ada"))
    rows = [(f"u{number:05d}", f"Lecture {number:05d}", f"U{number}", "campus", 2, number % 300, 0) for number in range(MANY)]
    rows[12_345] = ("u12345", "A Needle's <b>History</b>", "HAY", "campus", 2, 7, 0)
    for first in range(0, MANY, 1000):
        add_courses(stage, rows[first : first + 1000])
    return stage


def test_one_course_among_20_000(university, eyes):
    """By typing a part of its name; the list goes on page by page, and the page stays as long as a screen or two."""
    look_like(eyes)
    eyes.get(university.url(STATUS))
    assert f"{MANY + 1:,}" in find(eyes, "#health").text and len(eyes.find_elements("css selector", "#found tbody tr")) <= 200
    for letter in "needle":
        find(eyes, "input[name=search]").send_keys(letter)
    wait_for(lambda: "A Needle's <b>History</b>" in find(eyes, "#found").text and len(eyes.find_elements("css selector", "#found tbody tr")) == 1, "the one course", 10)
    assert find(eyes, "input[name=search]").get_attribute("value") == "needle" and not complaints(eyes)
    find(eyes, "#found tbody a").click()
    wait_for(lambda: "A Needle's <b>History</b>" in find(eyes, "h1").text, "its page")
    last = status(university, "?part=courses&offset=19901&limit=100")["courses"]
    assert last["total"] == MANY + 1 and len(last["rows"]) == 100 and last["rows"][-1]["title"] == "Lecture 19999"
