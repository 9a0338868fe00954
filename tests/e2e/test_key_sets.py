# SPDX-License-Identifier: Apache-2.0
"""Signatures and the platform's key set (SPEC sections 2.1 and 5.1): every algorithm, keys that prove nothing, and when a set is fetched: once for all
processes, again for an unknown name at most once a minute, by one at a time, with nobody waiting whose key is known.

Tests that need another time set the clock ahead: the module's, and with it what the campus signs.
"""
import base64
import json
import threading
import time

import campus_forgery as forgery
import pytest
from campus_keys import ALGORITHMS, MORE, first_key, make_key, renamed
from client import Browser
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from httpd import wait_for
from jwcrypto import jwk

EVERY = [*ALGORITHMS, *MORE]


def moved(seconds):
    """Claims as of a clock that is so far ahead."""
    return lambda claims: dict(claims, iat=claims["iat"] + seconds, exp=claims["exp"] + seconds)


def launch(stage, key=None, header=None, ahead=0, person="zoe", **options):
    """A launch whose token is signed by `key` and dated `ahead`; the tool's answer to it."""
    browser = Browser()
    stage.campus.tamper_claims = moved(ahead)
    stage.campus.make_token = (lambda claims: stage.campus.keys.sign(claims, header, key)) if key is not None else None
    try:
        form = browser.prepare(stage.campus, "BIO1", person)
    finally:
        stage.campus.tamper_claims = stage.campus.make_token = None
    return browser.submit(form)


def outcome(answer):
    return answer.status, answer.error


def asked(stage):
    """How often the key set was asked for."""
    return len(stage.campus.requests("jwks"))


# --- algorithms and keys ------------------------------------------------------------------------------------------------------------------


def weak_key(bits):
    """An RSA key that is too short, with which a valid signature is made all the same."""
    secret = rsa.generate_private_key(65537, bits)
    numbers = secret.public_key().public_numbers()
    kid = f"rsa-{bits}"

    def sign(keys, claims):
        signed = forgery.encode({"alg": "RS256", "kid": kid}) + "." + forgery.encode(claims)
        return signed + "." + forgery.encode(secret.sign(signed.encode(), PKCS1v15(), SHA256()))

    return {"kty": "RSA", "kid": kid, "n": forgery.number(numbers.n), "e": forgery.number(numbers.e)}, sign


def by_jwk(**members):
    """A good RSA key but for what its JWK says (None takes a member away); signed rightly."""
    key = first_key("RS256")
    published = {name: value for name, value in dict(key.export_public(as_dict=True), **members).items() if value is not None}
    return published, lambda keys, claims: keys.sign(claims, {"kid": published.get("kid", "nameless")}, key)


def exponent_one():
    published, _ = by_jwk(kid="e-1", e=forgery.encode(b"\x01"), alg=None)
    return published, forgery.with_exponent_one(published)


def one_name_for_two():
    first, sign = by_jwk(kid="shared")
    return [first, renamed(make_key("ES256"), alg=None).export_public(as_dict=True) | {"kid": "shared"}], sign


def by_curve(kid, change):
    key = make_key("ES256")
    published = dict(change(key), kid=kid)
    return published, lambda keys, claims: keys.sign(claims, {"alg": "ES256", "kid": kid}, key)


def private_half():
    return by_curve("given-away", lambda key: key.export(as_dict=True))


def off_the_curve():
    other = make_key("ES256").export_public(as_dict=True)
    return by_curve("off-curve", lambda key: dict(key.export_public(as_dict=True), y=other["y"]))


def secret_for_all():
    key = jwk.JWK.generate(kty="oct", size=256, kid="shared-secret")
    return dict(key.export(as_dict=True), alg="HS256"), lambda keys, claims: keys.sign(claims, {"alg": "HS256", "kid": "shared-secret"}, key)


