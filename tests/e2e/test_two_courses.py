# SPDX-License-Identifier: Apache-2.0
"""Two courses in one browser: with LTICoursePaths On each course has addresses of its own, of which the application sees nothing, and never another's session."""
import html
import http.client
import re
import socket
import time
import urllib.parse

import pytest
from campus_state import Link
from client import Browser
from httpd import free_port, wait_for
from notebook import start_notebook

SEGMENT = re.compile(r"/~([a-z2-7]{16})(?=[/?]|$)")
APPLICATIONS = ("app", "cgi", "notes", "files", "raw")

PLACE = """<Location "/{name}">
    AuthType LTI
    Require valid-user
    AuthzSendForbiddenOnFailure On
    LTICoursePaths {on}
</Location>
"""

# Says what the test wants: the query is a form of headers, and of `body`.
ANSWERS = """#!/usr/bin/python3
import os, sys, urllib.parse
pairs = urllib.parse.parse_qsl(os.environ["QUERY_STRING"], keep_blank_values=True)
for name, value in pairs:
    if name != "body":
        print(f"{name}: {value}")
print("Content-Type: text/plain\\n")
print(dict(pairs).get("body", os.environ.get("LTI_CONTEXT_LABEL", "nobody")))
"""

SETTINGS = """ProxyPass "/notes/" "http://127.0.0.1:NOTES/notes/"
ProxyPass "/off/" "http://127.0.0.1:APP/"
ProxyPass "/raw/" "http://127.0.0.1:APP/" mapping=encoded
ProxyPass "/socket/" "http://127.0.0.1:SOCKET/" upgrade=websocket
ScriptAlias "/bare" "ROOT/cgi/answers.cgi"
LogFormat "%r|%U|%{Referer}i|%{lti-path-prefix}n" paths
CustomLog logs/paths.log paths
AllowEncodedSlashes On
SetEnvIf Request_URI "~[a-z2-7]{16}" SEGMENT_SEEN=setenvif
SetEnvIf Referer "~[a-z2-7]{16}" SEGMENT_SEEN=setenvif
RewriteEngine On
RewriteCond %{REQUEST_URI}%{THE_REQUEST}%{HTTP_REFERER} "~[a-z2-7]{16}"
RewriteRule . - [E=SEGMENT_SEEN:rewrite]
RewriteRule ^/files/old$ /files/page.html [R=302,L]
RewriteRule ^/files/inside$ /files/page.html [PT]
RewriteRule ^/round$ /cgi/class.cgi [PT]
<Location "/files">
    Options Includes
    AddOutputFilter INCLUDES .shtml
    ErrorDocument 404 /files/missing.shtml
    DirectoryIndex index.shtml
    Header set X-Course "%{LTI_CONTEXT_LABEL}e"
</Location>
"""


@pytest.fixture(scope="module")
def notebook():
    server = start_notebook(free_port())
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def stage(make_shared_stage, notebook):
    stage = make_shared_stage()
    httpd = stage.httpd
    script = httpd.root / "cgi/answers.cgi"
    script.write_text(ANSWERS)
    script.chmod(0o755)
    httpd.put("files/page.html", "a page")
    httpd.put("files/index.shtml", 'index of <!--#echo var="LTI_CONTEXT_LABEL" -->')
    httpd.put("files/dir/index.shtml", 'folder of <!--#echo var="LTI_CONTEXT_LABEL" -->')
    httpd.put("files/missing.shtml", 'nothing here, <!--#echo var="LTI_CONTEXT_LABEL" -->')
    httpd.put("files/parts.shtml", '<!--#include virtual="/cgi/answers.cgi" --> <!--#include virtual="index.shtml" -->')
    httpd.put("parts.shtml", '<!--#include virtual="/cgi/answers.cgi" -->')
    places = "".join(PLACE.format(name=name, on="On") for name in (*APPLICATIONS, "app/below", "bare", "socket")) + PLACE.format(name="off", on="Off")
    stage.socket_port = free_port()
    settings = SETTINGS.replace("NOTES", str(notebook.server_port)).replace("APP", str(httpd.app_port)).replace("SOCKET", str(stage.socket_port))
    settings = settings.replace("ROOT", str(httpd.root))
    module = f"LTIStateDir {httpd.root}/state\nLTIApplication /notes/ /app/ /cgi /files/ /raw/ /off/ /app/below/ /bare /socket/"
    shared = '<Location "/parts.shtml">\n    Options Includes\n    SetOutputFilter INCLUDES\n</Location>\n'
    stage.configure(pace="LTISync Off", module_config=module + "\nLTISync Off", extra=settings + places + shared)
    for course in stage.campus.state.courses.values():
        for name in (*APPLICATIONS, "off"):
            course.links[name] = Link(f"rl-{course.label}-{name}", name, f"/{name}/" + ("class.cgi" if name == "cgi" else ""))
    stage.campus.state.enrol("HIS2", "grace", "instructor")
    return stage.start()


