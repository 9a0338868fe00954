#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An application that keeps sessions of its own, as most do: at the first page it writes down who came from which course, gives the browser a cookie, and
believes its own session from then on. Its links, redirects, forms and scripts use absolute paths. It knows nothing of LTI but the request headers.

It lives at BASE ("/notes/") and shows, side by side, what httpd says now and what its session says: with two courses in one browser they must agree.
"""
import html
import json
import secrets
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE = "/notes/"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Notes</title></head><body>
<h1>Notes</h1>
<p>httpd says: <b id="course">{course}</b>, <span id="name">{name}</span>, <span id="role">{role}</span></p>
<p>my session says: <b id="own-course">{own_course}</b>, <span id="own-name">{own_name}</span>, <span id="own-role">{own_role}</span></p>
<ul id="notes">{notes}</ul>
<p id="where">{where}</p>
<p><a id="absolute" href="{base}page">absolute</a> <a id="relative" href="page">relative</a> <a id="redirect" href="{base}go?to=page">redirect</a>
<a id="full-redirect" href="go?to=full">full redirect</a> <a id="up" href="{base}go?to=up">redirect upwards</a></p>
<form method="post" action="{base}save"><input id="note" name="note"><button id="save">Save</button></form>
<p><button id="fetch">fetch</button> <button id="post">post</button> <output id="fetched"></output></p>
<script>
const show = answer => document.getElementById("fetched").textContent = JSON.stringify(answer);
document.getElementById("fetch").onclick = () => fetch("{base}api").then(answer => answer.json()).then(show);
document.getElementById("post").onclick = () => fetch("{base}api", {{method: "POST", body: "from a script"}}).then(answer => answer.json()).then(show);
</script>
</body></html>
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format, *args):
        pass

    def header(self, name):
        return self.headers.get("X-LTI-" + name, "").encode("latin-1", "replace").decode("utf-8", "replace")

    def person(self):
        return {"course": self.header("Context-Label"), "name": self.header("Name"), "role": self.header("Role")}

    def own_session(self):
        """(session, the Set-Cookie that a new one needs)"""
        cookies = dict(part.strip().partition("=")[::2] for part in self.headers.get("Cookie", "").split(";"))
        sessions = self.server.sessions
        if cookies.get("sid") in sessions:
            return sessions[cookies["sid"]], []
        key = secrets.token_hex(8)
        sessions[key] = {**self.person(), "notes": []}
        return sessions[key], [("Set-Cookie", f"sid={key}; Path={self.server.cookie_path}; HttpOnly")]

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self, body):
        path, _, query = self.path.partition("?")
        session, extra = self.own_session()
        if path == BASE + "go":
            host = self.headers.get("X-Forwarded-Host", self.headers["Host"])
            to = {"page": BASE + "page", "full": f"http://{host}{BASE}page", "up": "./x/../page"}[dict(urllib.parse.parse_qsl(query))["to"]]
            self.send(302, "", "text/plain", [("Location", to), *extra])
        elif path == BASE + "save" and self.command == "POST":
            session["notes"].append(dict(urllib.parse.parse_qsl(body.decode()))["note"])
            self.send(303, "", "text/plain", [("Location", BASE + "page"), *extra])
        elif path == BASE + "api":
            told = {"now": self.person(), "own": {key: session[key] for key in ("course", "name", "role")}, "method": self.command}
            told.update(path=self.path, body=body.decode(), referer=self.headers.get("Referer"), cookies=self.headers.get("Cookie", ""))
            self.send(200, json.dumps(told), "application/json", extra)
        elif path in (BASE, BASE + "page"):
            now = {key: html.escape(text) for key, text in self.person().items()}
            own = {f"own_{key}": html.escape(session[key]) for key in ("course", "name", "role")}
            notes = "".join(f"<li>{html.escape(note)}</li>" for note in session["notes"])
            self.send(200, PAGE.format(base=BASE, where=path, notes=notes, **now, **own), "text/html; charset=utf-8", extra)
        else:
            self.send(404, "no such page", "text/plain", extra)

    def send(self, status, text, content_type, headers=()):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def start_notebook(port, cookie_path=BASE):
    """A running server; the caller shuts it down."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.sessions = {}
    server.cookie_path = cookie_path
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server