UNFIT = {  # -> (what makes the published key and the way to sign, code, words of the warning about the set; None: it is just for something else)
    "RSA of 512 bits": (lambda: weak_key(512), "key-unknown", 'key "rsa-512": an RSA modulus below 2048 bits'),
    "RSA of 1024 bits": (lambda: weak_key(1024), "key-unknown", 'key "rsa-1024": an RSA modulus below 2048 bits'),
    "RSA of 2047 bits": (lambda: weak_key(2047), "key-unknown", 'key "rsa-2047": an RSA modulus below 2048 bits'),
    "RSA exponent of 1": (exponent_one, "key-unknown", 'key "e-1": an RSA exponent that is even or 1'),
    "point off the curve": (off_the_curve, "key-unknown", 'key "off-curve": an EC key whose point is not on its curve'),
    "for encryption": (lambda: by_jwk(kid="enc", use="enc"), "key-unknown", None),
    "operations without verify": (lambda: by_jwk(kid="ops", use=None, key_ops=["encrypt", "sign"]), "key-unknown", None),
    "alg of encryption": (lambda: by_jwk(kid="oaep", alg="RSA-OAEP"), "key-unknown", None),
    "alg other than the header's": (lambda: by_jwk(kid="only-384", alg="RS384"), "key-unusable", None),
    "no kid": (lambda: by_jwk(kid=None), "key-unknown", 'key "": it has no name, kid'),
    "one kid for two keys": (one_name_for_two, "key-unknown", 'key "shared": two different keys have this name'),
    "published with its private half": (private_half, "key-unknown", 'key "given-away": it is published with its secret half'),
    "symmetric": (secret_for_all, "algorithm", 'key "shared-secret": it is published with its secret half, or is symmetric'),
    "RSA without its modulus": (lambda: by_jwk(kid="half", n=None), "key-unknown", 'key "half": its type is unknown, or a member is missing'),
    "of no type": (lambda: by_jwk(kid="xyz", kty="XYZ"), "key-unknown", 'key "xyz": its type is unknown'),
}


@pytest.fixture(scope="module")
def keyed(make_shared_stage):
    """A stage that admits every algorithm, of a platform that publishes a good key for each and one of each kind that proves nothing."""
    stage = make_shared_stage()
    stage.unfit = {name: make() for name, (make, _, _) in UNFIT.items()}
    first = {alg: first_key("RS256") if alg[0] in "RP" else make_key(alg) for alg in EVERY}
    stage.good = {alg: renamed(first[alg], alg=alg) for alg in EVERY}
    stage.bare = {alg: renamed(first[alg], alg=None, use=None) for alg in EVERY}  # keys that say nothing of themselves
    padded = dict(first_key("RS256").export_public(as_dict=True), kid="padded")
    published = [key.export_public(as_dict=True) for key in [*stage.campus.keys.published, *stage.good.values(), *stage.bare.values()]]
    for key, _ in stage.unfit.values():
        published += key if isinstance(key, list) else [key]
    published.append(dict(padded, n=padded["n"] + "=="))
    stage.campus.keys.key_set = lambda: {"keys": published}
    stage.httpd.expect_log("LTI0232: platform campus publishes keys that are not used: ")
    return stage.configure(pace="LTISync Off", platform=stage.httpd.platform_block(LTIAlgorithms=" ".join(EVERY))).start()


@pytest.mark.parametrize("says", ["names its algorithm", "says nothing"])
@pytest.mark.parametrize("alg", EVERY)
def test_every_algorithm(keyed, alg, says):
    """SPEC J-03, J-04, J-07, J-13: RS, PS, ES and EdDSA, each by a key of its own."""
    key = (keyed.good if says == "names its algorithm" else keyed.bare)[alg]
    assert outcome(launch(keyed, key, {"alg": alg})) == (303, "")
    assert asked(keyed) == 1


@pytest.mark.parametrize("other", EVERY)
def test_key_and_algorithm_must_agree(keyed, other):
    """SPEC J-07: a signature of one algorithm under the name of each other, by keys that are bound to one and by keys that are not."""
    for alg in ("RS256", "PS256", "ES256", "EdDSA"):
        if alg == other:
            continue
        for keys in (keyed.good, keyed.bare):
            token = keyed.campus.keys.sign({"iss": keyed.campus.issuer}, {"alg": alg}, keys[alg])
            head, payload, signature = token.split(".")
            renamed = forgery.encode({"alg": other, "kid": keys[alg]["kid"]})
            keyed.campus.make_token = lambda claims, text=f"{renamed}.{payload}.{signature}": text
            browser = Browser()
            form = browser.prepare(keyed.campus, "BIO1", "zoe")
            keyed.campus.make_token = None
            fits = keys is keyed.bare and alg[0] in "RP" and other[0] in "RP"  # an RSA key that is not bound may serve both schemes
            assert outcome(browser.submit(form)) == (401, "signature" if fits else "key-unusable"), (alg, other)


