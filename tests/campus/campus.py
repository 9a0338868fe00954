# SPDX-License-Identifier: Apache-2.0
"""The campus: a small learning platform that runs on one port, for the demo and the tests.

    /usr/bin/python3 tests/campus/campus.py --port 8090 --tool http://localhost:8080

As a library: `campus = Campus(tool_base="http://localhost:8080"); campus.start(); ...; campus.stop()`. Tests switch faults on by end point:

    campus.faults["nrps"] = {"status": 503, "headers": [("Retry-After", "1")]}

    down       True: the connection is closed without an answer
    wait       an Event: the answer is computed, then held back until the event is set
    slow       seconds to wait before the answer goes out
    status     another status, with optional `headers` and `body`
    truncate   True: half the body, then the connection ends
    malformed  True: JSON that is none
    html       True: a login page with status 200
    empty, next, loop    (nrps) no members; a next link to that address; a next link to the page itself
    act        a function that spoils the answer or its sending (see campus_faults)
    after, times         skip so many requests first; take effect so many times
"""
import argparse
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse
from collections import namedtuple
from http.server import BaseHTTPRequestHandler

import campus_families as families
import campus_pages as pages
import campus_protocol as protocol
import campus_storage as storage
from campus_keys import Keys
from campus_protocol import Answer
from campus_state import ROLES, SEEDS, State

Logged = namedtuple("Logged", "method path query headers body at")
BODY_MAX = 1 << 20


