# SPDX-License-Identifier: Apache-2.0
"""LTIUnauthenticated: what people without a session meet where AuthType LTI rules, and LTIRemoteUser of platforms and directories."""
import pytest
from client import Browser

CAMPUS_PAGE = "https://campus.example.edu/courses?from=tool&x=1"

# place -> LTIUnauthenticated and Require
PLACES = {
    "default": ("", "Require valid-user"),
    "four-oh-one": ("LTIUnauthenticated 401", "Require valid-user"),
    "away": (f"LTIUnauthenticated {CAMPUS_PAGE}", "Require valid-user"),
    "welcome": ("LTIUnauthenticated /welcome.txt?why=1", "Require valid-user"),
    "at-itself": ("LTIUnauthenticated /at-itself/class.cgi?echo", "Require valid-user"),
    "at-itself-whole": ("LTIUnauthenticated BASE/at-itself-whole/class.cgi", "Require valid-user"),
    "at-itself-encoded": ("LTIUnauthenticated /at%2Ditself-encoded/cl%61ss.cgi", "Require valid-user"),
    "at-itself-elsewhere": ("LTIUnauthenticated OTHER/at-itself-elsewhere/class.cgi", "Require valid-user"),
    "staff-away": (f"LTIUnauthenticated {CAMPUS_PAGE}", "Require lti-role staff"),
    "pass": ("LTIUnauthenticated Pass", "Require all granted"),
    "pass-user": ("LTIUnauthenticated pass", "Require valid-user"),
    "pass-staff": ("LTIUnauthenticated pass", "Require lti-role staff"),
    "pass-no-learners": (
        "LTIUnauthenticated pass",
        "<RequireAll>\n    Require all granted\n    Require not lti-role learner\n    </RequireAll>",
    ),
    "pass-expression": ("LTIUnauthenticated pass", "Require expr \"%{LTI_ROLE} != 'learner'\""),
    "away/back": ("LTIUnauthenticated 401", "Require valid-user"),
}


def other_name(httpd):
    """The same place by another name than that of the virtual host."""
    return f"http://127.0.0.1:{httpd.port}"


@pytest.fixture(scope="module")
def places(make_shared_stage):
    stage = make_shared_stage()
    httpd = stage.httpd
    lines = []
    for name in sorted(PLACES, key=len, reverse=True):
        lines.append(f'ScriptAlias "/{name}/" "{httpd.root}/cgi/"')
    for name, (unauthenticated, require) in PLACES.items():
        lines.append(f'<Location "/{name}">\n    AuthType LTI\n    {unauthenticated.replace("BASE", httpd.base_url).replace("OTHER", other_name(httpd))}\n    {require}\n</Location>')
    httpd.put("welcome.txt", "welcome")
    httpd.allow_log(r"AH0163[01]|AH01628")
    return stage.configure(pace="LTISync Off", extra="\n".join(lines)).start()


@pytest.fixture(scope="module")
def people(places):
    return {"zoe": places.launch("zoe"), "ada": places.launch("ada"), "nobody": Browser()}


def ask(places, browser, name, headers=(), method="GET"):
    return browser.request(method, places.url(f"/{name}/class.cgi?echo"), b"" if method not in ("GET", "HEAD") else None, headers)


@pytest.mark.parametrize("name", ["default", "four-oh-one", "away/back", "at-itself", "at-itself-whole", "pass-user", "pass-staff"])
def test_stranger_gets_a_page_that_says_where_to_go(places, people, name):
    answer = ask(places, people["nobody"], name)
    assert (answer.status, answer.error) == (401, "session-none"), answer
    assert "from your course" in answer.text and answer.header("WWW-Authenticate") == "LTI"


@pytest.mark.parametrize("name", ["at-itself-encoded", "at-itself-elsewhere"])
def test_nobody_is_led_round_for_ever(places, people, name):
    nobody = people["nobody"]
    answer = ask(places, nobody, name, [("Host", f"127.0.0.1:{places.httpd.port}")])
    assert (answer.status, answer.error) == (401, "session-none"), answer


