# SPDX-License-Identifier: Apache-2.0
"""Point 4: who the application is told is there, and that nobody else can say so."""
import json
import time

import pytest
from client import Browser
from httpd import PROTECTED, wait_for

FORGED = "forged-by-the-client"

# Spellings that one backend or another reads as one of ours: letters fold, and anything that is no letter or digit may become '_'.
SPELLINGS = [
    "X-LTI-Role",
    "x-lti-role",
    "X-LTI-ROLE",
    "X_LTI_ROLE",
    "x_lti_role",
    "X-LTI_Role",
    "X_LTI-Role",
    "X.LTI.Role",
    "X-LTI.Role",
    "X~LTI~Role",
    "X!LTI#Role",
    "X-LTI-Remote-User",
    "X_LTI_Remote_User",
    "X-LTI-User-Id",
    "X-LTI-Custom-Anything",
    "X-LTI-Truncated",
    "X-LTI-",
    "X-LTI-Something-Of-Tomorrow",
]
# Only where AuthType LTI holds: other logins use them.
REMOTE_USER_SPELLINGS = ["Remote-User", "REMOTE_USER", "remote_user", "Remote.User", "X-Remote-User", "X_REMOTE_USER"]


def canonical(name):
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def forged_headers(names):
    return [(name, FORGED) for name in names]


# --- what is told -----------------------------------------------------------------------------------------------------------------------


def check_identity(stage, told, person, link, role):
    campus = stage.campus
    who, course = campus.state.person(person), campus.state.course("BIO1")
    wanted = {
        "USER_ID": who.id,
        "NAME": who.name,
        "GIVEN_NAME": who.given,
        "FAMILY_NAME": who.family,
        "EMAIL": who.email,
        "SOURCEDID": who.sourcedid,
        "ROLE": role,
        "ROLE_SOURCE": "launch",
        "CONTEXT_ID": course.id,
        "CONTEXT_LABEL": "BIO1",
        "CONTEXT_TITLE": "Biology I: Cells & Tissues",
        "RESOURCE_LINK_ID": course.links[link].id,
        "RESOURCE_LINK_TITLE": course.links[link].title,
        "PLATFORM": "campus",
        "ISSUER": campus.issuer,
        "CLIENT_ID": campus.tool.client_id,
        "DEPLOYMENT_ID": "d-1",
        "MESSAGE_TYPE": "LtiResourceLinkRequest",
        "TARGET_LINK_URI": stage.url(course.links[link].path),
        "RETURN_URL": f"{campus.issuer}/course/{course.id}",
        "LOCALE": who.locale,
        "CUSTOM_LOGIN": who.login,
    }
    for name, value in wanted.items():
        assert told(name) == (value or None), name
    assert "membership#" in told("ROLES")
    assert len(told("COURSE_KEY")) == 16 and told("LAUNCH_ID")


@pytest.mark.parametrize(
    ("person", "role"), [("zoe", "learner"), ("ada", "instructor"), ("grace", "teaching-assistant"), ("xiaolong", "learner"), ("bobby", "learner")]
)
def test_headers_tell_everything(still, person, role):
    browser = still.launch(person)
    told = still.echo(browser)
    check_identity(still, lambda name: told.get("x-lti-" + name.lower().replace("_", "-")), person, "proxied", role)
    assert told["x-lti-remote-user"] == f"{still.campus.state.person(person).id}@campus"


@pytest.mark.parametrize(
    ("person", "role"), [("zoe", "learner"), ("ada", "instructor"), ("grace", "teaching-assistant"), ("fatima", "learner"), ("sam", "learner")]
)
def test_environment_tells_everything(still, person, role):
    browser = still.launch(person, link="cgi")
    told = still.environment(browser)
    check_identity(still, lambda name: told.get("LTI_" + name), person, "cgi", role)
    assert told["REMOTE_USER"] == f"{still.campus.state.person(person).id}@campus"
    assert told["AUTH_TYPE"] == "LTI"


