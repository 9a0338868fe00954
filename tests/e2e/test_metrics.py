# SPDX-License-Identifier: Apache-2.0
"""Metrics: the answer is read by a public parser of OpenMetrics; its values move as launches, requests, runs and failures happen; nothing but the values depends on what is asked. And the
block in mod_status."""
import re
import time

import database
import pytest
from client import Browser
from httpd import MODULES, ROOT, wait_for
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from stage import QUIET
from test_database import FAULTS

OPERATIONS = (ROOT / "docs/operations.md").read_text()
TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ADMIN = f"""LoadModule status_module {MODULES}/mod_status.so
<Location "/lti/metrics">
    LTIAdmin On
    Require local
</Location>
<Location "/server-status">
    SetHandler server-status
    Require all granted
</Location>"""


class Metrics(dict):
    """(sample, (label, value)...) -> number."""

    def __init__(self, stage):
        super().__init__()
        self.response = Browser().get(stage.url("/lti/metrics"))
        assert self.response.status == 200, self.response
        self.families = list(text_string_to_metric_families(self.response.text))
        for family in self.families:
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                assert key not in self, f"{key} came twice"
                self[key] = sample.value

    def value(self, name, **labels):
        """0 for a count that is not listed yet."""
        return self.get((name, *sorted(labels.items())), 0)

    def sum(self, name):
        return sum(value for key, value in self.items() if key[0] == name)


@pytest.fixture(scope="module")
def stage(make_shared_stage):
    stage = make_shared_stage().configure(pace=QUIET, extra=ADMIN)
    stage.httpd.expect_log("LTI0301.*http-status")
    return stage.start()


@pytest.fixture(scope="module")
def ada(stage):
    browser = stage.launch("ada")
    stage.wait_roster(browser)
    return browser


def moved(stage, before, name, **labels):
    return Metrics(stage).value(name, **labels) - before.value(name, **labels)


def rules():
    """The documented alert rules: name -> expression."""
    block = OPERATIONS.partition("```yaml\n")[2].partition("```")[0]
    found = dict(re.findall(r"- alert: (\w+)\n +expr: (.+)\n", block))
    assert len(found) > 10 and len(found) == block.count("alert:")
    return found


# --- the form -------------------------------------------------------------------------------------------------------------------


def test_the_answer_is_openmetrics(stage, ada):
    metrics = Metrics(stage)
    response = metrics.response
    assert response.header("Content-Type") == TYPE
    assert response.header("Cache-Control") == "no-store"
    assert response.text.endswith("\n# EOF\n") and response.text.count("# EOF") == 1
    for family in metrics.families:
        assert family.documentation and family.type != "unknown", family
        assert family.unit == "" or family.name.endswith("_" + family.unit), family
        if family.type == "histogram":
            bounds = [sample.labels["le"] for sample in family.samples if sample.name.endswith("_bucket")]
            assert bounds[-1] == "+Inf" and len(bounds) > 5
    assert metrics.value("lti_build_info", version=version()) == 1


def version():
    return re.search(r"AC_INIT\(\[[^]]*\], \[([^]]*)\]", (ROOT / "configure.ac").read_text())[1]


def test_all_families_are_documented_and_there(stage, ada):
    """tests/guard/metrics.sh holds the documentation against the source; this one against the answer."""
    table = OPERATIONS.partition("\n## Metrics\n")[2].partition("\n### Alerts\n")[0]
    documented = {}
    for names, kind in re.findall(r"^\| (`lti_[^|]+)\| (\w+) \|", table, re.M):
        documented |= {name: kind for name in re.findall(r"`(\w+)`", names)}
    assert {family.name: family.type for family in Metrics(stage).families} == documented


