# SPDX-License-Identifier: Apache-2.0
"""LTIFrame and Cache-Control: what responses made for a person get, whatever the application said of frames and caches."""
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from client import Browser
from httpd import MODULES, free_port

# Answers with the header lines of the query, separated by '|'.
SCRIPT = """#!/usr/bin/python3
import os, sys, urllib.parse
lines = [line for line in urllib.parse.unquote(os.environ.get("QUERY_STRING", "")).split("|") if line]
sys.stdout.write("\\r\\n".join(["Content-Type: text/html", *lines, "", "<h1 id=shown>shown</h1>"]))
"""

PLACES = """<LocationMatch "^/(always|always-and-script)/">
    Header always set X-Frame-Options DENY
    Header always set Content-Security-Policy "frame-ancestors 'none'; img-src *"
    Header always set Cache-Control "no-store"
</LocationMatch>
<Location "/late">
    Header set X-Frame-Options SAMEORIGIN
    Header set Cache-Control "public, max-age=60"
</Location>
<Location "/off">
    LTIFrame Off
    Header always set X-Frame-Options SAMEORIGIN
</Location>
<Location "/more">
    LTIFrame https://portal.example.edu https://*.parts.example.edu:8443
</Location>
<Location "/more/off">
    LTIFrame Off
</Location>
<Location "/more/on">
    LTIFrame On
</Location>
<Location "/named">
    AuthType LTI
    Require valid-user
    LTIPassIdentity none
</Location>
<Location "/refused">
    AuthType LTI
    Require lti-role administrator
    AuthzSendForbiddenOnFailure On
    Header always set X-Frame-Options DENY
</Location>
LoadModule cache_module MODULES/mod_cache.so
LoadModule cache_socache_module MODULES/mod_cache_socache.so
LoadModule socache_shmcb_module MODULES/mod_socache_shmcb.so
CacheSocache shmcb
CacheEnable socache "/cached/"
CacheHeader on
"""
ALIASES = ("always", "late", "off", "more", "more/off", "more/on", "named")