class Tool:
    """The registration of the tool at this platform."""

    def __init__(self, base_url, path="/lti", client_id="campus-tool-7Qd2k", deployment_id="d-1"):
        self.base_url = base_url.rstrip("/")
        self.client_id = client_id
        self.deployment_id = deployment_id
        self.login_url = f"{self.base_url}{path}/login"
        self.redirect_uris = [f"{self.base_url}{path}/launch"]
        self.jwks_url = f"{self.base_url}{path}/jwks"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Campus"
    timeout = 30

    @property
    def campus(self):
        return self.server.campus

    def log_message(self, format, *args):
        if self.campus.verbose:
            sys.stderr.write("campus: " + format % args + "\n")

    def date_time_string(self, timestamp=None):
        return super().date_time_string(self.campus.now() if timestamp is None else timestamp)

    def do_GET(self):
        self.serve(b"")

    def do_POST(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_MAX:
            self.close_connection = True
            self.send(Answer(413, b"too large\n", "text/plain"))
            return
        self.serve(self.rfile.read(int(length)))

    def serve(self, body):
        path, _, query = self.path.partition("?")
        campus = self.campus
        if campus.family is not None:
            path = campus.family.inner(path)
        campus.log.append(Logged(self.command, path, query, self.headers, body, time.time()))
        endpoint = path.split("/")[1]
        fault = campus.fault_for(endpoint)
        if fault.get("down"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        answer = self.answer(endpoint, path, query, body, fault)
        if campus.on_answer is not None:
            campus.on_answer(endpoint, path, query)
        if "wait" in fault:
            fault["wait"].wait(30)
        if "slow" in fault:
            time.sleep(fault["slow"])
        if "status" in fault:
            answer = Answer(fault["status"], fault.get("body", b"no\n"), "text/plain", fault.get("headers", []))
        elif fault.get("html"):
            answer = Answer(200, pages.message("Campus", "Please sign in.").encode())
        elif fault.get("malformed"):
            answer.body = answer.body[:-3] + b",,}"
        if "act" in fault:
            answer = fault["act"](self, answer)
        if answer is not None:
            self.send(answer, fault.get("truncate", False))

    def answer(self, endpoint, path, query, body, fault):
        refusal = self.campus.family and self.campus.family.refuse(endpoint, self.headers)
        if refusal:
            return refusal
        try:
            if self.command == "POST":
                sort = self.headers.get("Content-Type", "").split(";")[0].strip()
                if sort != "application/x-www-form-urlencoded":
                    return Answer(415, b"a form is needed\n", "text/plain")
                form = protocol.parse_form(body.decode("ascii"))
            else:
                form = protocol.parse_form(query)
        except ValueError as error:
            return self.page(pages.message("Bad request", f"The request cannot be read: {error}"), 400)
        route = {
            "": self.get_home,
            "course": self.course,
            "open": self.open,
            "frame": self.frame,
            "storage": lambda *_: self.page(storage.frame(self.campus)),
            "stranger": lambda *_: self.page(storage.STRANGER),
            "jwks": lambda *_: protocol.json_answer(self.campus.keys.key_set()),
            "auth": self.auth,
            "token": lambda *_: protocol.token(self.campus, form) if self.command == "POST" else Answer(405),
            "groups": lambda *_: self.groups(path, query, form),
            "nrps": lambda *_: protocol.nrps(self.campus, path[len("/nrps/") :], query, self.headers, fault),
        }.get(endpoint)
        if route is None:
            return self.page(pages.message("Not found", "There is no such page on this campus."), 404)
        try:
            return route(path, form)
        except KeyError:
            return self.page(pages.message("Not found", "There is no such course or person on this campus."), 404)

    def page(self, text, status=200):
        return Answer(status, text.encode(), "text/html; charset=utf-8", [("Cache-Control", "no-store")])

    def send(self, answer, truncate=False):
        body = answer.body[: len(answer.body) // 2] if truncate else answer.body
        try:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the other side has gone: its right
            return
        if truncate:
            self.close_connection = True

    # --- pages ----------------------------------------------------------------------------------------------------------------

    def get_home(self, path, form):
        return self.page(pages.home(self.campus.state))

    def course(self, path, form):
        parts = path.split("/")[2:]
        state = self.campus.state
        course = state.course(parts[0])
        if self.command == "GET" and len(parts) == 1:
            return self.page(pages.course_page(state, course))
        if self.command != "POST" or len(parts) != 2 or self.headers.get("Origin", self.campus.issuer) != self.campus.issuer:
            return self.page(pages.message("Not found", "There is no such page on this campus."), 404)
        person = state.person(form["person"])
        if parts[1] in ("enrol", "role") and form.get("role") in ROLES:
            (state.enrol if parts[1] == "enrol" else state.set_role)(course, person, form["role"])
        elif parts[1] == "drop":
            state.drop(course, person)
        else:
            return self.page(pages.message("Bad request", "No such change, or no such role."), 400)
        return Answer(303, b"", headers=[("Location", f"/course/{course.id}#person-{person.login}")])

    def frame(self, path, form):
        state = self.campus.state
        return self.page(pages.frame_page(state.course(form["course"]), state.person(form["person"]), form["link"], storage.in_page(self.campus)))

    def open(self, path, form):
        """Sends the browser to the tool's login: by a form (default) or by a redirect (method=get)."""
        target = "iframe" if form.get("target") == "iframe" else "window"
        parameters = protocol.login_parameters(self.campus, form["person"], form["course"], form["link"], target)
        login_url = self.campus.tool.login_url
        if form.get("method", self.campus.login_method) == "get":
            address = login_url + ("&" if "?" in login_url else "?") + urllib.parse.urlencode(parameters)
            return Answer(302, b"", headers=[("Location", address), ("Cache-Control", "no-store")])
        return self.page(pages.auto_form(login_url, parameters, "Opening the tool"))

    def groups(self, path, query, form):
        if self.campus.groups is None:
            return Answer(404)
        return self.campus.groups.serve(path[len("/groups/") :], query, self.headers, form, protocol.json_answer)

    def auth(self, path, form):
        try:
            action, fields = protocol.authorize(self.campus, form)
        except protocol.Broken as broken:
            return self.page(pages.message("Invalid request", f"The tool asked for a login in a wrong way: {broken}."), 400)
        return self.page(pages.auto_form(action, fields, "Opening the tool"))


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, campus):
        self.campus = campus
        self.connections = set()
        super().__init__(address, Handler)

    def get_request(self):
        request, address = super().get_request()
        if self.campus.tls is not None:  # the handshake is left to the thread that serves the connection
            request = self.campus.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        return request, address

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)

    def close_all(self):
        """Ends kept-alive connections too: a platform that is down answers nobody."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Campus:
    """One platform. Everything that tests switch is a plain attribute."""

    def __init__(self, tool_base, port=0, host="127.0.0.1", name="localhost", seed="test", tool_path="/lti", verbose=False):
        self.host, self.port, self.name = host, port, name
        self.verbose = verbose
        self.tls = None  # an ssl.SSLContext: addresses are https
        self.site = None  # where its pages are, when not at the issuer: Canvas and others have them on a host of each school
        self.tool = Tool(tool_base, tool_path)
        self.state = State()
        SEEDS[seed](self.state)
        self.keys = Keys()
        self.hints, self.nonces = {}, set()
        self.tokens, self.assertions, self.assertion_ids = {}, [], set()
        self.log = []
        # switches
        self.login_method = "post"
        self.page_cap = 50
        self.short_roles = False
        self.nrps_claim = True  # whether launches offer the roster service
        self.nrps_granted = True  # whether tokens get its scope
        self.list_inactive = False
        self.faults = {}
        self.family = None  # see play()
        self.groups = None  # see campus_groups
        self.forge_signature = False
        self.storage, self.manners = None, ""  # see campus_storage
        self.clock = 0  # seconds that it is ahead, when the tool's is
        self.hints_once = True  # as Moodle and Canvas have it
        self.auth_error = None  # an OAuth error code: what every login ends with
        # hooks
        self.tamper_login = None  # parameters -> parameters
        self.tamper_claims = None  # claims -> claims
        self.make_token = None  # claims -> id_token text, in place of signing
        self.tamper_member = None  # member -> member
        self.on_answer = None  # (endpoint, path, query), after an answer was computed, before it is sent
        self._server, self._thread = None, None
        self._lock = threading.Lock()
        if port == 0:
            self._bind()

    def _bind(self):
        self._server = Server((self.host, self.port), self)
        self.port = self._server.server_address[1]

    def start(self):
        if self._server is None:
            self._bind()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """Down: connections are refused until start() is called again (same port, same records)."""
        server, self._server = self._server, None
        if server is not None:
            if self._thread is not None:  # shutdown() would wait for ever for a server that never ran
                server.shutdown()
            server.server_close()
            server.close_all()

    def play(self, name):
        """From now on it behaves like a platform of that family (see campus_families); returns it."""
        self.family = families.FAMILIES[name](self)
        return self

    def fault_for(self, endpoint):
        with self._lock:
            fault = self.faults.get(endpoint)
            if not fault:
                return {}
            if fault.get("after", 0) > 0:
                fault["after"] -= 1
                return {}
            if "times" in fault:
                fault["times"] -= 1
                if fault["times"] <= 0:
                    del self.faults[endpoint]
            return fault

    # --- addresses ------------------------------------------------------------------------------------------------------------

    @property
    def issuer(self):
        return f"{'https' if self.tls else 'http'}://{self.name}:{self.port}"

    @property
    def pages_url(self):
        return self.site or self.issuer

    @property
    def auth_url(self):
        return self.issuer + "/auth"

    @property
    def token_url(self):
        return self.issuer + "/token"

    @property
    def jwks_url(self):
        return self.issuer + "/jwks"

    def open_url(self, person, course, link="proxied", method=None):
        query = {"person": self.state.person(person).id, "course": self.state.course(course).id, "link": link}
        if method is not None:
            query["method"] = method
        return f"{self.issuer}/open?{urllib.parse.urlencode(query)}"

    def now(self):
        return time.time() + self.clock

    def requests(self, endpoint):
        """What was asked of an end point, in order."""
        return [entry for entry in self.log if entry.path.split("/")[1] == endpoint]


def main():
    options = argparse.ArgumentParser(description="A small learning platform for trying an LTI tool.")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--tool", required=True, metavar="BASE_URL", help="the tool's base URL, such as http://localhost:8080")
    options.add_argument("--tool-path", default="/lti", help="where the tool's end points are")
    options.add_argument("--host", default="127.0.0.1", help="address to listen at")
    options.add_argument("--name", default="localhost", help="host name in addresses")
    options.add_argument("--seed", choices=sorted(SEEDS), default="demo")
    options.add_argument("--family", choices=sorted(families.FAMILIES), help="play a platform of this family")
    options.add_argument("--verbose", action="store_true", help="log requests")
    chosen = options.parse_args()
    campus = Campus(chosen.tool, chosen.port, chosen.host, chosen.name, chosen.seed, chosen.tool_path, chosen.verbose)
    if chosen.family:
        campus.play(chosen.family)
    campus.start()
    print(f"campus: {campus.issuer}/ client id {campus.tool.client_id}, deployment {campus.tool.deployment_id}", flush=True)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    campus.stop()


if __name__ == "__main__":
    main()
