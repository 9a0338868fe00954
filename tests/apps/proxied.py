#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An application behind a reverse proxy. It knows nothing of LTI: it reads request headers that httpd set.

    ROSTER_URL=http://127.0.0.1:8081/lti/roster /usr/bin/python3 tests/apps/proxied.py --port 8082
"""
import argparse
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from page import render


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format, *args):
        pass

    def text_headers(self):
        """Header names and values in order. Values are UTF-8 on the wire; the standard library hands them out as Latin-1."""
        return [(name, value.encode("latin-1", "replace").decode("utf-8", "replace")) for name, value in self.headers.items()]

    def person(self, name):
        wanted = "x-lti-" + name.lower().replace("_", "-")
        return next((value for header, value in self.text_headers() if header.lower() == wanted), "")

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.endswith("/echo"):
            answer = {"method": self.command, "path": self.path, "headers": self.text_headers()}
            self.send(json.dumps(answer, ensure_ascii=False), "application/json")
        else:
            self.send(render(self.person, "the request headers that httpd sets", self.server.roster_url), "text/html; charset=utf-8")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def send(self, text, content_type):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def make_server(port, roster_url=None):
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.roster_url = roster_url
    return server


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--port", type=int, required=True)
    server = make_server(options.parse_args().port)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    done.wait()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