class Answers(BaseHTTPRequestHandler):
    """A proxied application that answers with the header lines of the query."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        for line in filter(None, urllib.parse.unquote(urllib.parse.urlsplit(self.path).query).split("|")):
            self.send_header(*line.split(": ", 1))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


@pytest.fixture(scope="module")
def answers():
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Answers)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def frames(make_shared_stage, answers):
    stage = make_shared_stage()
    httpd = stage.httpd
    script = httpd.root / "cgi/lines.cgi"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    httpd.put("static/page.html", "<p>static</p>")
    extra = "".join(f'ProxyPass "/{name}/" "http://127.0.0.1:{answers}/"\n' for name in ("answers", "cached")) + PLACES.replace("MODULES", MODULES)
    extra += "\n".join(f'ScriptAlias "/{name}/lines" "{script}"' for name in sorted(ALIASES, reverse=True))
    httpd.allow_log(r"AH01630|AH01631")
    return stage.configure(pace="LTISync Off", extra=extra).start()


@pytest.fixture(scope="module")
def zoe(frames):
    return frames.launch("zoe")


def ask(browser, frames, *lines, path="/cgi/lines.cgi"):
    return browser.get(frames.url(f"{path}?{urllib.parse.quote('|'.join(lines))}"))


def ours(frames, *more):
    """The directive of the campus: its return URL is at the issuer."""
    return " ".join(["frame-ancestors 'self'", frames.campus.issuer, *more])


def policies(response):
    return response.headers.get_all("Content-Security-Policy", [])


# what the application says -> what is left of it; OURS stands for our directive
SAID = {
    "nothing": ([], ["OURS"]),
    "not to be framed, the old way": (["X-Frame-Options: DENY"], ["OURS"]),
    "by itself, the old way, twice": (["x-frame-options: SAMEORIGIN", "X-Frame-Options: sameorigin"], ["OURS"]),
    "not to be framed": (["Content-Security-Policy: frame-ancestors 'none'"], ["OURS"]),
    "other things": (["Content-Security-Policy: default-src 'self'; img-src *"], ["default-src 'self'; img-src *; OURS"]),
    "both": (["Content-Security-Policy: default-src 'self'; Frame-Ancestors 'self'; img-src *"], ["default-src 'self'; OURS; img-src *"]),
    "two policies in one header": (
        ["Content-Security-Policy: default-src 'self', frame-ancestors 'none'; img-src *"],
        ["default-src 'self', OURS; img-src *"],
    ),
    "two headers": (["Content-Security-Policy: frame-ancestors 'none'", "content-security-policy: script-src 'self'"], ["OURS", "script-src 'self'"]),
    "two headers that both speak of frames": (
        ["Content-Security-Policy: frame-ancestors *", "Content-Security-Policy: img-src *;frame-ancestors 'none'"],
        ["OURS", "img-src *;OURS"],
    ),
    "a trial": (["Content-Security-Policy-Report-Only: frame-ancestors 'none'"], ["OURS"]),
}


@pytest.mark.parametrize("path", ["/cgi/lines.cgi", "/answers/"])
@pytest.mark.parametrize("said", SAID)
def test_application_may_be_framed_by_the_platform_whatever_it_said(frames, zoe, said, path):
    """SPEC S-25."""
    lines, left = SAID[said]
    answer = ask(zoe, frames, *lines, path=path)
    assert answer.status == 200 and not answer.header("X-Frame-Options")
    expected = [text.replace("OURS", ours(frames)) for text in left]
    assert policies(answer) == ([", ".join(expected)] if path.startswith("/cgi") else expected)  # httpd makes one of a script's


def test_static_files_too(frames, zoe):
    answer = zoe.get(frames.url("/static/page.html"))
    assert policies(answer) == [ours(frames)] and answer.header("Cache-Control") == "private"
    again = zoe.get(frames.url("/static/page.html"), [("If-None-Match", answer.header("ETag"))])
    assert again.status == 304 and again.header("Cache-Control") == "private"


def test_strangers_get_what_the_application_says(frames):
    answer = ask(Browser(), frames, "X-Frame-Options: DENY", "Content-Security-Policy: frame-ancestors 'none'", "Cache-Control: public", path="/open-cgi/lines.cgi")
    assert answer.status == 200
    assert (answer.header("X-Frame-Options"), policies(answer), answer.header("Cache-Control")) == ("DENY", ["frame-ancestors 'none'"], "public")
    answer = ask(Browser(), frames, path="/open-cgi/lines.cgi")
    assert not policies(answer) and not answer.header("Cache-Control")


def test_what_the_administrator_says_for_the_whole_server_shuts_no_frame(frames, zoe):
    """`Header always` goes into another table of headers; `Header set` comes after the application."""
    answer = ask(zoe, frames, "X-Frame-Options: DENY", path="/always/lines")
    assert not answer.header("X-Frame-Options") and answer.header("Cache-Control") == "no-store"
    assert policies(answer) == [ours(frames) + "; img-src *"]
    answer = ask(zoe, frames, path="/late/lines")
    assert not answer.header("X-Frame-Options") and answer.header("Cache-Control") == "public, max-age=60, private"


def test_off_leaves_frames_to_the_application(frames, zoe):
    answer = ask(zoe, frames, "Content-Security-Policy: frame-ancestors 'none'", path="/off/lines")
    assert (answer.header("X-Frame-Options"), policies(answer)) == ("SAMEORIGIN", ["frame-ancestors 'none'"])
    assert answer.header("Cache-Control") == "private"


def test_further_origins(frames, zoe):
    assert policies(ask(zoe, frames, path="/more/lines")) == [ours(frames, "https://portal.example.edu", "https://*.parts.example.edu:8443")]
    assert policies(ask(zoe, frames, path="/more/off/lines")) == []
    assert policies(ask(zoe, frames, path="/more/on/lines")) == [ours(frames)]


def test_where_the_platforms_pages_really_are_is_told_by_the_return_url(frames):
    frames.campus.site = "https://School.example.edu:8443"
    try:
        browser = frames.launch("zoe")
    finally:
        frames.campus.site = None
    assert policies(ask(browser, frames)) == [ours(frames, "https://school.example.edu:8443")]


def test_person_who_is_refused_sees_it_in_the_frame(frames, zoe):
    answer = zoe.get(frames.url("/refused/"))
    assert answer.status == 403 and not answer.header("X-Frame-Options") and policies(answer) == [ours(frames)]
    missing = zoe.get(frames.url("/static/missing"))
    assert missing.status == 404 and policies(missing) == [ours(frames)] and missing.header("Cache-Control") == "private"


# what the application says of caches -> what is sent
CACHES = {
    "": "private",
    "public": "public, private",
    "max-age=60": "max-age=60, private",
    "no-cache": "no-cache, private",
    "private": "private",
    "Private, max-age=60": "Private, max-age=60",
    'private="set-cookie"': 'private="set-cookie", private',
    "max-age=60, x-private": "max-age=60, x-private, private",
    "max-age=60,private": "max-age=60,private",
    "no-store": "no-store",
    "NO-STORE, must-revalidate": "NO-STORE, must-revalidate",
}


@pytest.mark.parametrize("path", ["/cgi/lines.cgi", "/answers/", "/named/lines"])
@pytest.mark.parametrize("said", CACHES)
def test_no_shared_cache_keeps_what_was_made_for_one_person(frames, zoe, said, path):
    lines = [f"Cache-Control: {said}"] if said else []
    assert ask(zoe, frames, *lines, path=path).header("Cache-Control") == CACHES[said]


def test_cache_of_this_very_server_keeps_nothing_either(frames, zoe):
    lines = ("Cache-Control: max-age=600", "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT")
    for _ in range(2):
        assert "HIT" not in ask(zoe, frames, *lines, path="/cached/page").header("X-Cache")
    stranger = [ask(Browser(), frames, *lines, path="/cached/page").header("X-Cache") for _ in range(2)]
    assert "HIT" in stranger[1], "the test is none: this cache keeps nothing at all"
