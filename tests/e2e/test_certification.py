# SPDX-License-Identifier: Apache-2.0
"""The certification's list for tools (SPEC section 10), in its order and its words: bad payloads, valid launches each as Instructor and as Student, and
the negative tests that this module adds to them. Each refusal is looked up in the log, which names the reason and the rule.

The cases share one httpd with three registrations: the campus, another tool at the same campus ("sister"), and another platform ("elsewhere").
"""
import json
import re
import socket
import threading
import time

import campus_forgery as forgery
import pytest
from campus import Campus
from campus_protocol import LTI, NRPS_CLAIM
from campus_state import MEMBERSHIP
from client import Browser
from httpd import free_port

SISTER = "campus-tool-sister"
TABLES = ("lti_nonce", "lti_context", "lti_member", "lti_launch", "lti_sync")


@pytest.fixture(scope="module")
def elsewhere():
    campus = Campus(tool_base="http://localhost:1", port=free_port()).start()
    campus.keys.rotate(keep_old=False)
    yield campus
    campus.stop()


@pytest.fixture(scope="module")
def site(make_shared_stage, elsewhere):
    stage = make_shared_stage()
    blocks = [
        stage.httpd.platform_block(),
        stage.httpd.platform_block("sister", LTIClientID=SISTER),
        stage.httpd.platform_block(
            "elsewhere", LTIIssuer=elsewhere.issuer, LTIAuthorizationEndpoint=elsewhere.auth_url, LTITokenEndpoint=elsewhere.token_url, LTIKeySet=elsewhere.jwks_url
        ),
    ]
    stage.configure(pace="LTISync Off", platform="\n".join(blocks)).start()
    elsewhere.tool = type(elsewhere.tool)(stage.httpd.base_url)
    stage.launch("ada")  # so that the campus's keys are known
    return stage


@pytest.fixture(autouse=True)
def campus_as_usual(request):
    yield
    if "site" in request.fixturenames:
        campus = request.getfixturevalue("site").campus
        campus.tamper_claims = campus.tamper_login = campus.make_token = None


# --- what is done to a launch: claims -> claims, or keys and claims -> token ----------------------------------------------------------------


def claim(name, value):
    return lambda claims: dict(claims, **{name: value})


def lti(name, value):
    return claim(LTI + name, value)


def without(*names):
    return lambda claims: {name: value for name, value in claims.items() if name not in names}


def moved(**offsets):
    """Times in seconds from now."""
    return lambda claims: dict(claims, **{name: int(time.time()) + offset for name, offset in offsets.items()})


def openid_only(claims):
    return {name: value for name, value in claims.items() if "/" not in name}


class Token:
    """A case that makes the token itself."""

    def __init__(self, make):
        self.make = make


def prepare(site, change, browser, person="zoe"):
    """Everything up to the form that the platform would post."""
    campus = site.campus
    if isinstance(change, Token):
        campus.make_token = lambda claims: change.make(campus.keys, claims)
    else:
        campus.tamper_claims = change
    form = browser.prepare(campus, "BIO1", person)
    campus.make_token = campus.tamper_claims = None
    return form


def rows(site):
    return site.httpd.store.execute("SELECT " + ", ".join(f"(SELECT COUNT(*) FROM {table})" for table in TABLES))


def refused(site, browser, form, status, code, rule):
    """The answer, the log line that names the reason and the rule, and nothing left behind: no session, no row."""
    lines, kept = len(site.httpd.log_lines()), rows(site)
    answer = browser.submit(form)
    assert (answer.status, answer.error) == (status, code), answer
    if status == 401:
        assert answer.header("WWW-Authenticate") == "LTI"
    assert not browser.named("lti_") and not [line for line in answer.set_cookies if line.startswith("lti_")]
    (line,) = [line for line in site.httpd.log_lines()[lines:] if "refused with" in line]
    assert "LTI0201: " in line and f"refused with {code} " in line, line
    assert re.search(rf"\(SPEC [^)]*\b{rule}\b", line), f"the line does not name {rule}: {line}"
    assert "eyJ" not in line
    assert rows(site) == kept
    return line