def test_alert_rules_ask_for_what_is_there(stage, ada):
    """Each name and each label value of the rules; codes that did not occur are not listed, the guard looks at those."""
    metrics = Metrics(stage)
    names = {key[0] for key in metrics}
    labels = {(key[0], *pair) for key in metrics for pair in key[1:]}
    known_missing = {"lti_platform_clock_offset_seconds"}  # until the platform's clock is known
    for alert, expression in rules().items():
        assert expression.count("(") == expression.count(")"), alert
        for name, selector in re.findall(r"\b(lti_\w+)(\{[^}]*\})?", expression):
            assert name in names or name in known_missing, (alert, name)
            for label, value in re.findall(r"(\w+)=\"(\w+)\"", selector):
                if (name, label, value) not in labels:
                    assert (name, label) == ("lti_launches_total", "code"), (alert, name, label, value)


def test_only_get_and_only_where_the_configuration_says_so(stage):
    posted = Browser().post(stage.url("/lti/metrics"))
    assert (posted.status, posted.error) == (405, "method")
    assert "GET" in posted.header("Allow") and "POST" not in posted.header("Allow")
    head = Browser().request("HEAD", stage.url("/lti/metrics"))
    assert (head.status, head.body) == (200, b"")
    elsewhere = Browser().get(stage.httpd.roster_url.replace("/lti/roster", "/lti/metrics"))
    # The location of the main server holds there too; its name does not.
    assert elsewhere.status == 200
    stranger = Browser().get(stage.url("/lti/metrics"), {"Host": "www.example.org"})
    assert (stranger.status, stranger.error) == (421, "host-unknown")


def test_without_admin_nobody_is_told(make_stage):
    stage = make_stage().configure(pace="LTISync Off").start()
    answer = Browser().get(stage.url("/lti/metrics"))
    assert (answer.status, answer.error) == (403, "admin-off")
    stage.httpd.wait_log("LTI0700: refused with admin-off")


@pytest.mark.parametrize("name", ['a\\"b', "a b", "a{b", "ä"])
def test_names_that_could_break_a_line_are_no_names(make_stage, name):
    """A label is escaped all the same: tests/unit/test_metrics_text.c."""
    stage = make_stage()
    stage.httpd.platform = stage.httpd.platform_block(name)
    code, output = stage.httpd.configtest()
    assert code != 0 and "LTIPlatform" in output, output


# --- what moves them ---------------------------------------------------------------------------------------------------------------


def test_launches(stage, ada):
    before = Metrics(stage)
    for _ in range(3):
        stage.launch("sam")
    after = Metrics(stage)
    assert after.value("lti_launches_total", code="ok") - before.value("lti_launches_total", code="ok") == 3
    assert after.value("lti_launch_duration_seconds_count") - before.value("lti_launch_duration_seconds_count") == 3
    assert 0 < after.value("lti_launch_duration_seconds_sum") - before.value("lti_launch_duration_seconds_sum") < 3 * 5
    assert after.value("lti_launch_duration_seconds_bucket", le="+Inf") == after.value("lti_launch_duration_seconds_count")


def test_refusals_by_code(stage, ada):
    launch, login = stage.url("/lti/launch"), stage.url("/lti/login")
    stray = Browser().prepare(stage.campus, "BIO1", "sam")
    cases = {
        "method": lambda: Browser().get(launch),
        "parameter-missing": lambda: Browser().post(login, {"iss": stage.campus.issuer}),
        "issuer-unknown": lambda: Browser().post(
            login, {"iss": "https://elsewhere.example", "login_hint": "1", "target_link_uri": stage.url("/app/")}
        ),
        "old-lti": lambda: Browser().post(launch, {"oauth_consumer_key": "key", "lti_message_type": "basic-lti-launch-request"}),
        "state-browser": lambda: Browser().submit(stray),
        "state-invalid": lambda: Browser().post(launch, {"state": "nonsense", "id_token": "nonsense"}),
    }
    for code, ask in cases.items():
        before = Metrics(stage)
        answer = ask()
        assert answer.error == code, answer
        after = Metrics(stage)
        assert after.value("lti_launches_total", code=code) - before.value("lti_launches_total", code=code) == 1, code
        assert after.sum("lti_launches_total") - before.sum("lti_launches_total") == 1, code
        assert after.value("lti_launch_duration_seconds_count") == before.value("lti_launch_duration_seconds_count")