def test_every_name_arrives_whole(still):
    """Accents, other scripts, an emoji, markup, quotes: header and environment have the same UTF-8."""
    state = still.campus.state
    for login in [person.login for person, _ in state.roster("BIO1")]:
        browser = still.launch(login)
        name = state.person(login).name
        assert still.echo(browser)["x-lti-name"] == name
        assert still.environment(browser)["LTI_NAME"] == name


def test_encoded_headers_for_applications_that_cannot_read_utf8(make_stage):
    from urllib.parse import unquote

    stage = make_stage()
    stage.configure(pace="LTISync Off", extra='<Location "/app">\n    LTIPassIdentity env headers=encoded\n</Location>').start()
    told = stage.echo(stage.launch("xiaolong"))
    assert told["x-lti-name"].isascii() and unquote(told["x-lti-name"]) == "李小龍"


def test_identity_can_be_kept_from_the_application(make_stage):
    stage = make_stage()
    stage.configure(pace="LTISync Off", extra='<Location "/app">\n    LTIPassIdentity none\n</Location>').start()
    assert stage.echo(stage.launch("zoe")) == {}


def test_remote_user_follows_its_template(make_stage):
    stage = make_stage()
    stage.configure(pace="LTISync Off", extra='<Location "/cgi">\n    LTIRemoteUser {email}\n</Location>').start()
    browser = stage.launch("zoe", link="cgi")
    assert stage.environment(browser)["REMOTE_USER"] == "zoe@students.example.edu"
    assert stage.echo(browser)["x-lti-remote-user"].endswith("@campus")


def test_remote_user_is_never_a_path_nor_two_words(make_stage):
    stage = make_stage()
    stage.configure(pace="LTISync Off", extra='<Location "/cgi">\n    LTIRemoteUser {sourcedid}\n</Location>').start()
    stage.campus.state.person("zoe").sourcedid = "../a b:c%\\d"
    user = stage.environment(stage.launch("zoe", link="cgi"))["REMOTE_USER"]
    assert user.lower() == "%2e.%2fa%20b%3ac%25%5cd"


def test_remote_user_that_cannot_be_made_is_refused(make_stage):
    stage = make_stage()
    stage.configure(pace="LTISync Off", extra='<Location "/cgi">\n    LTIRemoteUser {sourcedid}\n</Location>').start()
    stage.campus.state.person("zoe").sourcedid = ""
    browser = stage.launch("zoe")
    assert stage.status(browser, "/cgi/class.cgi") == (403, "remote-user")


def test_responses_with_an_identity_are_private(still):
    browser = still.launch("zoe")
    assert "private" in browser.get(still.url("/app/echo")).header("Cache-Control")
    assert "private" in browser.get(still.url("/cgi/class.cgi")).header("Cache-Control")


def test_newest_launch_wins_in_one_browser(still):
    browser = still.launch("zoe", "BIO1")
    launched = int(time.time())
    wait_for(lambda: int(time.time()) > launched, "the next second: cookies count in whole ones")
    still.launch("zoe", "HIS2", browser=browser)
    assert still.echo(browser)["x-lti-context-label"] == "HIS2"


def test_logs_can_name_the_person(make_stage):
    stage = make_stage()
    stage.configure(pace="LTISync Off", extra='CustomLog logs/who.log "%u %{LTI_ROLE}e %U"').start()
    stage.echo(stage.launch("ada"))
    stage.httpd.stop()
    lines = (stage.httpd.root / "logs/who.log").read_text().splitlines()
    assert f"{stage.campus.state.person('ada').id}@campus instructor /app/echo" in lines


