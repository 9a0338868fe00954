# SPDX-License-Identifier: Apache-2.0
"""Point 2 and Invariant 9: `apachectl -t` finds what cannot work: file, line, and what to write instead."""
import re
import subprocess

import pytest


def complains(httpd, output, marker):
    """The output names the file and the line of `marker`, in httpd's words or in ours."""
    line = httpd.line_of(marker)
    return f"{httpd.conf}:{line}" in output or re.search(rf"line {line} of {re.escape(str(httpd.conf))}", output) is not None


def two_platforms(httpd, **changes):
    httpd.platform = httpd.platform_block() + "\n" + httpd.platform_block("second", **changes)


def change_platform(**changes):
    def change(httpd):
        httpd.platform = httpd.platform_block(**changes)

    return change


def add(text):
    def change(httpd):
        httpd.extra = text

    return change


def replace(part, text):
    return lambda httpd: setattr(httpd, part, text)


def same_registration_twice(httpd):
    two_platforms(httpd)


def same_name_twice(httpd):
    httpd.platform = httpd.platform_block() + "\n" + httpd.platform_block(LTIClientID="another")


def ambiguous_user(httpd):
    two_platforms(httpd, LTIClientID="another")
    httpd.extra = '<Location "/app">\n    LTIRemoteUser {email}\n</Location>'


def unreadable_key(httpd):
    httpd.extra = f"LTIKeyFile {httpd.root}/no-such-key.pem"


def key_that_is_none(httpd):
    path = httpd.root / "conf/key.pem"
    path.write_text("this is no key\n")
    path.chmod(0o600)
    httpd.extra = f"LTIKeyFile {path}"


def key_for_all_eyes(httpd):
    path = httpd.root / "conf/key.pem"
    path.write_text("this is no key\n")
    path.chmod(0o644)
    httpd.extra = f"LTIKeyFile {path}"


def key_that_stands_twice(httpd):
    pem = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], capture_output=True, check=True).stdout
    paths = [httpd.root / "conf/one.pem", httpd.root / "conf/two.pem"]
    for path in paths:
        path.write_bytes(pem)
        path.chmod(0o600)
    httpd.extra = "\n".join(f"LTIKeyFile {path}" for path in paths)