@pytest.mark.parametrize("case", UNFIT)
def test_keys_that_prove_nothing(keyed, case):
    """SPEC J-07, J-08, J-14, Y-02, Y-03, Y-09: signed rightly by a key that must not count; the log says why it does not."""
    _, code, warning = UNFIT[case]
    launch(keyed)  # so that the set was fetched
    _, sign = keyed.unfit[case]
    keyed.campus.make_token = lambda claims: sign(keyed.campus.keys, claims)
    browser = Browser()
    form = browser.prepare(keyed.campus, "BIO1", "zoe")
    keyed.campus.make_token = None
    assert outcome(browser.submit(form)) == (401, code)
    assert not browser.named("lti_")
    told = [line for line in keyed.httpd.log_lines() if "LTI0232: " in line]
    assert len(told) == 1 and (warning is None or warning in told[0]), told


def test_padded_modulus_is_borne(keyed):
    """SPEC J-14: the framework's own example has it."""
    launch(keyed)
    assert not any('"padded"' in line for line in keyed.httpd.log_lines())


# --- when the set is fetched ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(make_stage):
    return make_stage().configure(pace="LTISync Off").start()


def in_threads(count, work):
    answers, threads = [], []
    for number in range(count):
        threads.append(threading.Thread(target=lambda number=number: answers.append(work(number))))
        threads[-1].start()
    return answers, threads


def join(threads):
    for thread in threads:
        thread.join(30)


def prepared(stage, count, key=None, header=None, ahead=0):
    """Browsers that are one step before their launch, each with the form to post."""
    browsers = [Browser() for _ in range(count)]
    stage.campus.tamper_claims = moved(ahead)
    stage.campus.make_token = (lambda claims: stage.campus.keys.sign(claims, header, key)) if key is not None else None
    forms = [browser.prepare(stage.campus, "BIO1", "zoe") for browser in browsers]
    stage.campus.tamper_claims = stage.campus.make_token = None
    return list(zip(browsers, forms))


def test_one_fetch_for_all_processes(stage):
    """SPEC Y-05, Y-06: twelve first launches at once, on several processes, while the platform takes its time: one request, and all get in."""
    assert len(stage.httpd.children()) >= 2
    held = threading.Event()
    stage.campus.faults["jwks"] = {"wait": held, "times": 1}
    waiting = prepared(stage, 12)
    answers, threads = in_threads(12, lambda number: waiting[number][0].submit(waiting[number][1]))
    wait_for(lambda: asked(stage) == 1, "the request for the key set")
    time.sleep(0.3)
    held.set()
    join(threads)
    assert [outcome(answer) for answer in answers] == [(303, "")] * 12
    assert asked(stage) == 1


def test_unknown_names_cost_one_request_a_minute(stage):
    """SPEC Y-06, S-10: however many launches ask, and on however many processes."""
    launch(stage)
    stranger = make_key("RS256")
    for number in range(3):
        assert outcome(launch(stage, stranger, {"kid": f"early-{number}"})) == (401, "key-unknown")
    assert asked(stage) == 1
    stage.httpd.set_clock(61)
    strangers = [prepared(stage, 1, stranger, {"kid": f"unknown-{number}"}, 61)[0] for number in range(40)]
    answers, threads = in_threads(40, lambda number: strangers[number][0].submit(strangers[number][1]))
    join(threads)
    assert {outcome(answer) for answer in answers} == {(401, "key-unknown")} and len(answers) == 40
    assert asked(stage) == 2


def test_rotation_is_followed_and_a_withdrawn_key_is_dead(stage):
    """SPEC Y-07, J-06."""
    old = stage.campus.keys.current["RS256"]
    launch(stage)
    stage.campus.keys.rotate(keep_old=True)
    stage.httpd.set_clock(61)
    assert outcome(launch(stage, ahead=61)) == (303, "") and outcome(launch(stage, old, ahead=61)) == (303, "")
    stage.campus.keys.rotate(keep_old=False)
    stage.httpd.set_clock(122)
    assert outcome(launch(stage, ahead=122)) == (303, "")
    assert outcome(launch(stage, old, ahead=122)) == (401, "key-unknown")
    assert asked(stage) == 3


