# SPDX-License-Identifier: Apache-2.0
"""What a request costs, side by side in one run:

    a  httpd alone: the same cookie header, and a `Require expr` that looks at it
    b  behind mod_lti_sync: a session, a roster of 1,000 people in shared memory, everything exported
    c  behind mod_auth_openidc with its session in shared memory, where the package is there

    /usr/bin/python3 tests/bench/request.py [instructions] [throughput] [lookup]

Instructions are counted by callgrind and repeat almost exactly; throughput is measured by wrk in alternating rounds; the look-up alone is that of
tests/bench/lookup (make tests/bench/lookup). Environment: LTI_MODULE and LTI_LOOKUP name what was built; without them the build directory is searched.
"""
import argparse
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

from jwcrypto import jwk, jws

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "e2e", HERE.parent / "campus"):
    sys.path.insert(0, str(folder))

from campus import Campus  # noqa: E402
from client import Browser  # noqa: E402
from httpd import HTTPD, MODULES, ROOT, Httpd, find_module, free_port, is_listening, wait_for  # noqa: E402

PEOPLE = 1000
WARM_UP = 200  # requests, so that every thread has done once what it does only once
TARGET = "/file/small.txt"
PROBE = "/probe/small.txt"
# What a browser sends along.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate",
}
OIDC_MODULE = Path(MODULES) / "mod_auth_openidc.so"

# The probe tells what the application would be told; the measured address is protected in the same way.
PLAIN = """Require expr "%{HTTP_COOKIE} =~ /lti_/\""""
BEHIND = """AuthType TYPE
Require valid-user"""
LOCATIONS = """<Directory "/">
    AllowOverride None
</Directory>
<Location "/file">
PROTECTION
</Location>
<Location "/probe">
PROTECTION
Header set X-Told "%{REMOTE_USER}e STATE"
</Location>"""


# --- the three servers ------------------------------------------------------------------------------------------------------------


class Server(Httpd):
    """`title` and the cookie header that its requests carry."""

    def __init__(self, title, protection, told="", campus=None, port=None, mpm="event"):
        super().__init__(campus, port, mpm)
        self.title, self.cookie = title, ""
        self.locations = LOCATIONS.replace("PROTECTION", protection).replace("STATE", told)
        self.service = ""
        self.extra = "MaxKeepAliveRequests 0\nKeepAliveTimeout 60"
        self.log_level = "warn"
        self.threads = 2  # of a child; the fewer, the better instructions repeat. Under load the event MPM needs more to keep connections
        for folder in ("file", "probe"):
            self.put(f"{folder}/small.txt", "a small file\n" * 8)

    def sign_in(self):
        """Before each measurement."""

    def must_call(self):
        """Functions that a measured request must reach, and such that it must not."""
        return ()

    def must_not_call(self):
        return ()

    def text(self):
        # A log line of each request would cost all three the same and hide a part of the difference.
        text = re.sub(r"^CustomLog .*$", "", super().text(), flags=re.M)
        if self.mpm == "event":
            text = re.sub(r"^(ThreadsPerChild|ThreadLimit) .*$", rf"\1 {self.threads}", text, flags=re.M)
            text = re.sub(r"^(MaxRequestWorkers|MaxSpareThreads) .*$", rf"\1 {4 * self.threads}", text, flags=re.M)
        return text

    def headers(self):
        return {**HEADERS, **({"Cookie": self.cookie} if self.cookie else {})}

    def probe(self):
        response = Browser().get(self.base_url + PROBE, self.headers())
        assert response.status == 200, f"{self.title}: {response}\n{self.log_text()}"
        return response.header("X-Told")


class Plain(Server):
    def __init__(self, mpm):
        super().__init__("httpd alone", PLAIN, mpm=mpm)
        self.module = None
        self.module_config = self.database = ""


class WithLti(Server):
    def __init__(self, mpm):
        port = free_port()
        campus = Campus(tool_base=f"http://localhost:{port}")
        state = "%{LTI_ROSTER_STATE}e %{LTI_ROSTER_SIZE}e %{LTI_NAME}e"
        super().__init__("mod_lti_sync", BEHIND.replace("TYPE", "LTI"), state, campus, port, mpm)
        campus.page_cap = 500
        self.module_config = self.module_config.replace("LTISyncInterval 2s", "LTISyncInterval 1h")
        fill(campus.state)

    def must_call(self):
        return ("lti_snapshot_lookup", "lti_unseal")

    def must_not_call(self):
        return ("lti_db_course_read", "lti_db_member_read")

    def launch(self):
        """A launch, and the roster that it asks for; afterwards secret, session and roster outlive this httpd."""
        self.campus.start()
        self.start()
        browser = Browser()
        launched = browser.launch(self.campus, "LARGE", "p0500")
        self.cookie = "; ".join(f"{name}={value}" for name, value in browser.named("lti_").items() if "state" not in name)
        assert launched.launch.status == 303 and self.cookie, launched.launch
        self.told = f"current {PEOPLE}"
        wait_for(lambda: self.told in self.probe(), "the roster", 60)

    def sign_in(self):
        told = self.probe()
        assert self.told in told, f"the roster is not there: {told!r}"

    def close(self):
        super().close()
        self.campus.stop()