def read_until(connection, end):
    connection.settimeout(20)
    text = b""
    while not text.endswith(end):
        chunk = connection.recv(4096)
        assert chunk, text
        text += chunk
    return text.decode()


def key_of(url):
    found = SEGMENT.findall(urllib.parse.urlsplit(url).path)
    assert len(found) == 1, url
    return found[0]


def launch(stage, person, course="BIO1", link="app", browser=None):
    """(browser, key of the course)"""
    browser = stage.launch(person, course, link, browser)
    return browser, key_of(browser.steps.launch.location)


@pytest.fixture
def two(stage):
    """A browser with two courses: (browser, key of BIO1, key of HIS2)."""
    browser, first = launch(stage, "zoe", "BIO1")
    browser, second = launch(stage, "zoe", "HIS2", browser=browser)
    return browser, first, second


def label(stage, browser, path, headers=()):
    return stage.echo(browser, path, headers)["x-lti-context-label"]


# --- the way in ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", APPLICATIONS)
def test_launch_leads_to_addresses_of_the_course(stage, link):
    # The last is mapped to its backend before httpd decodes the address.
    browser = stage.launch("zoe", link=link)
    (name,) = browser.named("lti_")
    path = urllib.parse.urlsplit(browser.steps.launch.location).path
    assert path == f"/{link}/~{name[4:]}/" + ("class.cgi" if link == "cgi" else "")
    assert browser.steps.app.status == 200, browser.steps.app


def test_launch_leads_into_its_own_course_from_an_address_copied_in_another(stage):
    course = stage.campus.state.course("HIS2")
    course.links["copied"] = Link("rl-copied", "copied", "/app/~abcdefghijklmnop/echo?x=~abcdefghijklmnop#top")
    browser = stage.launch("zoe", "HIS2", "copied")
    (name,) = browser.named("lti_")
    assert browser.steps.launch.header("Location") == stage.url(f"/app/~{name[4:]}/echo?x=~abcdefghijklmnop#top")


def test_proxied_application_sees_clean_addresses_only(stage, two):
    browser, first, second = two
    referer = stage.url(f"/app/~{first}/page?back=1")
    answer = browser.get(stage.url(f"/app/~{first}/echo?a=~b"), [("Referer", referer)]).json()
    assert answer["path"] == "/echo?a=~b"
    told = dict(answer["headers"])
    assert told["Referer"] == stage.url("/app/page?back=1")
    assert told.pop("X-LTI-Path-Prefix") == f"/app/~{first}"
    assert first not in str(told) and second not in str(told)


def test_cgi_application_sees_clean_addresses_only(stage, two):
    browser, first, second = two
    told = stage.environment(browser, f"/cgi/~{second}/class.cgi/more?echo", [("Referer", stage.url(f"/cgi/%7E{second}/"))])
    assert told["LTI_CONTEXT_LABEL"] == "HIS2"
    assert told["REQUEST_URI"] == "/cgi/class.cgi/more?echo"
    assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == ("/cgi/class.cgi", "/more")
    assert told["HTTP_REFERER"] == stage.url("/cgi/")
    assert "SEGMENT_SEEN" not in told, "mod_setenvif or mod_rewrite saw the segment"
    assert told.pop("LTI_PATH_PREFIX") == told.pop("HTTP_X_LTI_PATH_PREFIX") == f"/cgi/~{second}"
    assert first not in str(told) and second not in str(told)


def test_logs_name_the_clean_address_and_on_request_the_course(stage, two):
    browser, first, _ = two
    browser.get(stage.url(f"/app/~{first}/echo?for-the-log"), [("Referer", stage.url(f"/app/~{first}/x"))])
    log = stage.httpd.root / "logs/paths.log"
    line = wait_for(lambda: next((line for line in log.read_text().splitlines() if "for-the-log" in line), None), "the log line")
    assert line == f"GET /app/echo?for-the-log HTTP/1.1|/app/echo|{stage.url('/app/x')}|/app/~{first}"


def test_absolute_form_of_the_request_line(stage, two):
    browser, first, _ = two
    url = stage.url(f"/cgi/~{first}/class.cgi?echo")
    connection = http.client.HTTPConnection("127.0.0.1", stage.httpd.port, timeout=20)
    connection.request("GET", url, headers={"Host": f"localhost:{stage.httpd.port}", "Cookie": browser.cookie_header(url)})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200, body
    assert '"LTI_CONTEXT_LABEL": "BIO1"' in body and first not in body.replace(f"/cgi/~{first}", "")