def test_lookups_come_from_memory(stage, ada):
    before = Metrics(stage)
    for _ in range(5):
        stage.echo(ada)
    after = Metrics(stage)
    assert after.value("lti_lookups_total", source="memory") - before.value("lti_lookups_total", source="memory") == 5
    assert after.value("lti_lookups_total", source="database") == before.value("lti_lookups_total", source="database")


def test_runs_and_what_they_fetch(stage, ada):
    pages = {"platform": "campus", "what": "page"}
    before = Metrics(stage)
    stage.sync_now(ada)
    after = Metrics(stage)
    assert after.value("lti_sync_runs_total", platform="campus", code="ok") == before.value("lti_sync_runs_total", platform="campus", code="ok") + 1
    assert after.value("lti_fetches_total", **pages, result="ok") > before.value("lti_fetches_total", **pages, result="ok")
    assert after.value("lti_fetches_total", **pages, result="failed") == before.value("lti_fetches_total", **pages, result="failed")
    assert after.value("lti_fetches_total", platform="campus", what="token", result="ok") >= 1
    assert after.value("lti_fetches_total", platform="campus", what="keys", result="ok") >= 1
    assert after.value("lti_sync_run_duration_seconds_count") == before.value("lti_sync_run_duration_seconds_count") + 1
    assert after.value("lti_courses", state="current") == 1
    assert after.value("lti_members") == len(stage.enrolled())
    assert after.value("lti_courses_due") == 0
    assert 0 <= after.value("lti_roster_oldest_age_seconds") < 30
    assert 0 <= after.value("lti_platform_token_age_seconds", platform="campus") < 60


def test_a_run_that_fails(stage, ada):
    before = Metrics(stage)
    stage.campus.faults["nrps"] = {"status": 500}
    try:
        assert stage.sync_now(ada)["error"] == "http-status"
    finally:
        stage.campus.faults.clear()
    after = Metrics(stage)
    assert after.value("lti_sync_runs_total", platform="campus", code="http-status") == 1
    assert after.value("lti_fetches_total", platform="campus", what="page", result="failed") > before.value(
        "lti_fetches_total", platform="campus", what="page", result="failed"
    )
    assert after.value("lti_courses", state="failing") == 1 and after.value("lti_courses", state="current") == 0
    assert after.value("lti_health_level") > 0
    stage.sync_now(ada)
    assert Metrics(stage).value("lti_courses", state="current") == 1


def test_shared_memory_and_events(stage, ada):
    metrics = Metrics(stage)
    assert metrics.value("lti_shared_memory_bytes") == 64 * 1024 * 1024
    assert metrics.value("lti_shared_memory_courses") == 1
    assert metrics.value("lti_shared_memory_people") >= len(stage.enrolled())
    assert 0 <= metrics.value("lti_shared_memory_used_ratio") < 0.1
    assert metrics.value("lti_shared_memory_people_capacity") > 100000
    assert metrics.value("lti_shared_memory_courses_capacity") > 1000
    assert metrics.value("lti_database_up") == 1
    assert metrics.value("lti_nodes", secret="other") == 0
    wait_for(lambda: Metrics(stage).value("lti_nodes", secret="same") == 1, "the node to be seen")
    stage.campus.state.enrol("BIO1", "rosa")
    try:
        stage.sync_now(ada)
    finally:
        stage.campus.state.drop("BIO1", "rosa")
    wait_for(lambda: Metrics(stage).value("lti_event_number") > metrics.value("lti_event_number"), "the event")


def test_no_course_and_no_person_is_named(stage, ada):
    text = Metrics(stage).response.text
    for word in (stage.echo(ada)["x-lti-course-key"], "BIO1", "Biology", "ada", "Lovelace"):
        assert not re.search(rf"\b{word}\b", text), word