def test_expressions_see_the_identity(make_stage):
    stage = make_stage()
    extra = """<Location "/cgi">
    SetEnvIfExpr "%{LTI_ROLE} == 'instructor'" IS_TEACHER=yes
    Header set X-Seen "expr=%{LTI_NAME}"
</Location>
<Location "/app">
    RequestHeader set X-Course "expr=%{LTI_CONTEXT_LABEL}"
</Location>"""
    stage.configure(pace="LTISync Off", extra=extra).start()
    ada, zoe = stage.launch("ada", link="cgi"), stage.launch("zoe", link="cgi")
    assert stage.environment(ada).get("IS_TEACHER") == "yes" and "IS_TEACHER" not in stage.environment(zoe)
    assert ada.get(stage.url("/cgi/class.cgi")).header("X-Seen") == "Ada Lovelace"
    headers = dict(zoe.get(stage.url("/app/echo")).json()["headers"])
    assert headers["X-Course"] == "BIO1"


# --- what a client cannot say -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/app/echo", "/open/echo"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_forged_headers_never_reach_a_proxied_application(still, path, signed_in):
    """On protected and on public paths, with and without a session (Invariant 1, SPEC S-20)."""
    browser = still.launch("zoe") if signed_in else Browser()
    names = SPELLINGS + (REMOTE_USER_SPELLINGS if path.startswith("/app") else [])
    for batch in ([name] for name in names):
        response = browser.get(still.url(path), forged_headers(batch))
        if response.status == 401:
            assert not signed_in and path.startswith("/app")
            continue
        received = response.json()["headers"]
        assert not [name for name, value in received if FORGED in value], (batch, received)
    response = browser.get(still.url(path), forged_headers(names))
    if response.status == 200:
        received = [(canonical(name), value) for name, value in response.json()["headers"]]
        assert not [name for name, value in received if FORGED in value]
        ours = [name for name, _ in received if name.startswith("x_lti_")]
        assert len(ours) == len(set(ours)), "one name in two spellings"


def test_remote_user_headers_of_other_logins_pass_where_we_do_not_rule(still):
    headers = Browser().get(still.url("/open/echo"), [("Remote-User", "somebody")]).json()["headers"]
    assert ["Remote-User", "somebody"] in headers


def test_forged_headers_never_reach_a_script(still):
    browser = still.launch("zoe", link="cgi")
    for path, who in (("/cgi/class.cgi?echo", browser), ("/open-cgi/class.cgi?echo", browser), ("/open-cgi/class.cgi?echo", Browser())):
        told = still.environment(who, path, forged_headers(SPELLINGS + REMOTE_USER_SPELLINGS))
        ours = {name: value for name, value in told.items() if name.startswith(("HTTP_X_LTI", "LTI_", "REMOTE_USER"))}
        assert not [name for name, value in ours.items() if FORGED in value], ours


def test_forged_headers_do_not_steer_expressions_or_rewrites(make_stage):
    """mod_setenvif and mod_rewrite look at request headers early: ours must be gone by then."""
    extra = """SetEnvIf X-LTI-Role "(.+)" SEEN_ROLE=$1
SetEnvIf X_LTI_ROLE "(.+)" SEEN_ROLE=$1
RewriteEngine On
RewriteCond "%{HTTP:X-LTI-Role}" "."
RewriteRule "^/open-cgi/" "-" [F]"""
    stage = make_stage().configure(pace="LTISync Off", extra=extra).start()
    told = stage.environment(Browser(), "/open-cgi/class.cgi?echo", forged_headers(["X-LTI-Role", "X_LTI_ROLE"]))
    assert "SEEN_ROLE" not in told


def test_many_and_large_forged_headers(still):
    browser = still.launch("zoe")
    headers = [("X-LTI-Role", f"{FORGED} {number}") for number in range(50)] + [("x_lti_NAME", FORGED * 100)]
    received = browser.get(still.url("/app/echo"), headers).json()["headers"]
    assert not [name for name, value in received if FORGED in value]
    assert [value for name, value in received if name.lower() == "x-lti-role"] == ["learner"]