class WithOidc(Server):
    """The session is in the shared memory of one httpd, so each must be signed in to. This class is the provider, too: id_tokens are signed with the
    client's secret, so httpd has nobody to ask."""

    ISSUER, CLIENT_ID, SECRET = "https://provider.example.edu", "bench", "a-secret-of-the-bench-only-0123456789"

    def __init__(self, mpm):
        super().__init__("mod_auth_openidc", BEHIND.replace("TYPE", "openid-connect"), "%{OIDC_CLAIM_email}e", mpm=mpm)
        self.module, self.database = None, ""
        self.module_config = f"""LoadModule auth_openidc_module {OIDC_MODULE}
OIDCProviderIssuer {self.ISSUER}
OIDCProviderAuthorizationEndpoint {self.ISSUER}/auth
OIDCResponseType id_token
OIDCResponseMode form_post
OIDCClientID {self.CLIENT_ID}
OIDCClientSecret {self.SECRET}
OIDCRedirectURI {self.base_url}/file/redirect
OIDCCryptoPassphrase only-for-the-bench
OIDCSessionType server-cache
OIDCCacheType shm"""

    def id_token(self, nonce):
        now = int(time.time())
        claims = {"iss": self.ISSUER, "aud": self.CLIENT_ID, "iat": now, "exp": now + 3600, "nonce": nonce, **FACTS}
        token = jws.JWS(json.dumps(claims).encode())
        token.add_signature(jwk.JWK.from_password(self.SECRET), protected=json.dumps({"alg": "HS256"}))
        return token.serialize(compact=True)

    def sign_in(self):
        browser = Browser()
        sent = browser.get(self.base_url + TARGET, HEADERS)
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sent.location).query))
        assert "nonce" in asked, f"{sent}\n{self.log_text()}"
        form = {"state": asked["state"], "id_token": self.id_token(asked["nonce"])}
        back = browser.post(asked["redirect_uri"], form, HEADERS, origin=self.ISSUER)
        assert back.status in (302, 303), f"{back}\n{self.log_text()}"
        self.cookie = browser.cookie_header(self.base_url + "/")
        assert FACTS["email"] in self.probe()


def fill(state):
    """A course of PEOPLE people, of whom one teaches."""
    state.add_course("LARGE", "Introduction to Everything")
    for number in range(PEOPLE):
        person = state.add_person(f"p{number:04}", f"Given{number}", f"Family{number}")
        state.enrol("LARGE", person, "learner" if number else "instructor")


# About as much as a launch tells.
FACTS = {
    "sub": "u-9b1deb4d3b7d",
    "name": "Given500 Family500",
    "given_name": "Given500",
    "family_name": "Family500",
    "email": "p0500@students.example.edu",
    "locale": "en",
    "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
    "course_id": "c-55d1c35e1bd1",
    "course_label": "LARGE",
    "course_title": "Introduction to Everything",
    "course_type": "http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering",
    "link_id": "rl-55d1c35e1bd1-proxied",
    "link_title": "Course app (proxied)",
    "deployment": "d-1",
    "target": "http://localhost/app/",
    "sourcedid": "SIS-p0500",
}


# --- instructions -----------------------------------------------------------------------------------------------------------------


