# SPDX-License-Identifier: Apache-2.0
"""Attacks with numbers: races for one nonce, floods of logins and of garbage, tokens of one platform for the state of another; and the honest person beside them.

All cases share one site: two httpds of several processes each, one database, one secret, one public address, as behind a load balancer; and two platforms."""
import http.client
import os
import re
import shutil
import socket
import threading
import time
import urllib.parse
from base64 import urlsafe_b64encode
from collections import Counter
from pathlib import Path

import database
import pytest
from campus import Campus
from client import Browser
from httpd import free_port
from jwcrypto import jwk

TABLES = ("context", "sync", "member", "staging", "nonce", "launch", "deployment", "revocation")


@pytest.fixture(scope="module")
def site(make_shared_stage):
    """Two nodes; `first.other` is the second platform, whose administrator is not to be trusted with people of the first."""
    first, second = make_shared_stage(), make_shared_stage()
    other = Campus(tool_base=first.httpd.base_url, port=free_port())
    other.keys.rotate(keep_old=False)
    other.tool.client_id = "another-tool"
    other.start()
    platforms = first.httpd.platform_block() + "\n" + first.httpd.platform_block(
        "other",
        LTIIssuer=other.issuer,
        LTIClientID=other.tool.client_id,
        LTIAuthorizationEndpoint=other.auth_url,
        LTITokenEndpoint=other.token_url,
        LTIKeySet=other.jwks_url,
    )
    for stage in (first, second):
        # A pipelined flood would end after a hundred requests; lines for each of 100,000 refused logins are nothing to look at.
        stage.configure(pace="LTISync Off", platform=platforms, database=first.httpd.database, extra="MaxKeepAliveRequests 0\nTimeout 30")
    second.httpd.module_config += f"\nLTIBaseURL {first.httpd.base_url}"
    first.start()
    if (first.httpd.root / "state/secret").exists():
        shutil.copy(first.httpd.root / "state/secret", second.httpd.root / "state/secret")
    second.start()
    first.launch("ada")  # now the tables are there, however slow the machine
    first.other = other
    yield first, second
    other.stop()


def rows(stage):
    """How many rows the tables have that a request could grow."""
    return {table: int(stage.httpd.store.execute(f"SELECT COUNT(*) FROM lti_{table}")[0][0]) for table in TABLES}


def size_of(store):
    return sum(path.stat().st_size for path in store.file.parent.iterdir()) if database.KIND == "sqlite3" else 0


def resident(stage):
    """KiB that the largest child has in memory; a sanitizer keeps what was freed, so that there is nothing to measure."""
    if os.environ.get("LTI_PRELOAD"):
        return 0
    sizes = []
    for pid in stage.httpd.children():
        found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
        if found:
            sizes.append(int(found[1]))
    return max(sizes)


# --- one nonce ------------------------------------------------------------------------------------------------------------------------