def test_nobody_waits_for_a_hanging_fetch_whose_key_is_known(stage):
    """SPEC Y-06: the platform hangs; who brings an unknown key waits for it, all others go on."""
    launch(stage)
    stage.httpd.set_clock(61)
    held = threading.Event()
    stage.campus.faults["jwks"] = {"wait": held}
    ((browser, form),) = prepared(stage, 1, make_key("RS256"), ahead=61)
    known = prepared(stage, 16, ahead=61)
    answers, threads = in_threads(1, lambda _: browser.submit(form))
    wait_for(lambda: asked(stage) == 2, "the request for the key set")
    began = time.monotonic()
    quick, others = in_threads(16, lambda number: known[number][0].submit(known[number][1]))
    join(others)
    took = time.monotonic() - began
    assert not answers, "the stranger was answered before the platform was"
    held.set()
    join(threads)
    assert [outcome(answer) for answer in quick] == [(303, "")] * 16 and took < 2, took
    assert outcome(answers[0]) == (401, "key-unknown")
    assert asked(stage) == 2


def test_launches_while_the_key_set_is_down_for_minutes(stage):
    """SPEC Y-05, S-11: known keys go on serving; an unknown one is told apart from a platform that does not answer."""
    launch(stage)
    stage.campus.faults["jwks"] = {"down": True}
    stage.httpd.expect_log("LTI0201: refused with keyset-unavailable")
    for minutes in (1, 2, 5, 30):
        stage.httpd.set_clock(minutes * 60)
        for _ in range(3):
            assert outcome(launch(stage, ahead=minutes * 60)) == (303, ""), minutes
    assert outcome(launch(stage, make_key("RS256"), ahead=1800)) == (503, "keyset-unavailable")
    assert outcome(launch(stage, make_key("RS256"), ahead=1800)) == (401, "key-unknown")  # within the minute nobody is asked
    assert outcome(launch(stage, ahead=1800)) == (303, "")


def test_platform_that_was_down_at_the_first_launch_is_asked_again_soon(stage):
    """SPEC S-11: while no set is known nobody can come in, so that the minute is not waited for."""
    stage.httpd.expect_log("LTI0201: refused with keyset-unavailable")
    stage.campus.faults["jwks"] = {"down": True}
    assert outcome(launch(stage)) == (503, "keyset-unavailable")
    stage.campus.faults.clear()
    stage.httpd.set_clock(6)
    assert outcome(launch(stage)) == (303, "")


def test_old_set_is_fetched_anew_behind_the_answer(stage):
    """SPEC Y-05: max-age is obeyed between five minutes and a day, and no launch waits for it."""
    launch(stage)
    stage.httpd.set_clock(3590)
    assert outcome(launch(stage, ahead=3590)) == (303, "") and asked(stage) == 1
    stage.httpd.set_clock(3700)
    held = threading.Event()
    stage.campus.faults["jwks"] = {"wait": held, "times": 1}
    began = time.monotonic()
    assert outcome(launch(stage, ahead=3700)) == (303, "") and time.monotonic() - began < 2
    wait_for(lambda: asked(stage) == 2, "the request for the key set")
    held.set()
    stage.httpd.wait_log("LTI0206: fetched the key set of platform campus anew")
    assert outcome(launch(stage, ahead=3700)) == (303, "") and asked(stage) == 2


def test_new_key_under_an_old_name(stage):
    """SPEC Y-08: no fetch for a signature that does not fit, unless the set is older than five minutes; then one."""
    launch(stage)
    old = stage.campus.keys.current["RS256"]
    new = jwk.JWK(**dict(make_key("RS256").export(as_dict=True), kid=old["kid"]))
    assert outcome(launch(stage, new)) == (401, "signature") and asked(stage) == 1
    stage.campus.keys.published = [new]
    stage.httpd.set_clock(301)
    assert outcome(launch(stage, new, ahead=301)) == (303, "") and asked(stage) == 2
    assert outcome(launch(stage, old, ahead=301)) == (401, "signature") and asked(stage) == 2
    stage.httpd.set_clock(610)
    for _ in range(3):
        assert outcome(launch(stage, old, ahead=610)) == (401, "signature")
    assert asked(stage) == 3