@pytest.mark.parametrize("connection", ["X-LTI-Role", "close, x-lti-user-id", "X-LTI-Name;X-LTI-Remote-User Keep-Alive", ",, X-LTI-Role ,x_lti_role"])
def test_client_cannot_have_our_headers_left_out(still, connection):
    """A proxy drops what the Connection header names, so a client must not name ours there."""
    browser = still.launch("zoe")
    assert still.echo(browser, headers=[("Connection", connection)]) == still.echo(browser)


# --- cookies ----------------------------------------------------------------------------------------------------------------------------


def cookies_received(response):
    return "; ".join(value for name, value in response.json()["headers"] if name.lower() == "cookie")


def test_our_cookies_never_reach_the_application(still):
    browser = still.launch("zoe")
    browser.start_login(still.campus, "BIO1", "ada")  # one state cookie in flight
    browser.set_cookie("app", "1")
    browser.set_cookie("lti", "mine")
    browser.set_cookie("ltix_a", "2")
    sent = browser.cookie_header(still.url("/app/echo"))
    assert "__Host-lti-" in sent and "lti_" in sent
    for path in ("/app/echo", "/open/echo"):
        received = cookies_received(browser.get(still.url(path)))
        assert sorted(received.split("; ")) == ["app=1", "lti=mine", "ltix_a=2"], path
    environment = still.environment(browser)
    assert sorted(environment["HTTP_COOKIE"].split("; ")) == ["app=1", "lti=mine", "ltix_a=2"]
    del browser.cookies[("localhost", "app")], browser.cookies[("localhost", "lti")], browser.cookies[("localhost", "ltix_a")]
    assert cookies_received(browser.get(still.url("/app/echo"))) == ""


def test_our_cookies_are_withheld_in_odd_cookie_headers(still):
    browser = still.launch("zoe")
    ((name, value),) = browser.named("lti_").items()
    ours = f"{name}={value}"
    for headers in (
        [("Cookie", f"a=1;{ours};b=2")],
        [("Cookie", f"a=1; {ours}; {ours} ;b=2")],
        [("Cookie", "a=1; b=2"), ("Cookie", ours)],
        [("Cookie", ours), ("Cookie", "a=1; b=2")],
        [("Cookie", f"a=1; {ours}"), ("Cookie", "b=2")],
        [("Cookie", "a=1"), ("Cookie", f"{ours}; b=2")],
        [("Cookie", f"a=1, {ours}; b=2")],
        [("Cookie", f";;{ours};; a=1 ; ;b=2;")],
    ):
        response = browser.get(still.url("/app/echo"), headers)
        if response.status != 200:
            assert response.status in (400, 401)  # httpd may refuse to guess
            continue
        received = cookies_received(response)
        assert value not in received and name not in received, (headers, received)
        assert "a=1" in received and "b=2" in received, (headers, received)


# --- sub-requests, internal redirects, error documents --------------------------------------------------------------------------------

PARTS = """<Location "/parts">
    AuthType LTI
    Require valid-user
    AuthzSendForbiddenOnFailure On
    Options +Includes
</Location>
<Location "/public">
    Options +Includes
</Location>
AddOutputFilter INCLUDES .shtml
AddType text/html .shtml
ErrorDocument 404 "/open-cgi/class.cgi?echo"
ErrorDocument 410 "/cgi/class.cgi?echo"
RewriteEngine On
RewriteRule "^/parts/gone$" "-" [G]
RewriteRule "^/parts/through$" "/cgi/class.cgi?echo" [PT]
<Directory "{root}/htdocs/parts">
    RewriteEngine On
    RewriteRule "^inside$" "/cgi/class.cgi?echo" [QSA,L]
    RewriteRule "^outside$" "/open-cgi/class.cgi?echo" [QSA,L]
    RewriteRule "^proxied$" "/app/echo" [L]
</Directory>
<Directory "{root}/htdocs/public">
    RewriteEngine On
    RewriteRule "^inside$" "/cgi/class.cgi?echo" [QSA,L]
</Directory>
"""