def post_at_once(form, cookie, ports):
    """The same launch over so many connections that are all open before the first byte is sent; returns (port, status, error code) of each."""
    parts = urllib.parse.urlsplit(form.action)
    body = urllib.parse.urlencode(form.fields).encode()
    barrier, answers = threading.Barrier(len(ports)), []

    def one(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        headers = {"Host": parts.netloc, "Cookie": cookie, "Origin": form.origin, "Content-Type": "application/x-www-form-urlencoded"}
        barrier.wait(30)
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        answer.read()
        answers.append((port, answer.status, answer.headers.get("X-LTI-Error")))
        connection.close()

    threads = [threading.Thread(target=one, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_one_nonce_wins_once_whoever_races(site):
    """Fifty requests for one token, over several processes of two httpds (SPEC B-09, S-02)."""
    first, second = site
    began = [len(stage.httpd.log_lines()) for stage in site]
    winners = Counter()
    for _ in range(4):
        browser = Browser()
        form = browser.prepare(first.campus, "BIO1", "zoe")
        before = rows(first)["nonce"]
        answers = post_at_once(form, browser.cookie_header(form.action), [first.httpd.port, second.httpd.port] * 25)
        assert len(answers) == 50
        assert Counter((status, error) for _, status, error in answers) == {(303, None): 1, (401, "nonce-used"): 49}
        winners.update(port for port, status, _ in answers if status == 303)
        assert rows(first)["nonce"] - before == 1
    assert sum(winners.values()) == 4
    processes = {
        (index, found[1]) for index, stage in enumerate(site) for line in stage.httpd.log_lines()[began[index] :]
        if "nonce-used" in line and (found := re.search(r"\[pid (\d+)", line))
    }  # fmt: skip
    assert len(processes) >= 3, f"the race was to be run in several processes: {processes}"


def test_launches_in_flight_all_arrive(site):
    """Ten links clicked in one browser before the first came back, in any order."""
    first, _ = site
    browser = Browser()
    logins = [browser.start_login(first.campus, course, "zoe", link) for _ in range(3) for course, link in (("BIO1", "proxied"), ("HIS2", "cgi"))]
    assert len(browser.named("__Host-lti-")) == len(logins)
    for login in logins[::2] + logins[1::2][::-1]:
        form = browser.authorize(login).form()
        answer = browser.submit(form)
        assert answer.status == 303, answer
    assert first.echo(browser)["x-lti-user-id"] == first.campus.state.person("zoe").id
    assert not browser.named("__Host-lti-")


def test_a_class_that_opens_the_tool_together_tells_what_is_new(site):
    """Launches that say the same of their course tell it once in two seconds; what differs is told at once."""
    first, _ = site
    course = first.campus.state.course("BIO1")
    kept = course.title
    try:
        for title in (kept, "Biology, renamed", "Biology, renamed again"):
            course.title = title
            for person in ("zoe", "sam", "mei", "jose"):
                first.launch(person)
            assert [title for (title,) in first.httpd.store.execute(f"SELECT title FROM lti_context WHERE context_id = '{course.id}'")] == [title]
    finally:
        course.title = kept


def test_state_expires(site):
    """SPEC A-17: ten minutes, to the second."""
    first, _ = site
    late, early = Browser(), Browser()
    early_form, late_form = early.prepare(first.campus, "BIO1", "ada"), late.prepare(first.campus, "BIO1", "zoe")
    try:
        first.httpd.set_clock(602)
        time.sleep(1.1)
        answer = late.submit(late_form)
        assert (answer.status, answer.error) == (401, "state-expired"), answer
        assert not late.named("lti_")
    finally:
        first.httpd.set_clock(0)
        time.sleep(1.1)
    assert early.submit(early_form).status == 303


# --- platforms against each other -----------------------------------------------------------------------------------------------------


def test_state_of_one_platform_with_a_token_of_another(site):
    """SPEC C-01, S-09: whoever runs one platform signs what they like, and reaches nobody of another."""
    first, _ = site
    campus, other = first.campus, first.other
    kid = campus.keys.current["RS256"]["kid"]
    disguised = jwk.JWK(**dict(jwk.JWK.generate(kty="RSA", size=2048).export(as_dict=True), kid=kid))
    other.keys.published.append(disguised)
    first.launch("ada")  # both sets are known
    tokens = {
        "its own": (lambda claims: other.keys.sign(dict(claims, iss=other.issuer, aud=other.tool.client_id)), {"issuer-mismatch"}),
        "its own issuer, our client": (lambda claims: other.keys.sign(dict(claims, iss=other.issuer)), {"issuer-mismatch"}),
        "our issuer, its key": (lambda claims: other.keys.sign(claims), {"key-unknown"}),
        "our issuer, its key under our kid": (lambda claims: other.keys.sign(claims, key=disguised), {"signature"}),
        "no issuer": (lambda claims: other.keys.sign({k: v for k, v in claims.items() if k != "iss"}), {"key-unknown", "claim-missing"}),
    }
    try:
        for name, (make, codes) in tokens.items():
            browser = Browser()
            campus.make_token = make
            steps = browser.launch(campus, "BIO1", "ada", check=False)
            assert steps.launch.status == 401 and steps.launch.error in codes, (name, steps.launch)
            assert not browser.named("lti_")
    finally:
        campus.make_token = None
        other.keys.published.remove(disguised)
    honest = Browser()
    assert honest.launch(other, "BIO1", "ada").app.status == 200
    assert first.echo(honest)["x-lti-platform"] == "other"


# --- floods ---------------------------------------------------------------------------------------------------------------------------


class Flood:
    """Many requests over few connections, many in flight on each: `make(number)` gives the bytes of one. Counts the statuses."""

    def __init__(self, port, make, amount, connections=8, batch=50):
        self.port, self.make, self.batch = port, make, batch
        self.statuses, self.faults = Counter(), []
        self.lock = threading.Lock()
        self.next, self.amount = 0, amount
        self.threads = [threading.Thread(target=self.pour) for _ in range(connections)]

    def take(self):
        with self.lock:
            start = self.next
            self.next = min(self.next + self.batch, self.amount)
            return range(start, self.next)

    def pour(self):
        try:
            connection = None
            while numbers := self.take():
                while numbers:
                    # httpd may end a kept connection between two requests at any time: what was not answered is sent again.
                    connection = connection or socket.create_connection(("127.0.0.1", self.port), timeout=30)
                    answered = self.exchange(connection, b"".join(self.make(number) for number in numbers), len(numbers))
                    if answered < len(numbers):
                        connection.close()
                        connection = None
                    numbers = numbers[answered:]
            if connection is not None:
                connection.close()
        except Exception as error:
            self.faults.append(error)

    def exchange(self, connection, requests, wanted):
        """Sends, and reads so many answers (each says its length); how many came before the connection was closed."""
        data, answered = b"", 0
        try:
            connection.sendall(requests)
            while answered < wanted:
                head, found, rest = data.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                assert not found or length, head
                if found and len(rest) >= int(length[1]):
                    with self.lock:
                        self.statuses[int(head[9:12])] += 1
                    data = rest[int(length[1]) :]
                    answered += 1
                    continue
                more = connection.recv(262144)
                if not more:
                    break
                data += more
        except ConnectionError:
            pass
        return answered

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def wait(self):
        for thread in self.threads:
            thread.join()
        assert not self.faults, self.faults[:3]
        return self.statuses


def login_request(stage, number):
    query = urllib.parse.urlencode(
        {"iss": stage.campus.issuer, "login_hint": f"u{number}", "target_link_uri": stage.url("/app/"), "client_id": stage.campus.tool.client_id}
    )
    return f"GET /lti/login?{query} HTTP/1.1\r\nHost: localhost:{stage.httpd.port}\r\n\r\n".encode()


@pytest.mark.parametrize("amount", [5000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_flood_of_logins_costs_no_memory(site, amount):
    """A login stores nothing (SPEC S-27): state and nonce go out sealed."""
    first, _ = site
    Flood(first.httpd.port, lambda number: login_request(first, number), 2000).start().wait()
    before, size, memory = rows(first), size_of(first.httpd.store), resident(first)
    began = time.monotonic()
    flood = Flood(first.httpd.port, lambda number: login_request(first, number), amount).start()
    honest = Browser()
    assert honest.launch(first.campus, "BIO1", "zoe").app.status == 200
    waited = time.monotonic() - began
    assert flood.wait() == {302: amount}
    print(f"{amount} logins in {time.monotonic() - began:.1f} s; an honest launch beside them took {waited:.2f} s")
    assert waited < 10
    grown = rows(first)
    assert {table: grown[table] - before[table] for table in grown if grown[table] != before[table]} in ({"nonce": 1}, {"nonce": 1, "context": 1, "sync": 1}), grown
    assert size_of(first.httpd.store) - size < 512 * 1024
    assert resident(first) - memory < 4096, (memory, resident(first))


def garbage(kid):
    """Tokens that cost an attacker nothing: none of them may cost the tool or the platform much."""
    def encode(text):
        return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    def of(alg, name, number):
        return f'{encode(f"""{{"alg":"{alg}","kid":"{name}"}}""")}.{encode(f"""{{"sub":"u{number}"}}""")}.{"A" * 342}'

    return [
        lambda number: of("RS256", kid, number),
        lambda number: of("RS256", f"unknown-{number}", number),
        lambda number: of("none", kid, number),
        lambda number: of("ES256", kid, number),
        lambda number: "x" * (number % 2000 + 1),
        lambda number: ".." + str(number),
    ]


@pytest.mark.parametrize("amount", [3000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_flood_of_garbage_tokens_stores_nothing_and_fetches_nothing(site, amount):
    """One login, and its state with token after token: key sets are asked for once a minute at the most (SPEC Y-06), nothing is stored (Invariant 1)."""
    first, _ = site
    first.launch("ada")
    attacker = Browser()
    form = attacker.prepare(first.campus, "BIO1", "sam")
    cookie, makers = attacker.cookie_header(form.action), garbage(first.campus.keys.current["RS256"]["kid"])
    fetched = len(first.campus.requests("jwks"))

    def request(number):
        body = urllib.parse.urlencode({"state": form.fields["state"], "id_token": makers[number % len(makers)](number)}).encode()
        head = (
            f"POST /lti/launch HTTP/1.1\r\nHost: localhost:{first.httpd.port}\r\nCookie: {cookie}\r\nOrigin: {form.origin}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    Flood(first.httpd.port, request, 1200).start().wait()
    before, memory, began = rows(first), resident(first), time.monotonic()
    assert Flood(first.httpd.port, request, amount).start().wait() == {401: amount}
    took = time.monotonic() - began
    print(f"{amount} garbage launches in {took:.1f} s")
    assert rows(first) == before
    assert resident(first) - memory < 4096
    assert len(first.campus.requests("jwks")) - fetched <= 1 + (took + 30) // 60
    # The login is still good: nobody can spend it but with a token.
    assert attacker.submit(form).status == 303
    assert Browser().launch(first.campus, "BIO1", "zoe").app.status == 200