@pytest.mark.parametrize("headers", [[], [("Accept", "text/html,*/*;q=0.8")], [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")]])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_stranger_is_led_elsewhere(places, people, headers, method):
    for name, target in (("away", CAMPUS_PAGE), ("welcome", "/welcome.txt?why=1"), ("staff-away", CAMPUS_PAGE)):
        answer = ask(places, people["nobody"], name, headers, method)
        assert (answer.status, answer.header("Location")) == (302, target), answer
        assert answer.header("Cache-Control") == "no-store", "a launch later this very address is a page"
    assert people["nobody"].follow(ask(places, people["nobody"], "welcome")).text == "welcome"


@pytest.mark.parametrize(
    "headers",
    [
        [("Sec-Fetch-Mode", "cors"), ("Accept", "text/html")],
        [("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")],
        [("Sec-Fetch-Mode", "same-origin")],
        [("X-Requested-With", "XMLHttpRequest"), ("Accept", "*/*")],
        [("Accept", "application/json")],
        [("Upgrade", "websocket"), ("Connection", "Upgrade")],
    ],
)
def test_scripts_and_parts_of_pages_are_not_led_elsewhere(places, people, headers):
    """fetch() would follow to another site, and fail in a way that tells the application nothing."""
    answer = ask(places, people["nobody"], "away", headers)
    assert (answer.status, answer.error, answer.header("Location")) == (401, "session-none", ""), answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_forms_are_not_led_elsewhere(places, people, method):
    answer = ask(places, people["nobody"], "away", [("Sec-Fetch-Mode", "navigate")], method)
    assert (answer.status, answer.header("Location")) == (401, ""), answer


def test_nothing_in_the_request_chooses_where_to(places, people):
    for path in ("/away/class.cgi?next=https://evil.example/", "/away//evil.example/", "/away/%0d%0aLocation:%20https://evil.example"):
        answer = people["nobody"].get(places.url(path), [("Referer", "https://evil.example/"), ("X-Forwarded-Host", "evil.example")])
        assert answer.status != 302 or answer.header("Location") == CAMPUS_PAGE, answer


def test_session_that_cannot_be_used_is_none(places):
    browser = places.launch("zoe")
    ((name, value),) = browser.named("lti_").items()
    browser.set_cookie(name, value[:-2] + ("AA" if value[-2:] != "AA" else "BB"))
    assert ask(places, browser, "away").location == CAMPUS_PAGE
    assert (ask(places, browser, "default").status, ask(places, browser, "pass").status) == (401, 200)


def test_who_is_known_but_not_let_in_is_not_led_elsewhere(places, people):
    """The course is where they come from: it would lead them here again."""
    assert ask(places, people["zoe"], "away").status == 200
    answer = ask(places, people["zoe"], "staff-away")
    assert answer.status in (401, 403) and not answer.header("Location")
    answer = ask(places, people["zoe"], "away", [("Sec-Fetch-Site", "cross-site")], "POST")
    assert (answer.status, answer.error) == (403, "cross-site")


# place -> who gets in
ADMITTED = {"pass": "zoe ada nobody", "pass-user": "zoe ada", "pass-staff": "ada", "pass-no-learners": "ada nobody", "pass-expression": "ada nobody"}


@pytest.mark.parametrize("name", ADMITTED)
def test_require_decides_about_strangers_too(places, people, name):
    for person, browser in people.items():
        answer = ask(places, browser, name)
        assert (answer.status == 200) == (person in ADMITTED[name].split()), (person, answer)
        if answer.status == 200:
            told = answer.json()
            known = person != "nobody"
            assert ("LTI_NAME" in told) == known and told.get("AUTH_TYPE") == ("LTI" if known else None)
            assert told.get("REMOTE_USER") == (f"{places.campus.state.person(person).id}@campus" if known else None)


def test_stranger_cannot_say_who_they_are(places, people):
    told = ask(places, people["nobody"], "pass", [("X-LTI-Role", "administrator"), ("Remote-User", "root"), ("Cookie", "lti_aaaaaaaaaaaaaaaa=1.0.x")]).json()
    assert "REMOTE_USER" not in told and not [name for name in told if "LTI_" in name and name != "LTI_TEST_CLOCK"], told
    assert "HTTP_REMOTE_USER" not in told


def test_request_of_another_site_is_a_strangers_where_strangers_may(places, people):
    cross = [("Sec-Fetch-Site", "cross-site")]
    told = ask(places, people["ada"], "pass", cross, "POST")
    assert told.status == 200 and "REMOTE_USER" not in told.json() and "LTI_NAME" not in told.json()
    assert ask(places, people["ada"], "pass-user", cross, "POST").error == "cross-site"


@pytest.mark.parametrize(
    "value",
    [
        "http://campus.example.edu/", "//campus.example.edu/", "/\\\\campus.example.edu/", "javascript:alert(1)", "welcome.html", "402", "https://",
        "https://user@campus.example.edu/", '"/a b"', '"/a\\"b"', "ftp://campus.example.edu/",
    ],
)  # fmt: skip
def test_places_that_lead_nowhere_or_anywhere_are_found_by_the_config_test(make_stage, value):
    stage = make_stage().configure(extra=f'<Location "/app">\n    LTIUnauthenticated {value}\n</Location>')
    code, output = stage.httpd.configtest()
    assert code != 0 and "401, pass, a path of this site" in output, output
    assert f"line {stage.httpd.line_of('LTIUnauthenticated')} of" in output


@pytest.mark.parametrize("line", ["LTICrossSite maybe", "LTIFrame https://portal.example.edu/path", "LTIFrame http://portal.example.edu", "LTIFrame *", "LTIFrame 'none'",
                                  "LTIFrame Off https://portal.example.edu", "LTIFrame On Off", "LTIFrame https://a.example;script-src", "LTIFrame"])  # fmt: skip
def test_other_rules_of_places_are_checked_too(make_stage, line):
    stage = make_stage().configure(extra=f'<Location "/app">\n    {line}\n</Location>')
    code, output = stage.httpd.configtest()
    assert code != 0 and f"line {stage.httpd.line_of(line)} of" in output, output


@pytest.mark.parametrize("line", ["LTIUnauthenticated pass", "LTICrossSite allow", "LTIFrame Off", "LTIPassClaims all"])
def test_pages_cannot_loosen_the_rules(make_stage, line):
    """None of these may stand in .htaccess."""
    stage = make_stage()
    stage.httpd.put("mine/index.txt", "mine")
    stage.httpd.put("mine/.htaccess", line)
    stage.httpd.expect_log(r"AH00036|not allowed here")
    stage.configure(pace="LTISync Off", extra=f'<Directory "{stage.httpd.root}/htdocs/mine">\n    AllowOverride All\n</Directory>').start()
    assert Browser().get(stage.url("/mine/index.txt")).status == 500


# --- LTIRemoteUser ----------------------------------------------------------------------------------------------------------------------


def test_template_of_the_platform_wins_over_that_of_the_directory(make_stage):
    stage = make_stage()
    block = stage.httpd.platform_block().replace("</LTIPlatform>", "    LTIRemoteUser {sourcedid}.of.{platform}\n</LTIPlatform>")
    second = stage.httpd.platform_block("second", LTIClientID="another")
    extra = '<Location "/cgi">\n    LTIRemoteUser {email}@{platform}\n</Location>'
    stage.configure(pace="LTISync Off", platform=f"{block}\n{second}", extra=extra).start()
    browser = stage.launch("zoe", link="cgi")
    assert stage.environment(browser)["REMOTE_USER"] == "SIS-zoe.of.campus"
    assert stage.echo(browser)["x-lti-remote-user"] == "SIS-zoe.of.campus"


def test_inner_directory_wins_over_the_outer_one(make_stage):
    stage = make_stage()
    extra = """LTIRemoteUser outer-{sub}@{platform}
<Location "/cgi">
    LTIRemoteUser {email-local}@{issuer}
</Location>"""
    stage.configure(pace="LTISync Off", extra=extra).start()
    browser = stage.launch("zoe", link="cgi")
    issuer = stage.campus.issuer.replace(":", "%3A").replace("/", "%2F")
    assert stage.environment(browser)["REMOTE_USER"] == f"zoe@{issuer}"
    assert stage.echo(browser)["x-lti-remote-user"] == f"outer-{stage.campus.state.person('zoe').id}@campus"