def test_counters_go_on_over_a_reload(stage, ada):
    before = Metrics(stage)
    stage.httpd.graceful()
    wait_for(lambda: stage.httpd.log_text().count("LTI0631") > 0, "the reload")
    after = Metrics(stage)
    for key, value in before.items():
        if key[0].endswith(("_total", "_count", "_sum", "_bucket")) or "since" in key[0]:
            assert after.get(key) == value, key
    stage.launch("sam")
    assert moved(stage, before, "lti_launches_total", code="ok") == 1


# --- mod_status --------------------------------------------------------------------------------------------------------------------


def status_lines(stage):
    answer = Browser().get(stage.url("/server-status?auto"))
    assert answer.status == 200 and answer.header("Content-Type").startswith("text/plain")
    return {name: int(value) for name, value in re.findall(r"^(Lti\w+): (\d+)$", answer.text, re.M)}


def test_block_in_mod_status(stage, ada):
    before, launches = status_lines(stage), Metrics(stage).value("lti_launches_total", code="ok")
    assert before["LtiLaunches"] == launches
    assert (before["LtiCourses"], before["LtiRuns"] > 0, before["LtiPeople"] > 0) == (1, True, True)
    stage.launch("sam")
    Browser().get(stage.url("/lti/launch"))
    stage.echo(ada)
    after = status_lines(stage)
    assert after["LtiLaunches"] == before["LtiLaunches"] + 1
    assert after["LtiLaunchesRefused"] == before["LtiLaunchesRefused"] + 1
    assert after["LtiLookupsMemory"] > before["LtiLookupsMemory"]
    for name in after:
        assert f"`{name}`" in OPERATIONS, name
    page = Browser().get(stage.url("/server-status"))
    assert page.status == 200 and page.header("Content-Type").startswith("text/html")
    block = page.text.partition("<h2>LTI</h2>")[2].partition("</dl>")[0]
    assert f"<dt>Launches: {after['LtiLaunches']}, refused: {after['LtiLaunchesRefused']}</dt>" in block
    assert re.search(r"In shared memory: 1 courses, \d+ people \(\d+% used; room for", block)


# --- while the database is away ------------------------------------------------------------------------------------------------------


def test_without_the_database_the_rest_is_told(make_stage):
    """Gone from the start, so that shared memory knows nothing; then it comes."""
    stage = make_stage().configure(pace=QUIET, extra=ADMIN).start()
    stage.httpd.allow_log(FAULTS)
    ada = stage.launch("ada")
    stage.wait_roster(ada)
    stage.httpd.stop()
    folder, away, server = stage.httpd.root / "db", stage.httpd.root / "db-away", database.KIND != "sqlite3"
    if server:
        time.sleep(1.5)  # the MariaDB of the tests writes its log once a second, and a roster that was lost is not fetched again here
        stage.httpd.store.server.kill()
    else:
        folder.rename(away)
    try:
        stage.httpd.start()
        assert stage.state(ada) == "unavailable"
        Browser().get(stage.url("/lti/launch"))
        metrics = Metrics(stage)
        assert metrics.value("lti_database_up") == 0
        assert metrics.value("lti_launches_total", code="method") == 1
        assert metrics.value("lti_lookups_total", source="unavailable") == 1
        assert ("lti_shared_memory_bytes",) in metrics and ("lti_build_info", ("version", version())) in metrics
        assert not any(key[0] == "lti_courses" for key in metrics)
        assert status_lines(stage)["LtiLaunchesRefused"] == 1
    finally:
        if server:
            stage.httpd.store.server.start()
        else:
            away.rename(folder)
    wait_for(lambda: Metrics(stage).value("lti_database_up") == 1, "the database", 20, 0.2)
    wait_for(lambda: stage.state(ada) == "current", "the roster", 20, 0.2)
    assert Metrics(stage).value("lti_courses", state="current") == 1
