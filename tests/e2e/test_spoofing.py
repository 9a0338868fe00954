# SPDX-License-Identifier: Apache-2.0
"""SPEC S-20: a client cannot say who it is: identity headers in every spelling and at every place of a request, over HTTP/1.1 and HTTP/2, to a protected, a
public and a proxied path; nor can it have ours left out."""
import itertools
import json
import shutil
import socket
import subprocess

import pytest
from client import Browser
from httpd import MODULES

FORGED = "forged-by-the-client"

NAMES = ["X-LTI-Role", "X-LTI-User-Id", "X-LTI-Remote-User", "X-LTI-Name", "X-LTI-Custom-Login", "X-LTI-Truncated", "X-LTI-For-User-Id", "X-LTI-Of-Tomorrow"]
OTHERS = ["Remote-User", "X-Remote-User"]  # only where AuthType LTI rules

EXTRA = """LoadModule http2_module MODULES/mod_http2.so
Protocols h2c http/1.1
MergeTrailers On
SetEnv proxy-nokeepalive 1
SetEnvIf X-Whole "." proxy-sendcl
HttpProtocolOptions Unsafe LenientMethods
ProxyPass "/untold/" "http://127.0.0.1:PORT/"
<Location "/untold">
    AuthType LTI
    Require valid-user
    LTIPassIdentity none
</Location>
ProxyPass "/little/" "http://127.0.0.1:PORT/"
<Location "/little">
    AuthType LTI
    Require valid-user
    LTIPassClaims course_key
</Location>
"""

# path -> whether it is proxied, AuthType LTI rules there, and what is told at all
PATHS = {
    "/app/echo": (True, True, True),
    "/open/echo": (True, False, True),
    "/untold/echo": (True, True, False),
    "/little/echo": (True, True, True),
    "/cgi/class.cgi?echo": (False, True, True),
    "/open-cgi/class.cgi?echo": (False, False, True),
}


# Reads what was sent before it answers.
SCRIPT = """#!/usr/bin/python3
import json, os, sys
sys.stdin.buffer.read()
text = json.dumps({name.decode(): value.decode("utf-8", "replace") for name, value in os.environb.items()})
sys.stdout.write("Content-Type: application/json\\r\\n\\r\\n" + text)
"""


@pytest.fixture(scope="module")
def site(make_shared_stage):
    stage = make_shared_stage()
    script = stage.httpd.root / "cgi/class.cgi"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    stage.httpd.allow_log(r"AH10034")  # mod_http2 does not care for prefork
    extra = EXTRA.replace("MODULES", MODULES).replace("PORT", str(stage.httpd.app_port))
    return stage.configure(pace="LTISync Off", extra=extra).start()


@pytest.fixture(scope="module")
def people(site):
    return {"signed in": site.launch("zoe"), "a stranger": Browser()}


def canonical(name):
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def spellings(name):
    """As some backend or other reads them: letters fold, what is neither letter nor digit becomes '_'."""
    words = name.split("-")
    for separator in "-_.~!#$%&'*+^`|":
        yield separator.join(words)
    yield from (name.lower(), name.upper(), name.swapcase(), name.lower().replace("-", "_"), name.upper().replace("-", "_"))
    for mixed in itertools.product("-_", repeat=len(words) - 1):
        yield "".join(itertools.chain.from_iterable(zip(words, (*mixed, ""))))


def exchange(site, browser, path, lines, method="GET", body=b""):
    """(status, body) of a request whose header lines are sent just as they are."""
    cookies = browser.cookie_header(site.url(path))
    head = [f"{method} {path} HTTP/1.1", f"Host: localhost:{site.httpd.port}", *([f"Cookie: {cookies}"] if cookies else []), "Connection: close", *lines]
    with socket.create_connection(("127.0.0.1", site.httpd.port), timeout=20) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, rest = received.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        rest = join_chunks(rest)
    return status, rest