def send(server, count):
    """Requests over one kept connection, each when httpd has finished with the one before: so the way through httpd is always the same."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    for _ in range(count):
        connection.request("GET", TARGET, headers={"Host": f"localhost:{server.port}", **server.headers()})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        time.sleep(0.01)
    connection.close()


# Counted from the first byte of a connection to its end, in the threads that serve: not start and end, nor what keeps rosters fresh by the clock.
CALLGRIND = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=ap_run_process_connection"]


def count_instructions(server, count, folder):
    server.write()
    profile, command = folder / "profile", [HTTPD, "-d", str(server.root), "-f", str(server.conf), "-X"]
    profile.touch()
    profile.chmod(0o666)  # opened by root, written by the server's user
    with open(folder / "valgrind.log", "wb") as log:
        process = subprocess.Popen([*CALLGRIND, f"--callgrind-out-file={profile}", *command], stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or is_listening(server.port), "httpd under valgrind to listen", 60)
        assert process.poll() is None, (folder / "valgrind.log").read_text()
        time.sleep(5)  # until the first turn of the watch thread has put the roster into shared memory
        server.sign_in()
        send(server, WARM_UP)
        send(server, count)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    text = profile.read_text(errors="replace")
    for name in server.must_not_call():
        assert f") {name}\n" not in text, f"a request asked the database ({name}): the roster was not in shared memory"
    for name in server.must_call():
        assert f") {name}\n" in text, f"{name} was not called: is the module stripped?"
    return int(re.search(r"^(?:totals|summary): (\d+)", text, re.M)[1])


def measure_instructions(servers, runs, keep):
    bare = None
    print(f"\nInstructions of a request (callgrind, difference of {runs[0]} and {runs[1]} requests, mpm_{servers[0].mpm}):", flush=True)
    for server in servers:
        totals = []
        for count in runs:
            folder = Path(keep or tempfile.mkdtemp(prefix="lti-bench-")) / f"{server.title.replace(' ', '-')}-{count}"
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
            folder.parent.chmod(0o755)
            totals.append(count_instructions(server, count, folder))
            if not keep:
                shutil.rmtree(folder.parent)
        each = (totals[1] - totals[0]) / (runs[1] - runs[0])
        bare = bare or each
        print(f"  {server.title:18} {each:10,.0f}   above httpd alone {each - bare:+10,.0f}   ratio {each / bare:6.2f}", flush=True)


# --- throughput -------------------------------------------------------------------------------------------------------------------


def processor_time(server):
    """Nanoseconds that all threads of this httpd's children have run."""
    tasks = [task for pid in server.children() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def run_wrk(server, seconds):
    """(requests a second, microseconds of processor time a request)."""
    before = processor_time(server)
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s"]
    for name, value in server.headers().items():
        command += ["-H", f"{name}: {value}"]
    told = subprocess.run([*command, server.base_url + TARGET], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told and "Socket errors" not in told, told
    requests = int(re.search(r"(\d+) requests in", told)[1])
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", told)[1])
    return rate, (processor_time(server) - before) / requests / 1000


def measure_throughput(servers, rounds, seconds):
    for server in servers:
        server.threads = 25
        server.start()
        server.sign_in()
        run_wrk(server, 1)
    figures = {server.title: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            figures[server.title].append(run_wrk(server, seconds))
    for server in servers:
        server.stop()
    bare = figures[servers[0].title]
    print(f"\nThroughput (wrk, 8 connections, {rounds} alternating rounds of {seconds} s; medians; load average {os.getloadavg()[0]:.1f}):")
    for title, each in figures.items():
        rates = [rate / base for (rate, _), (base, _) in zip(each, bare)]
        costs = [cost / base for (_, cost), (_, base) in zip(each, bare)]
        print(
            f"  {title:18} {statistics.median(rate for rate, _ in each):8,.0f}/s   ratio {statistics.median(rates):.3f}"
            f" ({min(rates):.2f} to {max(rates):.2f})   processor time {statistics.median(cost for _, cost in each):6.1f} us,"
            f" ratio {statistics.median(costs):.3f}",
            flush=True,
        )


# --- look-up ----------------------------------------------------------------------------------------------------------------------


def find_lookup():
    given = os.environ.get("LTI_LOOKUP")
    module = find_module()
    candidates = [Path(given)] if given else [module.parent.parent / "tests/bench/lookup", ROOT / "build/tests/bench/lookup"]
    return next((path for path in candidates if path.is_file()), None)


def measure_lookup(people):
    program = find_lookup()
    if program is None:
        sys.exit("tests/bench/lookup is not built: make tests/bench/lookup, or name it in LTI_LOOKUP")
    told = subprocess.run([str(program), str(people)], capture_output=True, text=True, check=True).stdout
    print("\nLook-up in shared memory:\n  " + told.strip().replace("\n", "\n  "), flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="*", help="instructions, throughput, lookup; all if none is named")
    options.add_argument("--runs", type=int, nargs=2, default=(100, 600), help="requests of the two runs under callgrind")
    options.add_argument("--rounds", type=int, default=31, help="of wrk")
    options.add_argument("--seconds", type=int, default=1, help="of each round")
    options.add_argument("--people", type=int, default=100000, help="for the look-up")
    options.add_argument("--mpm", choices=("event", "prefork"), default="event")
    options.add_argument("--keep", metavar="DIRECTORY", help="keep callgrind's profiles there, for callgrind_annotate")
    options.add_argument("--without-oidc", action="store_true", help="leave c out")
    chosen = options.parse_args()
    what = chosen.what or ["instructions", "throughput", "lookup"]
    if find_module() is None:
        sys.exit("there is no module: build first, or name it in LTI_MODULE")
    servers = []
    try:
        if set(what) & {"instructions", "throughput"}:
            servers = [Plain(chosen.mpm), WithLti(chosen.mpm)]
            if OIDC_MODULE.is_file() and not chosen.without_oidc:
                servers.append(WithOidc(chosen.mpm))
            servers[1].launch()
            servers[0].cookie = servers[1].cookie
            servers[1].stop()
        if "instructions" in what:
            measure_instructions(servers, chosen.runs, chosen.keep)
        if "throughput" in what:
            measure_throughput(servers, chosen.rounds, chosen.seconds)
    finally:
        for server in servers:
            server.close()
    if "lookup" in what:
        measure_lookup(chosen.people)


if __name__ == "__main__":
    main()
