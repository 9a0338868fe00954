# SPDX-License-Identifier: Apache-2.0
"""A browser without a screen: explicit steps, explicit cookies. It sends Secure cookies to http://localhost, as real browsers do."""
import http.client
import json
import time
import urllib.parse
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

TIMEOUT = 20


class Response:
    def __init__(self, url, answer):
        self.url = url
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    def header(self, name):
        """All values of a header, joined; "" if it is absent."""
        return ", ".join(value.strip() for value in self.headers.get_all(name, []))

    @property
    def set_cookies(self):
        return self.headers.get_all("Set-Cookie", [])

    @property
    def error(self):
        return self.header("X-LTI-Error")

    @property
    def location(self):
        return urllib.parse.urljoin(self.url, self.header("Location"))

    def form(self):
        return Form.of(self)

    def __repr__(self):
        return f"<{self.status} {self.url} {self.error} {self.body[:200]!r}>"


class Form(HTMLParser):
    """The first form of a page: where it goes and what it says."""

    def __init__(self):
        super().__init__()
        self.action, self.method, self.fields = None, "get", {}
        self.ended = False

    @classmethod
    def of(cls, response):
        assert response.status == 200, response
        form = cls()
        form.feed(response.text)
        assert form.action is not None, f"no form in {response}"
        form.action = urllib.parse.urljoin(response.url, form.action) if form.action else response.url
        form.origin = origin_of(response.url)
        return form

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "form" and self.action is None:
            self.action, self.method = values.get("action", ""), values.get("method", "get")
        elif tag == "input" and values.get("name") and not self.ended:
            self.fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag):
        self.ended = self.ended or tag == "form"


class Page(HTMLParser):
    """A page of the tool that goes on by a script: what the script works with, and the link that it follows (None if it sends a form)."""

    def __init__(self, response):
        super().__init__()
        self.data, self.way = {}, None
        self.feed(response.text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if values.get("id") == "lti":
            self.data = {name[len("data-") :]: value for name, value in values.items() if name.startswith("data-")}
        elif values.get("id") == "go":
            self.way = values.get("href")


def origin_of(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Launch:
    """The answers of a launch, step by step."""

    def __init__(self):
        self.login = self.auth = self.launch = self.app = None
        self.form = None  # what was posted to the launch end point


class Browser:
    def __init__(self):
        self.cookies = {}  # (host, name) -> (value, path, secure, expires)

    # --- cookies: by host, not by port, as RFC 6265 has it ------------------------------------------------------------------------

    def store(self, host, line):
        head, *attributes = [part.strip() for part in line.split(";")]
        name, _, value = head.partition("=")
        given = {key.strip().lower(): text.strip() for key, _, text in (attribute.partition("=") for attribute in attributes)}
        secure, path = "secure" in given, given.get("path", "/")
        if given.get("samesite", "").lower() == "none" and not secure:
            return  # browsers refuse it
        if name.startswith("__Host-") and (not secure or path != "/" or "domain" in given):
            return
        expires = None
        if "max-age" in given:
            expires = time.time() + int(given["max-age"])
        elif "expires" in given:
            expires = parsedate_to_datetime(given["expires"]).timestamp()
        if expires is not None and expires <= time.time():
            self.cookies.pop((host, name), None)
        else:
            self.cookies[(host, name)] = (value, path, secure, expires)

    def cookie_header(self, url):
        parts = urllib.parse.urlsplit(url)
        found = []
        for (host, name), (value, path, secure, expires) in self.cookies.items():
            inside = parts.path == path or parts.path.startswith(path.rstrip("/") + "/")
            safe = not secure or parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1")
            if host == parts.hostname and inside and safe and (expires is None or expires > time.time()):
                found.append(f"{name}={value}")
        return "; ".join(found)

    def named(self, prefix):
        """Cookies whose names begin with `prefix`: name -> value."""
        return {name: value[0] for (_, name), value in self.cookies.items() if name.startswith(prefix)}

    def set_cookie(self, name, value, host="localhost"):
        self.cookies[(host, name)] = (value, "/", False, None)

    # --- requests -----------------------------------------------------------------------------------------------------------------

    def request(self, method, url, body=None, headers=()):
        """One exchange, no redirects. `headers` is a list of pairs (or a dict), sent as they are spelt."""
        parts = urllib.parse.urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=TIMEOUT)
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        names = {name.lower() for name, _ in pairs}
        try:
            connection.putrequest(method, target or "/", skip_host=True, skip_accept_encoding=True)
            if "host" not in names:
                connection.putheader("Host", parts.netloc)
            cookies = self.cookie_header(url)
            if cookies and "cookie" not in names:
                connection.putheader("Cookie", cookies)
            for name, value in pairs:
                connection.putheader(name, value.encode() if isinstance(value, str) else value)
            if body is not None and "content-length" not in names and "transfer-encoding" not in names:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            if body is not None:
                try:
                    connection.send(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the server may answer before it has read everything
            response = Response(url, connection.getresponse())
        finally:
            connection.close()
        for line in response.set_cookies:
            self.store(parts.hostname, line)
        return response

    def get(self, url, headers=()):
        return self.request("GET", url, headers=headers)

    def post(self, url, fields=None, headers=(), origin=None, body=None):
        """A form, sent as a browser sends it: with the origin of the page that had it (the site itself unless told)."""
        origin = origin or origin_of(url)
        site = "same-origin" if origin == origin_of(url) else "cross-site"
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        names = {name.lower() for name, _ in pairs}
        for name, value in (("Content-Type", "application/x-www-form-urlencoded"), ("Origin", origin), ("Sec-Fetch-Site", site)):
            if name.lower() not in names:
                pairs.append((name, value))
        if body is None:
            body = urllib.parse.urlencode(fields or {}).encode()
        return self.request("POST", url, body, pairs)

    def submit(self, form):
        return self.post(form.action, form.fields, origin=form.origin)

    def follow(self, response, limit=5):
        while response.status in (301, 302, 303, 307) and limit > 0:
            response = self.get(response.location)
            limit -= 1
        return response

    # --- the launch, step by step -------------------------------------------------------------------------------------------------

    def start_login(self, campus, course, person, link="proxied", method="post"):
        """Clicks the link in the course; returns the tool's answer to the login initiation."""
        opened = self.get(campus.open_url(person, course, link, method))
        return self.get(opened.location) if opened.status == 302 else self.submit(opened.form())

    def authorize(self, login):
        """Goes where the tool sent the browser, by redirect, by form or by a page with a link; returns the platform's answer."""
        if login.status == 200:
            way = Page(login).way
            return self.get(way) if way else self.submit(login.form())
        assert login.status in (302, 303), login
        return self.get(login.location)

    def prepare(self, campus, course, person, link="proxied", method="post"):
        """Everything up to the form that the platform would post to the tool."""
        return self.authorize(self.start_login(campus, course, person, link, method)).form()

    def launch(self, campus, course, person, link="proxied", method="post", check=True):
        """The whole way from the course into the application."""
        steps = Launch()
        steps.login = self.start_login(campus, course, person, link, method)
        steps.auth = self.authorize(steps.login)
        steps.form = steps.auth.form()
        steps.launch = self.submit(steps.form)
        if check:
            assert steps.launch.status == 303, steps.launch
        if steps.launch.status == 303:
            steps.app = self.follow(steps.launch)
        return steps