def join_chunks(data):
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        if int(size, 16) == 0:
            break
        whole, data = whole + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return whole


def check(path, who, status, body, what, whole=True):
    """Nothing of what was forged came through, and what we tell is there once. `whole`: the application understood all headers."""
    proxied, ruled, is_told = PATHS[path]
    if status != 200:
        assert status in (400, 401), (what, status, body)
        assert status == 400 or (ruled and who == "a stranger"), (what, status)
        return
    told = json.loads(body)
    pairs = told["headers"] if proxied else list(told.items())
    ours = [(canonical(name), value) for name, value in pairs if "x_lti_" in canonical(name) or canonical(name).startswith(("lti_", "redirect_lti_"))]
    assert not [pair for pair in ours if FORGED in pair[1]], (what, ours)
    if ruled:
        assert not [name for name, value in pairs if "remote_user" in canonical(name) and FORGED in value], (what, pairs)
    names = [name for name, _ in ours]
    assert len(names) == len(set(names)), (what, names)
    if who == "a stranger" or not is_told:
        assert not ours, (what, ours)
    elif whole:
        assert ("x_lti_role" in names or "lti_role" in names) == (path != "/little/echo"), what


@pytest.mark.parametrize("who", ["signed in", "a stranger"])
@pytest.mark.parametrize("path", PATHS)
def test_every_spelling(site, people, path, who):
    forged = [name for name in NAMES + (OTHERS if PATHS[path][1] else []) for name in spellings(name)]
    for start in range(0, len(forged), 40):
        lines = [f"{name}: {FORGED}" for name in dict.fromkeys(forged[start : start + 40])]
        check(path, who, *exchange(site, people[who], path, lines), lines)


# How header lines can be bent without bending their names.
SHAPES = {
    "twice": ["X-LTI-Role: {}", "X-LTI-Role: {}"],
    "in two spellings": ["X-LTI-Role: {}", "x_lti_role: {}"],
    "folded": ["X-LTI-Role:", " {}"],
    "folded by a tab": ["X-LTI-Role: a", "\t{}"],
    "folded onto another header": ["Accept: */*", " X-LTI-Role: forged"],
    "blanks after it": ["X-LTI-Role: {}  \t "],
    "no blank": ["X-LTI-Role:{}"],
    "a blank before the colon": ["X-LTI-Role : {}"],
    "a tab before the colon": ["X-LTI-Role\t: {}"],
    "many blanks before the colon": ["x_lti_role   : {}"],
    "a blank inside": ["X-LTI -Role: {}"],
    "a blank first": ["Accept: a", " X-LTI-Role: {}"],
    "no value": ["X-LTI-Role:", "X-LTI-Name: {}"],
    "colons": ["X-LTI-Role:: {}", "X:LTI:Role: {}"],
    "no colon": ["X-LTI-Role {}"],
    "quotes and brackets": ['X"LTI"Role: {}', "X(LTI)Role: {}", "X[LTI]Role: {}", "X/LTI/Role: {}", "X@LTI@Role: {}"],
    "letters of other scripts": ["X\u2010LTI\u2010Role: {}", "\uff38-LTI-Role: {}", "X-LT\u0130-Role: {}"],
    "a bare line feed": ["Accept: a\nX-LTI-Role: {}"],
    "a bare carriage return": ["Accept: a\rX-LTI-Role: {}"],
    "a NUL": ["Accept: a\0X-LTI-Role: {}", "X-LTI-Role\0: {}"],
    "behind what httpd sees as one": ["X-LTI-Role: a, {}", "x-lti-ROLE: {}", "X-LTI-ROLE: {}"],
}


