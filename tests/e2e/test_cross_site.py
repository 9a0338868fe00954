# SPDX-License-Identifier: Apache-2.0
"""Invariant 10: the cookie works in frames, so that every page of the world can make the browser send it. A session is not used for what such pages could forge."""
import json
import shutil
import socket
import subprocess
import threading

import pytest
from client import Browser
from httpd import MODULES, free_port

EVIL = "https://evil.example"
CROSS = ("Sec-Fetch-Site", "cross-site")

PLACES = """ProxyPass "/socket/" "http://127.0.0.1:SOCKET_PORT/" upgrade=websocket
<Location "/socket">
    AuthType LTI
    Require valid-user
</Location>
ScriptAlias "/tokens/" "ROOT/cgi/"
<Location "/tokens">
    AuthType LTI
    Require valid-user
    LTICrossSite allow
</Location>
<Directory "ROOT/htdocs/tokens-inside">
    LTICrossSite allow
</Directory>
<Location "/refuse">
    AuthType LTI
    Require valid-user
    ErrorDocument 403 "/open-cgi/class.cgi?echo"
</Location>
<Location "/again">
    AuthType LTI
    Require valid-user
    ErrorDocument 403 "/cgi/class.cgi?echo"
</Location>
<Location "/as-expression">
    Require expr "%{LTI_ROLE} == 'learner'"
</Location>
RewriteEngine On
RewriteCond expr "%{LTI_ROLE} == 'nobody'"
RewriteRule "^/tokens/" "-" [F]
"""


class SocketServer(threading.Thread):
    """A backend that speaks just enough WebSocket: it agrees to the upgrade, tells who came (or that our cookie did), and echoes bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def serve(connection):
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                data = connection.recv(4096)
                if not data:
                    return
                head += data
            if b"\r\nupgrade: websocket" not in head.lower():
                connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
                return
            who = b"cookie" if b"lti_" in head else b"zoe" if "Zoë".encode() in head else b"nobody"
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + who)
            while data := connection.recv(4096):
                connection.sendall(data)


@pytest.fixture(scope="module")
def sites(make_shared_stage):
    server = SocketServer()
    stage = make_shared_stage()
    text = PLACES.replace("ROOT", str(stage.httpd.root)).replace("SOCKET_PORT", str(server.port))
    stage.httpd.put("r/index.txt", "here")
    for name in ("refuse", "again", "as-expression"):
        stage.httpd.put(f"{name}/index.txt", name)
    stage.httpd.allow_log(r"AH01630")
    stage.httpd.allow_log(r"AH10034")  # mod_http2 does not care for prefork
    stage.configure(pace="LTISync Off", extra=f"LoadModule http2_module {MODULES}/mod_http2.so\nProtocols h2c http/1.1\n" + text).start()
    server.start()
    yield stage
    server.listener.close()


@pytest.fixture(scope="module")
def zoe(sites):
    return sites.launch("zoe")


def ask(browser, sites, method, headers, path="/cgi/class.cgi?echo"):
    return browser.request(method, sites.url(path), b"" if method not in ("GET", "HEAD") else None, headers)


# what the browser says -> whether it is one of our pages, or none
SAYS = {
    "nothing, as a program": ([], True),
    "same-origin": ([("Sec-Fetch-Site", "same-origin")], True),
    "same-site": ([("Sec-Fetch-Site", "same-site"), ("Origin", "http://other.localhost")], True),
    "none": ([("Sec-Fetch-Site", "none")], True),
    "our origin": ([("Origin", "BASE")], True),
    "our origin in capitals": ([("ORIGIN", "BASE-UPPER")], True),
    "cross-site": ([CROSS, ("Origin", EVIL)], False),
    "cross-site without an origin": ([CROSS], False),
    "cross-site with our origin": ([CROSS, ("Origin", "BASE")], False),
    "cross-site in odd case": ([("sec-FETCH-site", "Cross-Site")], False),
    "two sites": ([("Sec-Fetch-Site", "same-origin"), CROSS], False),
    "an unknown site": ([("Sec-Fetch-Site", "elsewhere")], False),
    "another origin": ([("Origin", EVIL)], False),
    "an origin that begins like ours": ([("Origin", "BASE.evil.example")], False),
    "our host at another port": ([("Origin", "http://localhost:1")], False),
    "no origin to speak of (a sandboxed frame)": ([("Origin", "null")], False),
    "two origins": ([("Origin", "BASE"), ("Origin", EVIL)], False),
}


def say(sites, headers):
    base = sites.httpd.base_url
    return [(name, value.replace("BASE-UPPER", base.upper()).replace("BASE", base)) for name, value in headers]


@pytest.mark.parametrize("says", SAYS)
def test_form_of_another_site_has_no_session(sites, zoe, says):
    headers, own = SAYS[says]
    headers = say(sites, headers)
    answer = ask(zoe, sites, "POST", headers)
    assert (answer.status, answer.error) == ((200, "") if own else (403, "cross-site")), answer
    # a person may always follow a link
    for method in ("GET", "HEAD", "OPTIONS"):
        assert ask(zoe, sites, method, headers).status == 200, method


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "MKCOL", "LOCK", "PROPPATCH", "MERGE", "PURGE"])
def test_every_method_that_may_change_something(sites, zoe, method):
    assert ask(zoe, sites, method, [("Sec-Fetch-Site", "same-origin")]).status == 200
    answer = ask(zoe, sites, method, [CROSS])
    assert (answer.status, answer.error) == (403, "cross-site"), answer


def test_proxied_application_is_protected_likewise(sites, zoe):
    assert zoe.post(sites.url("/app/echo")).status == 200
    answer = zoe.post(sites.url("/app/echo"), origin=EVIL)
    assert (answer.status, answer.error) == (403, "cross-site")
    # the answer says what happened, and to the log what could be done about it
    assert "<code>cross-site</code>" in answer.text
    assert any("cross-site" in line and "LTICrossSite allow" in line for line in sites.httpd.log_lines() if "LTI0101" in line)


def test_elsewhere_the_request_is_a_strangers(sites, zoe):
    """A public page keeps taking forms; it is just not told who the person is. Cookies of ours do not reach it either."""
    for headers, name in (([("Sec-Fetch-Site", "same-origin")], "Zoë Müller"), ([CROSS], None)):
        told = ask(zoe, sites, "POST", headers, "/open-cgi/class.cgi?echo").json()
        assert told.get("LTI_NAME") == name and "lti_" not in told.get("HTTP_COOKIE", "")
        assert ("LTI_ROLE" in told) == (name is not None)
        answer = zoe.request("POST", sites.url("/open/echo"), b"", headers)
        assert answer.status == 200 and ("X-LTI-Name" in dict(answer.json()["headers"])) == (name is not None)
        assert ("private" in answer.header("Cache-Control")) == (name is not None)


def test_stranger_is_asked_for_a_session_first(sites):
    answer = ask(Browser(), sites, "POST", [CROSS])
    assert (answer.status, answer.error) == (401, "session-none")


def test_allow_is_for_applications_that_have_tokens_of_their_own(sites, zoe):
    """Also where somebody (mod_rewrite) asked who it is before the directory was known."""
    told = ask(zoe, sites, "POST", [CROSS, ("Origin", EVIL)], "/tokens/class.cgi?echo")
    assert told.status == 200 and told.json()["LTI_NAME"] == "Zoë Müller"


def test_expressions_see_nobody(sites, zoe):
    assert ask(zoe, sites, "GET", [CROSS], "/as-expression/index.txt").status == 200
    assert ask(zoe, sites, "POST", [CROSS], "/as-expression/index.txt").status == 403


def test_error_page_is_not_a_way_around(sites, zoe):
    """httpd asks for error pages by GET: they are still made from the request of the other site."""
    answer = ask(zoe, sites, "POST", [CROSS], "/refuse/index.txt")
    assert answer.status == 403 and "LTI_NAME" not in answer.json()
    assert answer.json()["REDIRECT_LTI_ERROR"] == "cross-site" and answer.json()["REDIRECT_LTI_REQUEST_ID"]
    answer = ask(zoe, sites, "POST", [CROSS], "/again/index.txt")
    assert answer.status == 403 and "LTI_NAME" not in answer.text


def test_our_own_end_points_follow_the_same_rule(sites):
    ada = sites.launch("ada")
    for path in ("/lti/logout", "/lti/sync"):
        answer = ask(ada, sites, "POST", [("Origin", EVIL)], path)
        assert (answer.status, answer.error) == (403, "cross-site"), path
    assert ada.named("lti_")


def test_launch_is_a_form_of_another_site_and_works(sites):
    """The platform's form is cross-site by nature; it uses no session but makes one, in a browser that has one already, too."""
    browser = sites.launch("zoe")
    steps = browser.launch(sites.campus, "HIS2", "zoe")
    assert steps.launch.status == 303 and steps.app.status == 200