# --- bad payloads -------------------------------------------------------------------------------------------------------------------------

BAD = {  # the guide's words -> (what is done, code, rule, words of the log line)
    "No KID sent in JWT header": (Token(forgery.header(kid=None)), "kid-missing", "J-05", "no kid"),
    "Incorrect KID in JWT header": (Token(forgery.header(kid="imstester_66067")), "key-unknown", "J-06", 'no key "imstester_66067"'),
    "Wrong LTI version": (lti("version", "11.3"), "lti-version", "K-02", 'the version is "11.3"'),
    "No LTI version": (without(LTI + "version"), "claim-missing", "K-02", "no version"),
    "Invalid LTI message": (lambda claims: {"name": "badltilaunch"}, "claim-missing", "C-01", "no iss"),
    "Invalid LTI message: no JSON": (Token(forgery.raw_payload(lambda claims: "badltilaunch")), "token-malformed", "J-02", "payload"),
    "Invalid LTI message: of LTI 1.1": (lti("message_type", "basic-lti-launch-request"), "message-type", "M-01", "basic-lti-launch-request"),
    "Missing LTI claims": (openid_only, "claim-missing", "K-02", "no version"),
    "Timestamps incorrect: long ago": (lambda claims: dict(claims, iat=11111, exp=22222), "token-expired", "C-06", "exp was"),
    "Timestamps incorrect: still to come": (moved(iat=3600, exp=7200), "token-early", "C-07", "iat is"),
    "Timestamps incorrect: issued long ago": (moved(iat=-3600, exp=3600), "token-expired", "C-07", "iat was"),
    "Timestamps incorrect: ends before it begins": (moved(iat=10, exp=5), "claim-invalid", "C-08", "exp is not after iat"),
    "messsage_type claim missing": (without(LTI + "message_type"), "claim-missing", "K-01", "no message_type"),
    "role claim missing": (without(LTI + "roles"), "claim-missing", "K-10", "no roles"),
    "deployment_id claim missing": (without(LTI + "deployment_id"), "claim-missing", "K-03", "no deployment_id"),
    "resource_link_id claim missing": (lti("resource_link", {"title": "x"}), "claim-missing", "K-09", "no resource_link.id"),
    "resource_link claim missing": (without(LTI + "resource_link"), "claim-missing", "K-09", "no resource_link"),  # M-09
    "user claim missing": (without("sub"), "anonymous", "C-12", "no sub"),
    "target_link_uri claim missing": (without(LTI + "target_link_uri"), "claim-missing", "K-06", "no target_link_uri"),
    "nonce missing": (without("nonce"), "claim-missing", "C-10", "no nonce"),
    "aud missing": (without("aud"), "claim-missing", "C-02", "no aud"),
    "exp missing": (without("exp"), "claim-missing", "C-06", "no exp"),
    "iat missing": (without("iat"), "claim-missing", "C-07", "no iat"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_payload(site, browser, case):
    """SPEC section 10: J-02, J-05, J-06, C-06 to C-08, C-12, K-01 to K-10, M-09."""
    change, code, rule, said = BAD[case]
    line = refused(site, browser, prepare(site, change, browser), 403 if code == "message-type" else 401, code, rule)
    assert said in line


# --- valid launches -----------------------------------------------------------------------------------------------------------------------

INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person"
HELPER = "http://purl.imsglobal.org/vocab/lis/v2/uknownrole/unknown#Helper"
NAMES = ("name", "given_name", "family_name", "middle_name")

PEOPLE = {
    "Instructor": {
        "person": "ada",
        "role": "instructor",
        "roles": [MEMBERSHIP + "#Instructor", INSTITUTION + "#Faculty", MEMBERSHIP + "/Instructor#PrimaryInstructor"],
    },
    "Student": {
        "person": "zoe",
        "role": "learner",
        "roles": [MEMBERSHIP + "#Learner", INSTITUTION + "#Student", MEMBERSHIP + "/Learner#NonCreditLearner", MEMBERSHIP + "#Mentor"],
    },
}

VALID = {  # the guide's words -> (claims and kind of person -> claims, names of what is not told, role if it is another)
    "Launch": (lambda claims, who: claims, (), None),
    "With roles": (lambda claims, who: dict(claims, **{LTI + "roles": PEOPLE[who]["roles"]}), (), {"Student": "mentor"}),
    "Short role": (lambda claims, who: dict(claims, **{LTI + "roles": [{"Student": "Learner"}.get(who, who)]}), (), None),
    "Unknown role": (lambda claims, who: dict(claims, **{LTI + "roles": [HELPER]}), (), "none"),
    "No role": (lambda claims, who: dict(claims, **{LTI + "roles": []}), (), "none"),
    "Email only": (lambda claims, who: without(*NAMES)(claims), NAMES, None),
    "Names only": (lambda claims, who: without("email")(claims), ("email",), None),
    "No PII": (lambda claims, who: without(*NAMES, "email")(claims), (*NAMES, "email"), None),
    "Email without context": (lambda claims, who: without(*NAMES, LTI + "context")(claims), (*NAMES, "context_id", "context_title", "course_key"), None),
}


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("case", VALID)
def test_valid_launch(site, browser, case, who):
    """SPEC section 10: C-14, K-10, K-11, K-13, R-01, R-02: what header and environment say, and what they do not."""
    change, absent, role = VALID[case]
    person = site.campus.state.person(PEOPLE[who]["person"])
    role = role.get(who, PEOPLE[who]["role"]) if isinstance(role, dict) else role or PEOPLE[who]["role"]
    site.campus.tamper_claims = lambda claims: change(claims, who)
    lines = len(site.httpd.log_lines())
    browser.launch(site.campus, "BIO1", person)
    told, environment = site.echo(browser), site.environment(browser)
    wanted = {
        "user_id": person.id, "role": role, "name": person.name, "given_name": person.given, "family_name": person.family, "email": person.email,
        "context_id": site.campus.state.course("BIO1").id, "context_title": "Biology I: Cells & Tissues", "message_type": "LtiResourceLinkRequest",
        "resource_link_title": "Course app (proxied)", "deployment_id": "d-1", "role_source": "launch",
    }  # fmt: skip
    for name, value in wanted.items():
        header, variable = told.get("x-lti-" + name.replace("_", "-")), environment.get("LTI_" + name.upper())
        assert header == variable == (None if name in absent else value), name
    assert ("LTI_COURSE_KEY" in environment) == ("course_key" not in absent)
    if case == "With roles":
        assert set(environment["LTI_ROLES"].split()) == set(PEOPLE[who]["roles"])
    remarks = [line for line in site.httpd.log_lines()[lines:] if "LTI0231" in line]
    assert len(remarks) == (case == "Unknown role") and all(HELPER in line for line in remarks)


# --- negative tests that the module adds ------------------------------------------------------------------------------------------------------


def twice(name):
    """The claims with one name a second time, at the end, where many parsers let it win."""
    return Token(forgery.raw_payload(lambda claims: json.dumps(claims)[:-1] + f', "{name}": "somebody else"}}'))


def number(name, text):
    """A claim whose number is written so."""
    return Token(forgery.raw_payload(lambda claims: re.sub(rf'"{name}": \d+', f'"{name}": {text}', json.dumps(claims))))


NEGATIVE = {  # -> (what is done, code, rule)
    "alg none": (Token(forgery.unsigned("none")), "token-malformed", "J-01"),
    "alg none with something in the place of a signature": (Token(lambda keys, claims: forgery.unsigned("none")(keys, claims) + "AAAA"), "algorithm", "J-04"),
    "alg None": (Token(lambda keys, claims: forgery.unsigned("None")(keys, claims) + "AAAA"), "algorithm", "J-04"),
    "alg NONE": (Token(lambda keys, claims: forgery.unsigned("NONE")(keys, claims) + "AAAA"), "algorithm", "J-04"),
    "HS256 with the public key as secret": (Token(forgery.with_public_key_as_secret), "algorithm", "J-04"),
    "alg of the key's type that is not allowed": (Token(forgery.header(alg="PS256")), "algorithm", "J-03"),
    "alg of another type than the key": (Token(lambda keys, claims: keys.sign(claims, {"alg": "ES256", "kid": keys.current["RS256"]["kid"]}, keys.current["ES256"])), "key-unusable", "J-07"),
    "no alg": (Token(forgery.raw_header(lambda text: text.replace('"alg": "RS256", ', ""))), "token-malformed", "J-03"),
    "alg a number": (Token(forgery.raw_header(lambda text: text.replace('"RS256"', "256"))), "token-malformed", "J-03"),
    "jwk header with its own key": (Token(forgery.with_stranger(jwk="KEY")), "token-malformed", "J-09"),
    "jwk header with a good signature": (Token(forgery.header(jwk={"kty": "RSA"})), "token-malformed", "J-09"),
    "x5c header": (Token(forgery.by_hand(x5c=["AAAA"])), "token-malformed", "J-09"),
    "somebody else's key": (Token(forgery.with_stranger()), "signature", "J-13"),
    "crit": (Token(forgery.by_hand(crit=["exp"], exp=1)), "token-malformed", "J-10"),
    "b64 false": (Token(forgery.by_hand(b64=False)), "token-malformed", "J-11"),
    "b64 false as it should be": (Token(forgery.by_hand(b64=False, crit=["b64"])), "token-malformed", "J-10"),
    "typ of an access token": (Token(forgery.header(typ="at+jwt")), "token-malformed", "J-12"),
    "padded part": (Token(forgery.parts(lambda p: [p[0] + "=", p[1], p[2]])), "token-malformed", "J-01"),
    "padded signature": (Token(forgery.parts(lambda p: [p[0], p[1], p[2] + "=="])), "token-malformed", "J-01"),
    "blank in a part": (Token(forgery.parts(lambda p: [p[0], " " + p[1], p[2]])), "token-malformed", "J-01"),
    "blank behind the token": (Token(forgery.parts(lambda p: [p[0], p[1], p[2] + " "])), "token-malformed", "J-01"),
    "standard alphabet of base64": (Token(forgery.parts(lambda p: [p[0], p[1], "+/" + p[2][2:]])), "token-malformed", "J-01"),
    "another spelling of the same signature": (Token(forgery.parts(lambda p: [p[0], p[1], p[2][:-1] + chr(ord(p[2][-1]) + 1)])), "token-malformed", "J-01"),
    "five parts": (Token(forgery.parts(lambda p: p + p[:2])), "token-malformed", "J-01"),
    "sub twice": (twice("sub"), "token-malformed", "J-02"),
    "role twice": (twice(LTI + "roles"), "token-malformed", "J-02"),
    "alg twice": (Token(forgery.raw_header(lambda text: text[:-1] + ', "alg": "none"}')), "token-malformed", "J-02"),
    "NUL in a text": (claim("name", "a\0b"), "token-malformed", "J-02"),
    "half a surrogate": (Token(forgery.raw_payload(lambda claims: '{"name":"\\ud800"}')), "token-malformed", "J-02"),
    "bytes behind the claims": (Token(forgery.raw_payload(lambda claims: "{}{}")), "token-malformed", "J-02"),
    "seventeen levels": (claim("a", json.loads("[" * 16 + "]" * 16)), "token-malformed", "J-02"),
    "aud array with a stranger": (lambda claims: dict(claims, aud=[claims["aud"], "stranger"]), "audience", "C-03"),
    "aud array of nobody": (claim("aud", []), "audience", "C-02"),
    "azp of another tool": (claim("azp", SISTER), "audience", "C-05"),
    "two audiences and no azp": (lambda claims: without("azp")(dict(claims, aud=[claims["aud"]] * 2)), "audience", "C-04"),
    "exp as string": (lambda claims: dict(claims, exp=str(claims["exp"])), "claim-invalid", "C-06"),
    "iat as string": (lambda claims: dict(claims, iat=str(claims["iat"])), "claim-invalid", "C-07"),
    "exp of a thousand years": (moved(exp=1000 * 365 * 86400), "claim-invalid", "C-08"),
    "exp 2^63": (number("exp", str(2**63)), "token-malformed", "J-02"),
    "exp 2^63 - 1": (number("exp", str(2**63 - 1)), "claim-invalid", "C-06"),
    "exp of three hundred digits": (number("exp", "9" * 300), "token-malformed", "J-02"),
    "exp 1e400": (number("exp", "1e400"), "token-malformed", "J-02"),
    "exp 1e300": (number("exp", "1e300"), "claim-invalid", "C-06"),
    "exp NaN": (number("exp", "NaN"), "token-malformed", "J-02"),
    "exp -0": (number("exp", "-0"), "token-expired", "C-06"),
    "nbf to come": (moved(nbf=600), "token-early", "C-09"),
    "nonce of nobody": (claim("nonce", "m" * 30), "nonce-mismatch", "C-10"),
    "nonce twice as long": (lambda claims: dict(claims, nonce=claims["nonce"] * 2), "nonce-mismatch", "C-10"),
    "sub empty": (claim("sub", ""), "claim-invalid", "C-11"),  # C-13
    "sub a number": (claim("sub", 7), "claim-invalid", "C-11"),
    "iss of another": (claim("iss", "https://lms.example.org"), "issuer-mismatch", "B-06"),
    "iss with a slash": (lambda claims: dict(claims, iss=claims["iss"] + "/"), "issuer-mismatch", "B-06"),
    "another deployment than the login": (lti("deployment_id", "d-2"), "deployment-mismatch", "K-05"),
    "other target_link_uri": (lambda claims: dict(claims, **{LTI + "target_link_uri": claims[LTI + "target_link_uri"] + "admin"}), "target-mismatch", "K-07"),
    "http target_link_uri": (lti("target_link_uri", "http://tool.example.net/app/"), "claim-invalid", "K-06"),
    "target_link_uri with a password": (lti("target_link_uri", "https://a:b@tool.example.net/app/"), "claim-invalid", "K-06"),
    "unknown message type": (lti("message_type", "LtiExplodeRequest"), "message-type", "M-01"),
    "message type in other letters": (lti("message_type", "ltiresourcelinkrequest"), "message-type", "M-01"),
    "context without an id": (lti("context", {"title": "x"}), "claim-missing", "K-13"),
    "roles as one text": (lti("roles", "Instructor"), "claim-invalid", "K-10"),
}


@pytest.mark.parametrize("case", NEGATIVE)
def test_negative(site, browser, case):
    """SPEC section 10, the list's end: J-01 to J-13, C-01 to C-11, C-13, K-05 to K-07, K-10, K-13, L-07, M-01, M-03, B-06, S-08, S-09, S-14, S-15."""
    change, code, rule = NEGATIVE[case]
    refused(site, browser, prepare(site, change, browser), 403 if code == "message-type" else 401, code, rule)


@pytest.mark.parametrize("name", ["jku", "x5u"])
@pytest.mark.parametrize("by_stranger", [True, False])
def test_address_of_a_key_in_the_header_is_never_asked(site, browser, name, by_stranger):
    """SPEC J-09, S-09: who listens there hears nothing, whoever signed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        url = f"http://localhost:{listener.getsockname()[1]}/keys"
        make = forgery.with_stranger(**{name: url}) if by_stranger else forgery.header(**{name: url})
        refused(site, browser, prepare(site, Token(make), browser), 401, "token-malformed", "J-09")
        with pytest.raises(TimeoutError):
            listener.accept()


def test_state_replay(site, browser):
    """SPEC B-02, S-01, S-02: the state of a launch that was made, with a token that is new and good."""
    form = prepare(site, None, browser)
    nonce = dict(pair.split("=", 1) for pair in site.campus.requests("auth")[-1].query.split("&"))["nonce"]
    kept, before = dict(browser.cookies), int(rows(site)[0][0])
    assert browser.submit(form).status == 303
    assert int(rows(site)[0][0]) == before + 1, "the nonce was not kept"
    browser.cookies = kept
    lines = len(site.httpd.log_lines())
    form.fields["id_token"] = site.campus.keys.sign(fresh_claims(site, nonce))
    answer = browser.submit(form)
    assert (answer.status, answer.error) == (401, "nonce-used") and not browser.named("lti_")
    assert any("refused with nonce-used" in line for line in site.httpd.log_lines()[lines:])


def fresh_claims(site, nonce):
    """What the platform would sign for this nonce a second time."""
    seen = {}
    site.campus.tamper_claims = lambda claims: seen.update(claims) or claims
    Browser().prepare(site.campus, "BIO1", "zoe")
    site.campus.tamper_claims = None
    return dict(seen, nonce=nonce)


def test_nonce_replay(site, browser):
    """SPEC C-10, S-02: a token that was used, with the state of a new login."""
    used = prepare(site, None, browser)
    assert browser.submit(used).status == 303
    thief = Browser()
    form = prepare(site, None, thief)
    form.fields["id_token"] = used.fields["id_token"]
    refused(site, thief, form, 401, "nonce-mismatch", "C-10")


def test_two_at_once_with_one_token(site, browser):
    """SPEC S-02: the same form from the same browser, at the same moment: one wins."""
    form = prepare(site, None, browser)
    answers, gate = [], threading.Barrier(6)

    def post():
        other = Browser()
        other.cookies = dict(browser.cookies)
        gate.wait()
        answers.append(other.submit(form))

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((answer.status, answer.error) for answer in answers) == [(303, "")] + [(401, "nonce-used")] * 5


def test_token_of_registration_b_at_state_of_a(site, elsewhere, browser):
    """SPEC B-06, S-16: another tool of the same platform; another platform, as itself and under the first one's name."""
    for_sister = Token(lambda keys, claims: keys.sign(dict(claims, aud=SISTER, azp=SISTER)))
    refused(site, browser, prepare(site, for_sister, browser), 401, "audience", "C-02")
    of_elsewhere = Token(lambda keys, claims: elsewhere.keys.sign(dict(claims, iss=elsewhere.issuer)))
    asked = len(elsewhere.requests("jwks"))
    refused(site, browser, prepare(site, of_elsewhere, browser), 401, "issuer-mismatch", "B-06")
    by_its_key = Token(lambda keys, claims: elsewhere.keys.sign(claims))
    refused(site, browser, prepare(site, by_its_key, browser), 401, "key-unknown", "J-06")
    under_our_name = Token(lambda keys, claims: elsewhere.keys.sign(claims, {"kid": keys.current["RS256"]["kid"]}))
    refused(site, browser, prepare(site, under_our_name, browser), 401, "signature", "J-13")
    assert len(elsewhere.requests("jwks")) == asked
    # And it is a good platform as itself.
    Browser().launch(elsewhere, "BIO1", "zoe")


def test_http_urls(site, browser):
    """SPEC K-06, K-16, K-25, N-01, S-29: in the clear only on this machine. A launch goes on without what it may not use, and an administrator is told."""
    site.httpd.expect_log("LTI0230: .*context_memberships_url")
    presentation = {"return_url": "http://lms.example.org/course"}
    service = {"context_memberships_url": "http://lms.example.org/nrps", "service_versions": ["2.0"]}
    site.campus.tamper_claims = lambda claims: dict(claims, **{LTI + "launch_presentation": presentation, NRPS_CLAIM: service})
    browser.launch(site.campus, "HIS2", "zoe")  # nobody has launched there and brought a service that can be used
    told = site.echo(browser)
    assert "x-lti-return-url" not in told and told["x-lti-roster-state"] == "none"
    for target in ("http://tool.example.net/app/", site.url("/app/").replace("localhost", "tool.example.net")):
        site.campus.tamper_login = lambda fields, target=target: dict(fields, target_link_uri=target)
        answer = Browser().start_login(site.campus, "BIO1", "zoe")
        assert (answer.status, answer.error, answer.header("Location")) == (403, "target-not-allowed", "")


def test_ten_megabytes(site):
    """SPEC B-05, S-13."""
    began = time.monotonic()
    try:
        answer = Browser().post(site.url("/lti/launch"), body=b"state=a&id_token=" + b"a" * 10_000_000)
        assert (answer.status, answer.error) == (413, "too-large")
    except ConnectionError:
        pass  # it hung up while we were still sending
    assert time.monotonic() - began < 5


def test_five_thousand_roles(site, browser):
    """SPEC K-12: the surplus is dropped, and told; no role of them gives a right."""
    lines = len(site.httpd.log_lines())
    site.campus.tamper_claims = lti("roles", [f"urn:role:{count}" for count in range(5000)] + [MEMBERSHIP + "#Instructor"])
    browser.launch(site.campus, "BIO1", "zoe")
    told = site.echo(browser)
    assert told["x-lti-role"] == "none" and len(told["x-lti-roles"].split()) <= 128
    assert any("LTI0231" in line and "roles has 5001 entries, 128 are taken" in line for line in site.httpd.log_lines()[lines:])


def test_control_characters_in_names(site, browser):
    """SPEC S-21, C-14: blanks instead; what names somebody to other systems is not taken at all."""
    lines = len(site.httpd.log_lines())
    odd = {"name": "A\r\nX-LTI-Role: instructor", "given_name": "A\x7fB\x85C", "email": "a\x1bb@example.org"}
    site.campus.tamper_claims = lambda claims: dict(claims, **odd)
    browser.launch(site.campus, "BIO1", "zoe")
    told = site.echo(browser)
    assert told["x-lti-role"] == "learner" and told["x-lti-name"] == "A  X-LTI-Role: instructor" and told["x-lti-given-name"] == "A B C"
    assert "x-lti-email" not in told
    (line,) = [line for line in site.httpd.log_lines()[lines:] if "LTI0231" in line]
    assert "email has control characters" in line and "example.org" not in line, "a person's address in the log (SPEC S-22)"


def test_expired_cached_key_and_key_set_down(make_stage):
    """SPEC Y-05, S-11: the keys of a platform that is down serve for a day more, then launches wait for it."""
    stage = make_stage().configure(pace="LTISync Off").start()
    stage.launch("ada")
    stage.campus.faults["jwks"] = {"down": True}
    stage.httpd.expect_log("LTI0207: .*the old one stays in use")
    stage.httpd.expect_log("LTI0201: refused with keyset-unavailable")

    def launch(hours):
        stage.httpd.set_clock(hours * 3600)
        stage.campus.tamper_claims = moved(iat=hours * 3600, exp=hours * 3600 + 300)
        return Browser().launch(stage.campus, "BIO1", "zoe", check=False).launch

    for hours in (0.5, 2, 24.5):
        assert launch(hours).status == 303, hours
    answer = launch(26)
    assert (answer.status, answer.error) == (503, "keyset-unavailable") and answer.header("Retry-After")
    stage.campus.faults.clear()
    assert launch(27).status == 303