@pytest.mark.parametrize("who", ["signed in", "a stranger"])
@pytest.mark.parametrize("path", PATHS)
def test_every_shape(site, people, path, who):
    """HttpProtocolOptions Unsafe lets more of them in than httpd does by itself."""
    for shape, lines in SHAPES.items():
        status, body = exchange(site, people[who], path, [line.format(FORGED) for line in lines])
        if shape.startswith("folded onto") or shape == "a blank first":
            assert b"X-LTI-Role" not in body.replace(b"X-LTI-Role: forged", b"").replace(b"X-LTI-Role: " + FORGED.encode(), b"") or who == "signed in"
            continue  # the value of another header: no name
        check(path, who, status, body, shape, whole=shape != "letters of other scripts")


@pytest.mark.parametrize("who", ["signed in", "a stranger"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("more", [[], ["Trailer: X-LTI-Role, x_lti_name", "TE: trailers"], ["X-Whole: 1"]], ids=["plain", "announced", "read before it is passed on"])
def test_trailers(site, people, path, who, more):
    """MergeTrailers On, which is not the default, makes headers of what comes after a body, when somebody has read it."""
    lines = ["Transfer-Encoding: chunked", "Content-Type: text/plain", *more]
    trailers = [f"{name}: {FORGED}" for name in ("X-LTI-Role", "x_lti_name", "X.LTI.User.Id", "Remote-User", "X-LTI-Of-Tomorrow")]
    body = b"5\r\nhello\r\n0\r\n" + "\r\n".join([*trailers, "", ""]).encode()
    check(path, who, *exchange(site, people[who], path, lines, "POST", body), more)


# What a proxy leaves out of what it passes on (RFC 9110 section 7.6.1).
LEFT_OUT = [
    ["Connection: X-LTI-Role"],
    ["Connection: close, x-lti-role, X-LTI-User-Id"],
    ["Connection: X_LTI_ROLE", "Connection: X-LTI-Role"],
    ["Connection: X-LTI-Role;X-LTI-Name X-LTI-Remote-User"],
    ["Connection:\tX-LTI-Role\t,"],
    ["Keep-Alive: X-LTI-Role", "Connection: Keep-Alive"],
    ["Trailer: X-LTI-Role"],
    ["TE: X-LTI-Role", "Connection: TE"],
    ["Proxy-Connection: X-LTI-Role"],
    ["Upgrade: X-LTI-Role", "Connection: Upgrade"],
    ["Vary: X-LTI-Role", "Connection: close,,,X-LTI-Role,,"],
]


@pytest.mark.parametrize("lines", LEFT_OUT, ids=lambda lines: " ".join(lines)[:40])
def test_what_we_tell_cannot_be_left_out(site, people, lines):
    plain = site.echo(people["signed in"])
    status, body = exchange(site, people["signed in"], "/app/echo", [*lines, "Sec-Fetch-Site: same-origin"])
    assert status == 200
    told = {name.lower(): value for name, value in json.loads(body)["headers"] if name.lower().startswith("x-lti-")}
    assert told == plain


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("who", ["signed in", "a stranger"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("version", ["--http2-prior-knowledge", "--http2"])
def test_over_http2(site, people, path, who, version):
    url, forged = site.url(path), [name for name in NAMES + (OTHERS if PATHS[path][1] else []) for name in spellings(name)]
    cookies = people[who].cookie_header(url)
    ours = ["-H", f"Cookie: {cookies}"] if cookies else []
    for start in range(0, len(forged), 60):
        command = ["curl", "-s", version, *ours, "-w", "\n%{http_version} %{http_code}"]
        for name in dict.fromkeys(forged[start : start + 60]):
            command += ["-H", f"{name}: {FORGED}"]
        done = subprocess.run([*command, url], capture_output=True, timeout=20)
        body, _, last = done.stdout.rpartition(b"\n")
        spoken, status = last.split()
        # The upgrade from HTTP/1.1 has an Upgrade header, which a request of a program may have.
        assert spoken == b"2" or (version == "--http2" and spoken == b"1.1"), last
        check(path, who, int(status), body, forged[start : start + 60])
    if version != "--http2":
        assert b"X-LTI-Role" in body or not (who == "signed in" and PATHS[path] == (True, True, True)) or path == "/little/echo"