# --- WebSocket --------------------------------------------------------------------------------------------------------------------------


def open_socket(sites, browser, headers):
    """The status of the answer to a WebSocket handshake, and what came after it: a name, and our own bytes back."""
    lines = [
        "GET /socket/ HTTP/1.1",
        f"Host: localhost:{sites.httpd.port}",
        f"Cookie: {browser.cookie_header(sites.url('/socket/'))}",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in headers),
    ]
    with socket.create_connection(("127.0.0.1", sites.httpd.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while b"\r\n\r\n" not in received:
            data = connection.recv(4096)
            assert data, received
            received += data
        head, _, rest = received.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status != 101:
            return status, ""
        while len(rest) < 3:
            rest += connection.recv(16)
        connection.sendall(b"ping")
        while not rest.endswith(b"ping"):
            rest += connection.recv(16)
        return status, rest.removesuffix(b"ping").decode()


@pytest.mark.parametrize("upgrade", [("Upgrade", "websocket"), ("UPGRADE", "WebSocket"), ("Upgrade", "h2c, websocket")])
def test_websocket_of_another_site_has_no_session(sites, zoe, upgrade):
    for says in ([("Origin", EVIL)], [CROSS], [("Origin", "null")]):
        assert open_socket(sites, zoe, [upgrade, *says]) == (403, ""), says


def test_websocket_of_our_own_pages_works(sites, zoe):
    for says in ([("Origin", sites.httpd.base_url)], [("Sec-Fetch-Site", "same-origin"), ("Origin", sites.httpd.base_url)]):
        assert open_socket(sites, zoe, [("Upgrade", "websocket"), *says]) == (101, "zoe")
    assert open_socket(sites, Browser(), [("Upgrade", "websocket"), ("Origin", sites.httpd.base_url)])[0] == 401


# --- HTTP/2 -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_same_over_http2(sites, zoe):
    url = sites.url("/cgi/class.cgi?echo")
    command = ["curl", "-s", "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}", "-d", "", "-H", f"Cookie: {zoe.cookie_header(url)}"]
    for headers, status in (([], "200"), (["Origin: " + sites.httpd.base_url], "200"), (["sec-fetch-site: cross-site"], "403"), (["origin: " + EVIL], "403")):
        done = subprocess.run([*command, *(f"-H{header}" for header in headers), url], capture_output=True, text=True, timeout=20)
        assert done.stdout.splitlines()[-1] == f"2 {status}", (headers, done)
    assert json.loads(subprocess.run([*command, url], capture_output=True, text=True, timeout=20).stdout.splitlines()[0])["LTI_ROLE"] == "learner"