# case -> (change, the line that is named, what the message says). SPEC A-18, Y-01: what a login or a key set would need; S-12: wide times; S-31: keys for all eyes.
FAULTS = {
    "no client id": (change_platform(LTIClientID=None), "<LTIPlatform", r"LTIClientID"),
    "no issuer": (change_platform(LTIIssuer=None), "<LTIPlatform", r"LTIIssuer"),
    "no authorization end point": (change_platform(LTIAuthorizationEndpoint=None), "<LTIPlatform", r"LTIAuthorizationEndpoint"),
    "no token end point": (change_platform(LTITokenEndpoint=None), "<LTIPlatform", r"LTITokenEndpoint"),
    "no key set": (change_platform(LTIKeySet=None), "<LTIPlatform", r"LTIKeySet"),
    "http outside loopback": (change_platform(LTIKeySet="http://lms.example.edu/jwks"), "<LTIPlatform", r"https"),
    "http token end point": (change_platform(LTITokenEndpoint="http://10.0.0.1/token"), "<LTIPlatform", r"https"),
    "http that only looks like loopback": (change_platform(LTIKeySet="http://localhost.example.edu/jwks"), "<LTIPlatform", r"https"),
    "end point that is no URL": (change_platform(LTIKeySet="lms.example.edu/jwks"), "<LTIPlatform", r"LTIKeySet"),
    "the same name twice": (same_name_twice, '<LTIPlatform "campus">', r"another name"),
    "the same registration twice": (same_registration_twice, '<LTIPlatform "second">', r"same registration"),
    "a bad name": (replace("platform", '<LTIPlatform "a b/c">\n</LTIPlatform>'), "<LTIPlatform", r"letters, digits"),
    "no name": (replace("platform", "<LTIPlatform>\n</LTIPlatform>"), "<LTIPlatform", r"name"),
    "an unknown family": (
        replace("platform", '<LTIPlatform "x">\n    LTIPreset webct https://x.example\n</LTIPlatform>'),
        "LTIPreset",
        r"canvas, moodle",
    ),
    "a preset without a client id": (
        replace("platform", '<LTIPlatform "x">\n    LTIPreset moodle https://moodle.example.edu\n</LTIPlatform>'),
        "<LTIPlatform",
        r"LTIClientID",
    ),
    "a rate without its unit": (change_platform(LTISyncRate="10"), "LTISyncRate", r"10/s or 30/m"),
    "an unknown algorithm": (change_platform(LTIAlgorithms="HS256"), "LTIAlgorithms", r"RS256"),
    "algorithm none": (change_platform(LTIAlgorithms="none"), "LTIAlgorithms", r"RS256"),
    "deployments that contradict": (change_platform(LTIDeployment="any d-1"), "LTIDeployment", r"any, or ask, or a list"),
    "a duration that is none": (add("LTISessionLifetime soon"), "LTISessionLifetime", r"such as .*15m"),
    "a duration with a strange unit": (add("LTISessionIdle 5 weeks"), "LTISessionIdle", r"."),
    "a negative duration": (add("LTISyncTimeout -5s"), "LTISyncTimeout", r"duration"),
    "a cookie that no browser takes": (add("LTICookieName a_b"), "LTICookieName", r"such as lti or __Host-lti"),
    "a cookie without a name": (add("LTICookieName __Host-"), "LTICookieName", r"such as lti or __Host-lti"),
    "a cookie called as those of logins": (add("LTICookieName __Host-lti-x"), "LTICookieName", r"such as lti or __Host-lti"),
    "sessions that end at once": (add("LTISessionLifetime 0"), "LTISessionLifetime", r"such as 8h"),
    "clocks that differ by a day": (add("LTIClockSkew 1d"), "LTIClockSkew", r"at most 5m"),
    "rosters without a pause": (add("LTISyncInterval 0"), "LTISyncInterval 0", r"LTISync Off"),
    "transfers without time": (add("LTISyncTimeout 0s"), "LTISyncTimeout", r"such as 60s"),
    "launches without room": (add("LTIMaxLaunchSize 0"), "LTIMaxLaunchSize", r"256K"),
    "a path that no request can have": (add("LTIPath /a/../lti"), "LTIPath", r"such as /lti"),
    "a path with an empty segment": (add("LTIPath /a//lti"), "LTIPath", r"such as /lti"),
    "an application that no request can have": (add("LTIApplication /x/./"), "LTIApplication /x", r"such as /app/"),
    "an application among the end points": (add("LTIPath /app"), "<LTIPlatform", r"another LTIPath"),
    "a database without a file": (replace("database", "DBDriver sqlite3"), "DBDriver", r"DBDParams /path"),
    "a database in memory": (replace("database", "DBDriver sqlite3\nDBDParams :memory:"), "DBDriver", r"DBDParams /path"),
    "a size that is none": (add("LTISharedMemory lots"), "LTISharedMemory", r"such as 64M"),
    "shared memory too small": (add("LTISharedMemory 1K"), "LTISharedMemory", r"64M|1M"),
    "a guard above 100 per cent": (add("LTISyncDropGuard 150%"), "LTISyncDropGuard", r"."),
    "nobody may wait": (add("LTIEventWaiters 0"), "LTIEventWaiters", r"from 1 to 1000"),
    "authorities that are no file": (add("LTICAFile /no/such/file.pem"), "LTICAFile", r"no file"),
    "a path that is none": (add("LTIPath lti"), "LTIPath", r"starts with /"),
    "an application that is none": (add("LTIApplication app"), "LTIApplication app", r"such as /app/"),
    "a base URL with a path": (add("LTIBaseURL https://tools.example.edu/path"), "LTIBaseURL", r"scheme and host"),
    "a service host that is none": (add("LTIServiceHosts http://x/"), "LTIServiceHosts", r"."),
    "a template without a person": (add('<Location "/app">\nLTIRemoteUser {platform}\n</Location>'), "LTIRemoteUser", r"\{sub\}|person"),
    "a template with a strange word": (add('<Location "/app">\nLTIRemoteUser {shoe}\n</Location>'), "LTIRemoteUser", r"shoe|\{sub\}"),
    "a template without its brace": (add('<Location "/app">\nLTIRemoteUser {sub\n</Location>'), "LTIRemoteUser", r"."),
    "a template that is not unique": (ambiguous_user, "LTIRemoteUser", r"\{email\}@\{platform\}"),
    "no database": (replace("database", ""), "<LTIPlatform", r"DBDriver sqlite3"),
    "no application": (lambda h: setattr(h, "module_config", h.module_config.replace("LTIApplication /app/ /cgi/", "")), "<LTIPlatform", r"LTIApplication /app/"),
    "a key that is not there": (unreadable_key, "LTIKeyFile", r"does not exist|cannot be read"),
    "a key that is none": (key_that_is_none, "LTIKeyFile", r"."),
    "one key in two files": (key_that_stands_twice, "conf/two.pem", r"key 2 is the same as key 1"),
    "a key that others may read": (key_for_all_eyes, "LTIKeyFile", r"0600"),
    "roster access outside a location": (add("LTIRosterAccess all"), "LTIRosterAccess all", r"."),
    "an unknown way to pass": (add('<Location "/app">\nLTIPassIdentity smoke\n</Location>'), "LTIPassIdentity", r"env, headers"),
    "an unknown message type": (add("LTIMessageTypes Nonsense"), "LTIMessageTypes", r"."),
    "a directive outside its block": (add("LTIClientID lost"), "LTIClientID lost", r"LTIPlatform"),
    "a server directive in a host": (
        add("<VirtualHost 127.0.0.1:9>\nLTISharedMemory 64M\n</VirtualHost>"),
        "LTISharedMemory",
        r"outside <VirtualHost>",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_fault_is_found_with_its_place_and_its_remedy(make_stage, case):
    change, marker, says = FAULTS[case]
    httpd = make_stage().httpd
    change(httpd)
    code, output = httpd.configtest()
    assert code != 0, output
    assert complains(httpd, output, marker), output
    assert re.search(says, output), output


def test_usual_configuration_is_fine(make_stage):
    code, output = make_stage().httpd.configtest()
    assert code == 0 and "Syntax OK" in output, output
    assert "lti" not in output.lower(), output


PRESETS = {
    "moodle": "https://moodle.example.edu/moodle",
    "canvas": "https://canvas.instructure.com",
    "blackboard": "https://blackboard.com",
    "brightspace": "https://school.brightspace.com",
    "sakai": "https://sakai.example.edu 12",
    "schoology": "https://schoology.schoology.com",
}


@pytest.mark.parametrize("family", PRESETS)
def test_three_lines_are_enough_for_each_family(make_stage, family):
    httpd = make_stage().httpd
    httpd.platform = f'<LTIPlatform "{family}">\n    LTIPreset {family} {PRESETS[family]}\n    LTIClientID abc123\n</LTIPlatform>'
    code, output = httpd.configtest()
    assert code == 0 and "Syntax OK" in output, output


def test_configtest_makes_nothing(make_stage):
    """No keys, no tables, no shared memory: the test of a configuration leaves no trace."""
    httpd = make_stage().httpd
    assert httpd.configtest()[0] == 0
    assert list((httpd.root / "state").iterdir()) == [] and list((httpd.root / "db").iterdir()) == []


@pytest.mark.parametrize("name", ["secret", "tool-key.pem"])
@pytest.mark.parametrize("fault", ["open to all", "broken"])
def test_what_an_earlier_start_generated_is_looked_at(make_stage, name, fault):
    """It would end a running server at its next reload."""
    httpd = make_stage().httpd
    path = httpd.root / "state" / name
    path.write_text("what is short, and no key\n")
    path.chmod(0o644 if fault == "open to all" else 0o600)
    code, output = httpd.configtest()
    assert code != 0 and str(path) in output, output
    assert re.search("0600" if fault == "open to all" else "shorter|key", output), output


def test_module_without_a_platform_does_nothing(make_stage):
    stage = make_stage()
    locations = stage.httpd.locations.split("<Location")[0]
    stage.configure(platform="", module_config="", database="", locations=locations, extra="")
    stage.httpd.service = ""
    stage.start()
    from client import Browser

    assert Browser().get(stage.url("/lti/jwks")).status == 404
    headers = Browser().get(stage.url("/open/echo"), [("X-LTI-Role", "theirs")]).json()["headers"]
    assert ["X-LTI-Role", "theirs"] in headers


def test_a_site_without_https_is_warned_at_its_start(make_stage):
    """Not an error: TLS may come from a load balancer that this server knows nothing of; then LTIBaseURL says so."""
    stage = make_stage().configure(pace="LTISync Off")
    text = stage.httpd.text
    stage.httpd.text = lambda: text().replace(f"ServerName {stage.httpd.base_url}", "ServerName http://tools.example.edu").replace(
        "ServerName http://127.0.0.1", "ServerName http://services.example.edu"
    )
    stage.httpd.expect_log(r"LTI0004: .*LTIBaseURL https")
    stage.start()