BROKEN_SETS = {  # Y-02, Y-04 -> what the end point answers, code
    "redirect": ({"status": 302, "headers": [("Location", "/jwks?again")]}, 503, "keyset-unavailable"),
    "error": ({"status": 500}, 503, "keyset-unavailable"),
    "created": ({"status": 201, "body": b'{"keys":[]}'}, 503, "keyset-unavailable"),
    "sign-in page": ({"html": True}, 502, "keyset-invalid"),
    "damaged": ({"malformed": True}, 502, "keyset-invalid"),
    "cut": ({"truncate": True}, 503, "keyset-unavailable"),
    "no array": ({"status": 200, "body": b'{"keys":{}}'}, 502, "keyset-invalid"),
    "an array only": ({"status": 200, "body": b"[]"}, 502, "keyset-invalid"),
    "no keys": ({"status": 200, "body": b'{"keys":[]}'}, 502, "keyset-invalid"),
    "nothing": ({"status": 200, "body": b""}, 502, "keyset-invalid"),
    "keys twice": ({"status": 200, "body": b'{"keys":[],"keys":[]}'}, 502, "keyset-invalid"),
    "too large": ({"status": 200, "body": b'{"keys":[]}' + b" " * 262144}, 503, "keyset-unavailable"),
    "65 keys": ({"status": 200, "body": json.dumps({"keys": [{"kid": str(number)} for number in range(65)]}).encode()}, 502, "keyset-invalid"),
}


def test_answers_that_are_no_key_set(stage):
    """SPEC Y-02, Y-04, S-11: refused when nothing is known; later the old set stays. One request each."""
    stage.httpd.allow_log("LTI0201: refused with keyset-(unavailable|invalid)")
    stage.httpd.allow_log("LTI0207: ")
    seconds, count = 0, 0
    for known in (False, True):
        if known:
            stage.campus.faults.clear()
            seconds, count = seconds + 61, count + 1
            stage.httpd.set_clock(seconds)
            assert outcome(launch(stage, ahead=seconds)) == (303, "")
        for case, (fault, status, code) in BROKEN_SETS.items():
            seconds, count = seconds + 61, count + 1
            stage.httpd.set_clock(seconds)
            stage.campus.faults["jwks"] = dict(fault)
            answer = launch(stage, make_key("ES256") if known else None, {"alg": "ES256"} if known else None, ahead=seconds)
            assert outcome(answer) == (status, code), case
            assert asked(stage) == count, case
            if known:
                assert outcome(launch(stage, ahead=seconds)) == (303, ""), case


def test_any_type_of_json_is_taken_and_max_age_counts(stage):
    """SPEC Y-04, Y-05."""
    body = json.dumps(stage.campus.keys.key_set()).encode()
    stage.campus.faults["jwks"] = {"status": 200, "body": body, "headers": [("Cache-Control", "public, max-age=7200")]}  # as text/plain
    launch(stage)
    for seconds, count in ((7190, 1), (7300, 2)):
        stage.httpd.set_clock(seconds)
        assert outcome(launch(stage, ahead=seconds)) == (303, "")
        wait_for(lambda count=count: asked(stage) == count, f"request {count} of the key set")


def test_set_is_not_fetched_for_what_cannot_be_good(stage):
    """SPEC S-10, J-05, B-06: state, form and issuer first; nobody makes us ask a platform without having been sent by it."""
    good = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"x"}').rstrip(b"=").decode()
    browser = Browser()
    form = browser.prepare(stage.campus, "BIO1", "zoe")
    for fields in (
        {"id_token": form.fields["id_token"], "state": "a" * 60},
        {"id_token": form.fields["id_token"]},
        {"id_token": "nonsense", "state": form.fields["state"]},
        {"id_token": f"{good}.e30.AAAA", "state": form.fields["state"] + "A"},
    ):
        assert browser.post(form.action, fields, origin=form.origin).status in (400, 401)
    for make in (forgery.header(kid=None), forgery.unsigned("none"), lambda keys, claims: keys.sign(dict(claims, iss="https://lms.example.org")), forgery.header(alg="PS256")):
        stage.campus.make_token = lambda claims, make=make: make(stage.campus.keys, claims)
        other = Browser()
        assert other.submit(other.prepare(stage.campus, "BIO1", "zoe")).status == 401
    stage.campus.make_token = None
    assert asked(stage) == 0


@pytest.mark.slow
def test_platform_that_hangs_holds_a_launch_for_five_seconds(stage):
    """SPEC Y-04."""
    stage.httpd.expect_log("LTI0201: refused with keyset-unavailable")
    held = threading.Event()
    stage.campus.faults["jwks"] = {"wait": held, "times": 1}
    began = time.monotonic()
    assert outcome(launch(stage)) == (503, "keyset-unavailable")
    held.set()
    assert 4 < time.monotonic() - began < 8
