#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An application as a CGI script. It knows nothing of LTI: it reads environment variables that httpd set. `?echo` shows the environment as JSON."""
import json
import os
import sys

from page import render


def variable(name):
    # What httpd hands over is UTF-8 whatever locale this process has.
    return os.environb.get(name.encode(), b"").decode("utf-8", "replace")


def person(name):
    return variable("REMOTE_USER" if name == "REMOTE_USER" else "LTI_" + name)


def main():
    if os.environ.get("QUERY_STRING") == "echo":
        names = [name.decode("utf-8", "replace") for name in os.environb]
        content_type, text = "application/json", json.dumps({name: variable(name) for name in names}, ensure_ascii=False)
    else:
        content_type, text = "text/html; charset=utf-8", render(person, "the environment that httpd sets")
    sys.stdout.buffer.write(f"Content-Type: {content_type}\r\n\r\n{text}".encode())


main()