@pytest.fixture
def parts(make_stage):
    stage = make_stage()
    httpd = stage.httpd
    stage.configure(pace="LTISync Off", extra=PARTS.format(root=httpd.root))
    include = '[<!--#include virtual="{}" -->]'
    httpd.put("parts/page.shtml", include.format("/cgi/class.cgi?echo"))
    httpd.put("parts/open.shtml", include.format("/open-cgi/class.cgi?echo"))
    httpd.put("parts/echo.shtml", '<!--#echo var="REMOTE_USER" -->|<!--#echo var="LTI_ROLE" -->|<!--#echo var="LTI_NAME" -->')
    httpd.put("public/page.shtml", include.format("/cgi/class.cgi?echo"))
    return stage.start()


def check_person(parts, told):
    assert told.get("LTI_NAME", told.get("REDIRECT_LTI_NAME")) == "Zoë Müller"
    assert told["LTI_ROLE"] == "learner" and told["LTI_USER_ID"] == parts.campus.state.person("zoe").id


@pytest.mark.parametrize("page", ["page", "open"])
def test_sub_request_sees_the_same_person(parts, page):
    browser = parts.launch("zoe")
    response = browser.get(parts.url(f"/parts/{page}.shtml"), forged_headers(SPELLINGS))
    assert response.status == 200, response
    told = json.loads(response.text)[0]
    check_person(parts, told)
    if page == "page":
        assert told["REMOTE_USER"].endswith("@campus") and told["AUTH_TYPE"] == "LTI"
    assert FORGED not in response.text.replace(told.get("HTTP_REMOTE_USER", "-"), "") or page == "open"
    assert not [name for name, value in told.items() if "LTI_" in name and FORGED in value]
    assert "lti_" not in told.get("HTTP_COOKIE", "")


def test_page_itself_sees_the_person(parts):
    text = parts.launch("ada").get(parts.url("/parts/echo.shtml")).text
    assert text == f"{parts.campus.state.person('ada').id}@campus|instructor|Ada Lovelace"


def test_sub_request_to_a_protected_place_needs_a_session(parts):
    response = Browser().get(parts.url("/public/page.shtml"))
    parts.httpd.allow_log(r"include:error|AH01374|unable to include")
    assert response.status == 200 and "LTI_" not in response.text
    assert "[an error occurred" in response.text
    told = json.loads(parts.launch("zoe").get(parts.url("/public/page.shtml")).text)[0]
    check_person(parts, told)


@pytest.mark.parametrize("path", ["/parts/inside", "/parts/outside", "/parts/through", "/public/inside"])
def test_internal_redirect_sees_the_same_person(parts, path):
    told = parts.environment(parts.launch("zoe"), path, forged_headers(SPELLINGS))
    check_person(parts, told)
    assert not [name for name, value in told.items() if "LTI_" in name and FORGED in value]
    assert "lti_" not in told.get("HTTP_COOKIE", "")


def test_internal_redirect_to_the_proxy_sees_the_same_person(parts):
    told = parts.echo(parts.launch("zoe"), "/parts/proxied", forged_headers(SPELLINGS))
    assert told["x-lti-name"] == "Zoë Müller" and told["x-lti-role"] == "learner"
    assert FORGED not in "".join(told.values())


@pytest.mark.parametrize("path", ["/parts/inside", "/public/inside"])
def test_internal_redirect_into_a_protected_place_needs_a_session(parts, path):
    response = Browser().get(parts.url(path), forged_headers(SPELLINGS))
    assert response.status == 401, response