def test_web_socket_with_the_segment_is_of_its_course(stage, two):
    browser, first, second = two
    with socket.create_server(("127.0.0.1", stage.socket_port)) as backend:
        backend.settimeout(20)
        for key, wanted in ((first, "BIO1"), (second, "HIS2")):
            lines = [f"GET /socket/~{key}/live?x HTTP/1.1", f"Host: localhost:{stage.httpd.port}", "Connection: Upgrade", "Upgrade: websocket"]
            lines += [f"Origin: {stage.httpd.base_url}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
            lines += [f"Cookie: {browser.cookie_header(stage.url('/socket/'))}", "", ""]
            with socket.create_connection(("127.0.0.1", stage.httpd.port), 20) as client:
                client.sendall("\r\n".join(lines).encode())
                accepted, _ = backend.accept()
                with accepted:
                    asked = read_until(accepted, b"\r\n\r\n")
                    accepted.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfrom the backend")
                    told = read_until(client, b"from the backend")
                    client.sendall(b"from the browser")
                    assert read_until(accepted, b"from the browser")
            assert told.startswith("HTTP/1.1 101 ")
            assert asked.startswith("GET /live?x HTTP/1.1\r\n")
            assert f"\r\nX-LTI-Context-Label: {wanted}\r\n" in asked and f"\r\nX-LTI-Path-Prefix: /socket/~{key}\r\n" in asked
            assert "lti_" not in asked, "our cookies"


# --- whose session -------------------------------------------------------------------------------------------------------------------


def test_each_address_has_the_session_of_its_course_whatever_was_opened_last(stage, two):
    browser, first, second = two
    for key, wanted in ((first, "BIO1"), (second, "HIS2"), (first, "BIO1")):
        assert label(stage, browser, f"/app/~{key}/echo") == wanted
        assert stage.environment(browser, f"/cgi/~{key}/class.cgi?echo")["LTI_CONTEXT_LABEL"] == wanted
        assert browser.get(stage.url(f"/files/~{key}/page.html")).header("X-Course") == wanted
        assert browser.get(stage.url(f"/raw/~{key}/a%2Fb/echo")).json()["path"] == "/a%2Fb/echo"
        assert label(stage, browser, f"/raw/~{key}/echo") == wanted
        lost = browser.get(stage.url("/raw/a%2Fb/echo"), [("Referer", stage.url(f"/raw/~{key}/"))])
        assert lost.header("Location") == f"/raw/~{key}/a%2Fb/echo"


def test_two_people_in_one_course(stage):
    browser, teacher = launch(stage, "ada")
    browser, student = launch(stage, "zoe", browser=browser)
    assert teacher != student
    assert stage.echo(browser, f"/app/~{teacher}/echo")["x-lti-role"] == "instructor"
    assert stage.echo(browser, f"/app/~{student}/echo")["x-lti-role"] == "learner"


def test_missing_session_is_never_made_up_for_by_another(stage, two):
    browser, first, second = two
    del browser.cookies[("localhost", f"lti_{first}")]
    for method in ("GET", "POST"):
        answer = browser.request(method, stage.url(f"/app/~{first}/echo"), headers=[("Referer", stage.url(f"/app/~{second}/"))])
        assert (answer.status, answer.error) == (401, "session-none")
        assert "open this tool from your course" in answer.text
    assert stage.status(browser, "/app/~abcdefghijklmnop/echo") == (401, "session-none")
    assert label(stage, browser, f"/app/~{second}/echo") == "HIS2"


def test_expired_session_is_never_made_up_for_by_another(stage, two):
    browser, first, second = two
    try:
        stage.httpd.set_clock(90 * 60)
        before = browser.named("lti_")
        wait_for(lambda: stage.echo(browser, f"/app/~{second}/echo") and browser.named("lti_") != before, "the session in use to be renewed")
        stage.httpd.set_clock(150 * 60)
        wait_for(lambda: stage.status(browser, f"/app/~{first}/echo") == (401, "session-expired"), "the other session's idle time to end")
        assert label(stage, browser, f"/app/~{second}/echo") == "HIS2"
        # The only one that is alive: no guess.
        assert browser.get(stage.url("/app/echo")).location == stage.url(f"/app/~{second}/echo")
    finally:
        stage.httpd.set_clock(0)


def test_cookie_under_another_name_is_no_session(stage, two):
    browser, first, second = two
    browser.set_cookie(f"lti_{first}", browser.named("lti_")[f"lti_{second}"])
    assert stage.status(browser, f"/app/~{first}/echo") == (401, "session-invalid")


# {1}, {2}: the keys. Then what comes: the path that the application sees and whose course, or the status.
ODD = [
    ("/app/%7E{1}/echo", "/echo", "BIO1"),
    ("/app/%7e{2}/echo", "/echo", "HIS2"),
    ("//app/~{1}/echo", "/echo", "BIO1"),
    ("/app//~{2}/echo", "/echo", "HIS2"),
    ("/./app/~{1}/./echo", "/echo", "BIO1"),
    ("/%61pp/~{1}/echo", "/echo", "BIO1"),
    ("/app/x/../~{2}/echo", "/echo", "HIS2"),
    ("/app/~{1}/../~{2}/echo", "/echo", "HIS2"),
    ("/app/%2e%2e/app/~{1}/echo", "/echo", "BIO1"),
    ("/app/~{1}/~{2}/echo", "/~{2}/echo", "BIO1"),
    ("/app/~{1}/~{1}/echo", "/~{1}/echo", "BIO1"),
    ("/app/~{1}/~/~~/echo", "/~/~~/echo", "BIO1"),
    ("/app/~{1}/%7E{2}/echo?~{2}", "/~{2}/echo?~{2}", "BIO1"),
    ("/app/~{1}/a%20b;c=d/echo", "/a%20b;c=d/echo", "BIO1"),
    ("/app/~{1}/echo?next=/app/~{2}/", "/echo?next=/app/~{2}/", "BIO1"),
    ("/app/~{1}/../echo", 300, None),
    ("/app/x/~{1}/echo", 300, None),
    ("/app/~{1}x/echo", 300, None),
    ("/app/~{1}%2Fecho", 300, None),
    ("/app/~{1};x/echo", 300, None),
    ("/app%2F~{1}/echo", 409, None),
    ("/app/~{1}%00/echo", 404, None),
    ("/app/~alice/echo", 300, None),
    ("/app/~/echo", 300, None),
    ("/app/~{1}/../../nowhere", 404, None),
    ("/app/~{1}/../../../etc/passwd", 400, None),
    ("/app~{1}/echo", 404, None),
    ("/~{1}/app/echo", 404, None),
]


@pytest.mark.parametrize("path, seen, course", ODD)
def test_odd_addresses(stage, two, path, seen, course):
    stage.httpd.allow_log(r"AH10244|AH00026")  # httpd refuses what leads above the root, or has a NUL
    browser, first, second = two
    keys = {"1": first, "2": second}

    def fill(text):
        return re.sub(r"\{(\d)\}", lambda match: keys[match[1]], text)

    answer = browser.get(stage.url(fill(path)))
    if course is None:
        assert answer.status == seen, answer
        return
    assert answer.status == 200, answer
    told = answer.json()
    assert told["path"] == fill(seen)
    assert dict(told["headers"])["X-LTI-Context-Label"] == course
    assert dict(told["headers"])["X-LTI-Path-Prefix"] == f"/app/~{keys['1'] if course == 'BIO1' else keys['2']}"


def test_upper_case_keys_are_none(stage, two):
    browser, first, _ = two
    assert browser.get(stage.url(f"/app/~{first.upper()}/echo")).status == 300


# --- the segment lost ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_page_leads_what_it_asks_for_into_its_own_course(stage, two, method):
    browser, first, second = two
    for key in (first, second):
        page = [("Referer", stage.url(f"/app/~{key}/page?x=/app/~{second}/"))]
        answer = browser.request(method, stage.url("/app/echo?q=%2F&r=~"), headers=page)
        assert (answer.status, answer.header("Location")) == (307, f"/app/~{key}/echo?q=%2F&r=~")
        assert "no-store" in answer.header("Cache-Control")


def test_page_leads_into_other_applications_of_its_course(stage, two):
    browser, first, _ = two
    answer = browser.get(stage.url("/cgi/class.cgi?echo"), [("Referer", stage.url(f"/notes/~{first}/"))])
    assert answer.header("Location") == f"/cgi/~{first}/class.cgi?echo"


def test_only_course_is_no_guess(stage):
    browser, key = launch(stage, "zoe", link="notes")
    for method in ("GET", "HEAD", "POST"):
        answer = browser.request(method, stage.url("/notes/api?x"))
        assert (answer.status, answer.header("Location")) == (307, f"/notes/~{key}/api?x")
        assert "~" not in urllib.parse.urlsplit(answer.location).path.replace(f"~{key}", ""), "one segment"


def test_body_of_a_post_arrives(stage, two):
    browser, first, _ = two
    page = [("Referer", stage.url(f"/notes/~{first}/")), ("Content-Type", "text/plain")]
    led = browser.post(stage.url("/notes/api"), body=b"x" * 200000, headers=page)
    assert led.status == 307
    arrived = browser.post(led.location, body=b"kept", headers=page).json()
    assert (arrived["method"], arrived["body"], arrived["now"]["course"]) == ("POST", "kept", "BIO1")
    assert arrived["referer"] == stage.url("/notes/")


NO_REFERERS = [
    None,
    "https://evil.example/app/~{key}/",
    "http://localhost.evil.example/app/~{key}/",
    "http://localhost:1/app/~{key}/",
    "http://127.0.0.1:{port}/app/~{key}/",
    "https://localhost:{port}/app/~{key}/",
    "http://localhost:{port}@evil.example/app/~{key}/",
    "http://evil.example#http://localhost:{port}/app/~{key}/",
    "http://localhost:{port}/",
    "http://localhost:{port}/app/",
    "http://localhost:{port}/off/~{key}/",
    "http://localhost:{port}/x?/app/~{key}/",
    "http://localhost:{port}/app/~{key}/../../",
    "/app/~{key}/",
    "~{key}",
    "about:client",
]


@pytest.mark.parametrize("referer", NO_REFERERS)
def test_no_page_that_says_which_course_means_no_guess(stage, two, referer):
    browser, first, second = two
    headers = [("Referer", referer.format(key=first, port=stage.httpd.port))] if referer else []
    for method, status in (("GET", 300), ("HEAD", 300), ("POST", 409), ("PUT", 409), ("DELETE", 409)):
        answer = browser.request(method, stage.url("/app/echo"), headers=headers)
        assert answer.status == status and not answer.header("Location"), answer
        assert "no-store" in answer.header("Cache-Control")
        assert answer.error == ("" if status == 300 else "session-ambiguous")


def test_choice_page_shows_courses_and_people_and_leads_on(stage):
    course = stage.campus.state.course("HIS2")
    title, course.title = course.title, "<script>alert('History')</script> & \"Größe\""
    try:
        browser, first = launch(stage, "ada", "BIO1")
        browser, second = launch(stage, "bobby", "BIO1", browser=browser)
        browser, third = launch(stage, "ada", "HIS2", browser=browser)
    finally:
        course.title = title
    page = browser.get(stage.url("/app/echo?a=1&b=\"><img>%22"))
    assert page.status == 300 and page.header("Content-Type").startswith("text/html")
    assert "<script" not in page.text and "<img" not in page.text and "<b>" not in page.text
    assert "&#60;script&#62;alert(&#39;History&#39;)&#60;/script&#62; &#38; &#34;Gr&#246;&#223;e&#34;" in page.text
    assert "Ada Lovelace</bdi>, instructor" in page.text and "Ada Lovelace</bdi>, learner" in page.text
    assert "&#60;b&#62;Bobby&#60;/b&#62; &#34;Tables&#34; &#38; S&#246;hne</bdi>, learner" in page.text
    links = [urllib.parse.unquote(html.unescape(link)) for link in re.findall(r'href="([^"]*)"', page.text)]
    assert sorted(links) == sorted(f'/app/~{key}/echo?a=1&b="><img>"' for key in (first, second, third))
    assert label(stage, browser, f"/app/~{third}/echo") == "HIS2"


def test_without_a_session_all_is_as_usual(stage, browser):
    for method in ("GET", "POST"):
        answer = browser.request(method, stage.url("/app/echo"))
        assert (answer.status, answer.error) == (401, "session-none")
    browser.set_cookie("lti_abcdefghijklmnop", "1.68000000.AAAA")
    browser.set_cookie("lti_zzzzzzzzzzzzzzzz", "1.68000001.AAAA")
    assert stage.status(browser, "/app/echo") == (401, "session-invalid")


def test_following_redirects_ends(stage, two):
    browser, first, second = two
    for path in ("/app/echo", "/app//~x/echo", "/app/~echo/echo", f"/app/~{first}x/echo", "/notes/page"):
        answer = browser.get(stage.url(path), [("Referer", stage.url(f"/app/~{second}/"))])
        assert answer.status == 307
        assert browser.get(answer.location, [("Referer", stage.url(f"/app/~{first}/"))]).status in (200, 404)


def test_application_reached_round_its_addresses_is_nobodys_unless_one_course_is_open(stage, two):
    browser, first, second = two
    assert stage.status(browser, "/round?echo") == (409, "session-ambiguous")
    stage.httpd.expect_log(r"unable to include .*answers.cgi.* returned 409")
    assert "an error occurred" in browser.get(stage.url("/parts.shtml")).text
    del browser.cookies[("localhost", f"lti_{first}")]
    assert stage.environment(browser, "/round?echo")["LTI_CONTEXT_LABEL"] == "HIS2"
    assert browser.get(stage.url("/parts.shtml")).text.strip() == "HIS2"


# --- the way out -----------------------------------------------------------------------------------------------------------------------

# What the application answers, and what the browser gets; {p} is the segment, {o} our origin.
HEADERS = [
    ("Location", "{o}/cgi/class.cgi?x=/cgi/", "{o}/cgi/{p}/class.cgi?x=/cgi/"),
    ("Location", "{o}/app/page#f", "{o}/app/{p}/page#f"),
    ("Location", "//{h}/cgi/x", "//{h}/cgi/{p}/x"),
    ("Location", "next", "/cgi/{p}/next"),
    ("Location", "../app/x", "/app/{p}/x"),
    ("Location", "{o}/cgi/{p}/x", "{o}/cgi/{p}/x"),
    ("Location", "{o}/off/x", "{o}/off/x"),
    ("Location", "{o}/", "{o}/"),
    ("Location", "https://elsewhere.example/cgi/x", "https://elsewhere.example/cgi/x"),
    ("Content-Location", "/cgi/x", "/cgi/{p}/x"),
    ("Refresh", "1; url=/cgi/x", "1; url=/cgi/{p}/x"),
    ("Set-Cookie", "sid=1; Path=/cgi; HttpOnly", "sid=1; Path=/cgi/{p}; HttpOnly"),
    ("Set-Cookie", "sid=1; path=/cgi/", "sid=1; path=/cgi/{p}/"),
    ("Set-Cookie", "sid=1; Path=/", "sid=1; Path=/cgi/{p}"),
    ("Set-Cookie", "sid=1; Path=/off/", "sid=1; Path=/off/"),
    ("Set-Cookie", "sid=1", "sid=1"),
    ("Set-Cookie", "__Host-sid=1; Path=/; Secure", "__Host-sid=1; Path=/; Secure"),
]


@pytest.mark.parametrize("name, said, told", HEADERS)
def test_answers_say_the_address_of_the_course(stage, two, name, said, told):
    browser, first, _ = two
    words = {"p": "~" + first, "o": stage.httpd.base_url, "h": stage.httpd.base_url.removeprefix("http://")}
    query = urllib.parse.urlencode([(name, said.format(**words)), ("Status", "302 Found" if name == "Location" else "200 OK")])
    answer = browser.get(stage.url(f"/cgi/~{first}/answers.cgi?{query}"))
    assert answer.status == (302 if name == "Location" else 200)
    assert [value for value in answer.headers.get_all(name) if not value.startswith("lti_")] == [told.format(**words)]


def test_cookie_without_a_path_is_of_the_course_where_the_address_ends_with_it(stage, two):
    # The folder of "/bare/~key", which browsers take then, is "/bare": that of all courses.
    browser, first, second = two
    for key in (first, second):
        answer = browser.get(stage.url(f"/bare/~{key}?{urllib.parse.urlencode({'Set-Cookie': 'sid=1; HttpOnly'})}"))
        assert answer.status == 200 and answer.set_cookies == [f"sid=1; HttpOnly; Path=/bare/~{key}"]


def test_relative_link_into_an_application_below_leads_to_the_addresses_of_that_one(stage, two):
    # Otherwise it would have two addresses in one course, and its cookies only at one of them.
    browser, first, second = two
    for key, wanted in ((first, "BIO1"), (second, "HIS2")):
        for method in ("GET", "POST"):
            answer = browser.request(method, stage.url(f"/app/~{key}/below/echo?x"), headers=[("Referer", stage.url(f"/app/~{first}/"))])
            assert (answer.status, answer.header("Location")) == (307, f"/app/below/~{key}/echo?x")
        assert label(stage, browser, f"/app/below/~{key}/echo") == wanted


def test_errors_say_the_address_of_the_course_too(stage, two):
    browser, first, _ = two
    query = urllib.parse.urlencode([("Status", "404 Not Found"), ("Set-Cookie", "a=1; Path=/cgi/"), ("Set-Cookie", "b=1; Path=/")])
    answer = browser.get(stage.url(f"/cgi/~{first}/answers.cgi?{query}"))
    assert answer.status == 404
    assert answer.set_cookies == [f"a=1; Path=/cgi/~{first}/", f"b=1; Path=/cgi/~{first}"]


def test_redirects_of_httpd_itself_stay_in_the_course(stage, two):
    browser, first, second = two
    for path, leads in (("/files/~{}/dir", "/files/~{}/dir/"), ("/files/~{}", "/files/~{}/"), ("/files/~{}/old?q", "/files/~{}/page.html?q")):
        for key in (first, second):
            answer = browser.get(stage.url(path.format(key)))
            assert answer.status in (301, 302) and answer.location == stage.url(leads.format(key)), answer
    assert browser.get(stage.url(f"/files/~{first}/inside")).text == "a page"


def test_internal_redirects_and_sub_requests_are_of_the_course(stage, two):
    browser, first, second = two
    for key, wanted in ((first, "BIO1"), (second, "HIS2")):
        assert browser.get(stage.url(f"/files/~{key}/")).text == f"index of {wanted}"
        assert browser.get(stage.url(f"/files/~{key}/dir/")).text == f"folder of {wanted}"
        assert browser.get(stage.url(f"/files/~{key}/parts.shtml")).text == f"{wanted}\n index of {wanted}"
        missing = browser.get(stage.url(f"/files/~{key}/none"))
        assert (missing.status, missing.text) == (404, f"nothing here, {wanted}")
        # A CGI script that answers with a path of this site: httpd goes there by itself, whether or not the script knows of the segment.
        for address in ("/cgi/class.cgi?echo", f"/cgi/~{key}/class.cgi?echo"):
            answer = browser.get(stage.url(f"/cgi/~{key}/answers.cgi?{urllib.parse.urlencode({'Location': address})}"))
            assert answer.status == 200 and answer.json()["LTI_CONTEXT_LABEL"] == wanted, answer
            assert answer.json()["LTI_PATH_PREFIX"] == f"/cgi/~{key}"


def test_address_that_somebody_copied_admits_nobody_else(stage, two):
    browser, first, _ = two
    answer = Browser().get(stage.url(f"/files/~{first}/none"))
    assert (answer.status, answer.error) == (401, "session-none")


def test_sessions_of_the_application_are_of_one_course(stage, notebook):
    browser, first = launch(stage, "zoe", "BIO1", "notes")
    browser, second = launch(stage, "zoe", "HIS2", "notes", browser)
    browser, teacher = launch(stage, "ada", "BIO1", "notes", browser)
    told = {}
    for _ in range(2):
        for key in (first, second, teacher):
            answer = browser.get(stage.url(f"/notes/~{key}/api")).json()
            assert answer["own"] == answer["now"], "the application's session is that of another course or person"
            assert "lti_" not in answer["cookies"]
            told[key] = (answer["now"]["course"], answer["now"]["role"])
    assert told == {first: ("BIO1", "learner"), second: ("HIS2", "learner"), teacher: ("BIO1", "instructor")}


def test_session_cookie_for_the_whole_host_is_of_one_course_too(stage, notebook):
    notebook.cookie_path = "/"
    try:
        test_sessions_of_the_application_are_of_one_course(stage, notebook)
    finally:
        notebook.cookie_path = "/notes/"


# --- our own end points, and applications without it ---------------------------------------------------------------------------------------


def test_end_points_serve_the_course_of_the_page_that_calls_them(stage):
    browser, first = launch(stage, "ada", "BIO1")
    browser, second = launch(stage, "grace", "HIS2", browser=browser)
    keys = {key: stage.echo(browser, f"/app/~{key}/echo")["x-lti-course-key"] for key in (first, second)}
    for key in (first, second, first):
        answer = browser.get(stage.url("/lti/sync"), [("Referer", stage.url(f"/app/~{key}/"))])
        assert answer.status == 200 and answer.json()["course"] == keys[key], answer
    # No page, or one that should have said it: never a guess.
    for page in (None, stage.url("/app/"), stage.url(f"/app/x/~{first}/"), f"https://evil.example/app/~{first}/"):
        for method in ("GET", "POST"):
            answer = browser.request(method, stage.url("/lti/sync"), headers=[("Referer", page)] if page else [])
            assert (answer.status, answer.error) == (409, "session-ambiguous")
    assert browser.get(stage.url("/lti/sync"), [("Referer", stage.url("/off/"))]).status == 200, "there the newest launch wins"
    del browser.cookies[("localhost", f"lti_{first}")]
    assert browser.get(stage.url("/lti/sync"), [("Referer", stage.url(f"/app/~{first}/"))]).status == 401
    assert browser.get(stage.url("/lti/sync")).json()["course"] == keys[second], "the only one"


def test_off_the_newest_launch_wins_and_addresses_are_the_applications_own(stage):
    browser = stage.launch("zoe", "BIO1", "off")
    assert browser.steps.launch.location == stage.url("/off/")
    (name,) = browser.named("lti_")
    launched = int(time.time())
    wait_for(lambda: int(time.time()) > launched, "the next second: cookies count in whole ones")
    stage.launch("zoe", "HIS2", "off", browser)
    key = name[4:]
    answer = browser.get(stage.url(f"/off/~{key}/echo"), [("Referer", stage.url(f"/off/~{key}/"))]).json()
    assert answer["path"] == f"/~{key}/echo"
    told = dict(answer["headers"])
    assert told["X-LTI-Context-Label"] == "HIS2" and "X-LTI-Path-Prefix" not in told
    assert told["Referer"] == stage.url(f"/off/~{key}/")


def test_thirty_courses_of_one_instructor(stage):
    state = stage.campus.state
    labels = [f"SEM{number:02}" for number in range(30)]
    browser, keys = Browser(), {}
    for text in labels:
        course = state.add_course(text, f"Seminar {text}: " + "a title as long as they are " * 2)
        course.links["app"] = Link(f"rl-{text}", "Seminar tool", "/app/")
        state.enrol(text, "ada", "instructor")
        browser, keys[text] = launch(stage, "ada", text, browser=browser)
        cookies = browser.named("lti_")
        assert sum(len(f"{name}={value}; ") for name, value in cookies.items()) <= 4096
        assert all(len(f"{name}={value}") <= 1024 for name, value in cookies.items())
    assert len(set(keys.values())) == 30
    kept = [text for text in labels if f"lti_{keys[text]}" in browser.named("lti_")]
    assert len(kept) >= 4 and kept == labels[-len(kept) :], "the newest are kept"
    for text in labels:
        if text in kept:
            assert label(stage, browser, f"/app/~{keys[text]}/echo") == text
        else:
            assert stage.status(browser, f"/app/~{keys[text]}/echo") == (401, "session-none")
    page = browser.get(stage.url("/app/"))
    assert page.status == 300 and page.text.count("<li>") == len(kept)


# --- a whole site as one application ---------------------------------------------------------------------------------------------------------


def test_application_that_is_the_whole_site(make_stage):
    stage = make_stage()
    places = PLACE.format(name="", on="On") + f'ProxyPass "/" "http://127.0.0.1:{stage.httpd.app_port}/"\n'
    stage.httpd.module_config = f"LTIStateDir {stage.httpd.root}/state\nLTIApplication /\nLTISync Off"
    stage.configure(locations=places).start()
    for course in ("BIO1", "HIS2"):
        stage.campus.state.course(course).links["root"] = Link(f"rl-{course}", "root", "/echo")
    browser, first = launch(stage, "ada", "BIO1", "root")
    browser, second = launch(stage, "ada", "HIS2", "root", browser)
    assert urllib.parse.urlsplit(browser.steps.launch.location).path == f"/~{second}/echo"
    for key, wanted in ((first, "BIO1"), (second, "HIS2")):
        answer = browser.get(stage.url(f"/~{key}/echo?x")).json()
        assert answer["path"] == "/echo?x" and dict(answer["headers"])["X-LTI-Context-Label"] == wanted
        assert browser.get(stage.url("/echo"), [("Referer", stage.url(f"/~{key}/"))]).location == stage.url(f"/~{key}/echo")
        # End points stay where they are, with and without the segment.
        course = dict(answer["headers"])["X-LTI-Course-Key"]
        told = browser.get(stage.url(f"/~{key}/lti/sync"))
        assert told.status == 200 and told.json()["course"] == course if wanted == "BIO1" else told.status == 403
    assert browser.get(stage.url("/lti/jwks")).status == 200
    assert browser.get(stage.url("/echo")).status == 300


# --- configuration -----------------------------------------------------------------------------------------------------------------------------

WHERE = 'write it inside the <Location> of an application, such as <Location "/app"> with LTIApplication /app/'
REFUSED = [
    ("LTICoursePaths On", WHERE),
    ('<Directory "/srv">\nLTICoursePaths On\n</Directory>', WHERE),
    ('<LocationMatch "/app">\nLTICoursePaths On\n</LocationMatch>', WHERE),
    ('<Location ~ "/app">\nLTICoursePaths On\n</Location>', WHERE),
    ('<Location "/app">\n<Limit GET>\nLTICoursePaths On\n</Limit>\n</Location>', WHERE),
    ('<Location "/app">\n<If "true">\nLTICoursePaths On\n</If>\n</Location>', WHERE),
    ('<Files "x">\nLTICoursePaths On\n</Files>', WHERE),
    ('<Location "/other">\nLTICoursePaths On\n</Location>', 'LTICoursePaths in <Location "/other"> holds for no prefix of LTIApplication: ' + WHERE),
    ('<Location "/app/below">\nLTICoursePaths On\n</Location>', 'LTICoursePaths in <Location "/app/below"> holds for no prefix'),
    ('<Location "/ap">\nLTICoursePaths On\n</Location>', 'LTICoursePaths in <Location "/ap"> holds for no prefix'),
    ('<Location "/app*">\nLTICoursePaths On\n</Location>', 'LTICoursePaths in <Location "/app*"> holds for no prefix'),
    ('<Location "/app">\nLTICoursePaths Maybe\n</Location>', "LTICoursePaths must be On or Off"),
    ('LTIApplication "/a b/"\n<Location "/a b">\nLTICoursePaths On\n</Location>', "LTICoursePaths cannot tell addresses of LTIApplication /a b/ apart"),
]


@pytest.fixture(scope="module")
def unstarted(make_shared_stage):
    return make_shared_stage()


@pytest.mark.parametrize("lines, reason", REFUSED)
def test_configuration_test_refuses_it_where_it_cannot_work(unstarted, lines, reason):
    unstarted.configure(extra=lines)
    code, output = unstarted.httpd.configtest()
    assert code != 0 and reason in output, output


ACCEPTED = [
    '<Location "/app">\nLTICoursePaths On\n</Location>',
    '<Location "/app/">\nLTICoursePaths Off\n</Location>',
    '<Location "/">\nLTICoursePaths On\n</Location>',
    '<Location "/">\nLTICoursePaths On\n</Location>\n<Location "/cgi">\nLTICoursePaths Off\n</Location>',
    # For a virtual host that has the application.
    '<Location "/there">\nLTICoursePaths On\n</Location>\n<VirtualHost 127.0.0.1:1>\nServerName http://there.localhost:1\nLTIApplication /there/\n</VirtualHost>',
]


@pytest.mark.parametrize("lines", ACCEPTED)
def test_configuration_test_takes_it_where_it_works(unstarted, lines):
    unstarted.configure(extra=lines)
    code, output = unstarted.httpd.configtest()
    assert code == 0, output