@pytest.mark.parametrize(("path", "status"), [("/parts/missing", 404), ("/parts/gone", 410)])
def test_error_document_sees_the_same_person(parts, path, status):
    browser = parts.launch("zoe")
    response = browser.get(parts.url(path), forged_headers(SPELLINGS))
    assert response.status == status
    if status == 410:
        # mod_rewrite says 410 before anyone is asked who is there; the error document itself is protected.
        if "LTI_NAME" not in response.text:
            pytest.fail(f"the error document does not know who is there: {response}")
    told = response.json()
    check_person(parts, told)
    assert not [name for name, value in told.items() if "LTI_" in name and FORGED in value]


# --- hosts without a platform -----------------------------------------------------------------------------------------------------------


def test_hosts_without_a_platform_are_left_alone(make_stage):
    """Another virtual host of the same server, without any platform: headers pass as they came, end points do not exist."""
    stage = make_stage()
    httpd = stage.httpd
    own = "\n".join((httpd.platform, "LTIApplication /app/ /cgi/", PROTECTED.format(root=httpd.root, app_port=httpd.app_port)))
    stage.configure(
        platform="",
        module_config=f"LTIStateDir {httpd.root}/state\nLTISync Off",
        locations="",
        extra=f"<VirtualHost 127.0.0.1:{httpd.port}>\n    ServerName {httpd.base_url}\n{own}\n</VirtualHost>",
        service=f'<VirtualHost 127.0.0.1:SERVICE_PORT>\n    ProxyPass "/" "http://127.0.0.1:{httpd.app_port}/"\n</VirtualHost>',
    ).start()
    other = f"http://127.0.0.1:{httpd.service_port}"
    headers = Browser().get(other + "/echo", [("X-LTI-Role", "theirs")]).json()["headers"]
    assert ["X-LTI-Role", "theirs"] in headers
    assert Browser().get(other + "/lti/jwks").status == 200  # the application's own page, not ours
    assert "keys" not in Browser().get(other + "/lti/jwks").text
    assert stage.echo(stage.launch("zoe"))["x-lti-name"] == "Zoë Müller"


def test_sub_request_is_told_no_more_than_its_place_allows(make_stage):
    extra = """<LocationMatch "^/open(-cgi)?/">
    LTIPassIdentity none
</LocationMatch>
<Location "/page.html">
    Options +Includes
    SetOutputFilter INCLUDES
</Location>"""
    stage = make_stage()
    stage.httpd.put("page.html", '<!--#echo var="LTI_NAME" encoding="none" --><!--#include virtual="/open/echo" --><!--#include virtual="/open-cgi/class.cgi?echo" -->')
    stage.configure(pace="LTISync Off", extra=extra).start()
    page = stage.launch("zoe").get(stage.url("/page.html")).text
    assert page.startswith("Zoë Müller") and page.count("Müller") == 1 and "LTI_USER_ID" not in page


def test_rules_of_the_last_place_count(make_stage):
    """Neither a redirect from a place with softer rules nor an early question lets in whom the roster has dropped; names follow the place too."""
    extra = """RewriteEngine On
RewriteCond expr "%{LTI_ROLE} == 'nobody'"
RewriteRule "^/" "-" [F]
<Location "/soft">
    AuthType LTI
    Require valid-user
    LTILiveRoster Off
    LTIRemoteUser soft-{sub}@{platform}
    RewriteEngine On
    RewriteRule "(.*)" "/app/echo" [L]
</Location>
<Directory "/">
    LTIRemoteUser dir-{sub}@{platform}
</Directory>"""
    stage = make_stage().configure(pace="LTISyncInterval 1h", extra=extra).start()
    browser = stage.launch("zoe")
    stage.wait_roster(browser)
    assert stage.echo(browser, "/soft/")["x-lti-remote-user"] == stage.echo(browser)["x-lti-remote-user"]
    assert stage.environment(browser)["REMOTE_USER"].startswith("dir-"), "the name was made before the directory was known"
    stage.campus.state.drop("BIO1", "zoe")
    stage.sync_now(stage.launch("ada"))
    assert stage.status(browser) == (403, "member-left")
    assert stage.status(browser, "/soft/") == (403, "member-left")
