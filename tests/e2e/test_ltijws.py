# SPDX-License-Identifier: Apache-2.0
"""The program ltijws: true for the examples of the RFCs and for what another implementation signs, false for everything that was touched."""
import base64
import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from httpd import find_module
from jwcrypto import jwk, jws


def find_program():
    given = os.environ.get("LTI_JWS")
    return Path(given) if given else find_module().parent.parent / "ltijws"


def ask(lines):
    """One answer for each line (JSON value, or bytes as they are)."""
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    done = subprocess.run([find_program()], input=b"\n".join(raw) + b"\n", capture_output=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stderr == b"", done
    answers = done.stdout.decode().splitlines()
    assert len(answers) == len(raw) and set(answers) <= {"true", "false"}
    return [answer == "true" for answer in answers]


def encode(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RSA = {
    "kty": "RSA",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2j"
    "Z47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud"
    "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
}
P256 = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
P521 = {
    "kty": "EC",
    "crv": "P-521",
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
}
ED = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
OCT = {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}
RFC = {
    "RFC 7515 A.2 RS256": (
        RSA,
        f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ"
        "cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
        "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    "RFC 7515 A.3 ES256": (
        P256,
        f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    "RFC 7515 A.4 ES512": (
        P521,
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3x"
        "KpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    ),
    "RFC 8037 A.4 EdDSA": (
        ED,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
}
HS256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + PAYLOAD + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
NONE = "eyJhbGciOiJub25lIn0." + PAYLOAD + "."

KINDS = {
    "RS": {"kty": "RSA", "size": 2048},
    "PS": {"kty": "RSA", "size": 2048},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def sign(key, alg, payload=b"foo", **header):
    token = jws.JWS(payload)
    token.allowed_algs = ALGORITHMS
    token.add_signature(key, protected=json.dumps(dict({"alg": alg}, **header)))
    return token.serialize(compact=True)


@pytest.fixture(scope="module")
def keys():
    """One key for each algorithm (RS and PS share theirs)."""
    made = {}
    for alg in ALGORITHMS:
        kind = alg if alg in KINDS else alg[:2]
        made[alg] = made.get("RS256") if kind == "PS" or alg in ("RS384", "RS512") else jwk.JWK.generate(**KINDS[kind])
    return made


def public(key, **changes):
    told = {name: value for name, value in key.export_public(as_dict=True).items() if name != "kid"}
    return dict(told, **changes)


def flip(text, place):
    """One letter of base64url exchanged, so that the bits it stands for really change."""
    place %= len(text)
    return text[:place] + ("A" if text[place] != "A" else "Q") + text[place + 1 :]


@pytest.mark.parametrize("name", RFC)
def test_examples_of_the_rfcs(name):
    key, token = RFC[name]
    head, payload, signature = token.split(".")
    lines = [{"jwk": key, "jws": token}, {"jwk": {"keys": [key]}, "jws": token}, {"jwk": dict(key, kid="x"), "jws": token}]
    touched = [f"{flip(head, 3)}.{payload}.{signature}", f"{head}.{flip(payload, 2)}.{signature}", f"{head}..{signature}", f"{head}.{payload}.", f"{head}.{payload}"]
    touched += [f"{head}.{payload}.{flip(signature, place)}" for place in range(0, len(signature) - 1, 5)]
    touched += [token + "A", token + "=", token + ".", " " + token, token + "\n", token[:-2], f".{payload}.{signature}", token.replace(".", "..", 1)]
    strangers = [other for label, (other, _) in RFC.items() if label != name] + [OCT]
    answers = ask(lines + [{"jwk": key, "jws": text} for text in touched] + [{"jwk": other, "jws": token} for other in strangers])
    assert answers[:3] == [True] * 3
    assert not any(answers[3:])


def test_symmetric_keys_and_no_signature_at_all_are_false():
    """RFC 7515 A.1 and A.5: right by the book, and nothing a platform may sign with (SPEC J-04)."""
    keys = [OCT, RSA, P256, ED, {}, {"keys": [OCT]}]
    assert not any(ask([{"jwk": key, "jws": token} for key in keys for token in (HS256, NONE)]))


def test_what_another_implementation_signs(keys):
    lines, wanted = [], []
    for alg in ALGORITHMS:
        key = keys[alg]
        token = sign(key, alg, kid="k")
        head, payload, signature = token.split(".")
        wrong = "PS256" if alg == "RS256" else "RS256"
        good = [
            {"jwk": public(key), "jws": token},
            {"jwk": public(key, kid="k", alg=alg, use="sig", key_ops=["verify"]), "jws": token},
            {"jwk": {"keys": [OCT, public(key, kid="k"), public(jwk.JWK.generate(**KINDS["ES256"]), kid="other")]}, "jws": token},
            {"jwk": public(key, kid="k"), "jws": sign(key, alg)},
            {"jwk": public(key), "jws": sign(key, alg, b'{"sub":"x"}', typ="JWT")},
            {"jwk": public(key), "jws": sign(key, alg, b"", typ="JOSE")},
            {"jwk": public(key), "jws": sign(key, alg, bytes(range(256)))},
        ]
        bad = [
            {"jwk": public(key, kid="other"), "jws": token},
            {"jwk": public(key, alg=wrong), "jws": token},
            {"jwk": public(key, alg="ES224"), "jws": token},
            {"jwk": public(key, use="enc"), "jws": token},
            {"jwk": public(key, key_ops=["sign"]), "jws": token},
            {"jwk": json.loads(key.export_private()), "jws": token},
            {"jwk": {"keys": [public(key, kid="a"), public(key, kid="b")]}, "jws": token},
            {"jwk": {"keys": [public(key, kid="a"), public(keys["EdDSA" if alg != "EdDSA" else "ES256"], kid="b")]}, "jws": sign(key, alg)},
            {"jwk": {"keys": [public(key, kid="k"), dict(P256, kid="k")]}, "jws": token},
            {"jwk": public(key), "jws": f"{head}.{payload}.{encode(b'')}"},
            {"jwk": public(key), "jws": f"{head}.{payload}.{flip(signature, 20)}"},
            {"jwk": public(key), "jws": sign(key, alg, jwk=public(key))},
            {"jwk": public(key), "jws": sign(key, alg, jku="https://x.example/")},
            {"jwk": {}, "jws": token},
            {"jwk": {"keys": []}, "jws": token},
        ]
        lines += good + bad
        wanted += [True] * len(good) + [False] * len(bad)
    assert ask(lines) == wanted


def number(value):
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def test_keys_that_prove_nothing(keys):
    """Exponents, sizes and points (SPEC J-08)."""
    short = jwk.JWK.generate(kty="RSA", size=1024)
    told = public(keys["RS256"])
    modulus = int.from_bytes(base64.urlsafe_b64decode(told["n"] + "=="), "big")
    token, point = sign(keys["RS256"], "RS256"), public(keys["ES256"])
    # With the exponent 1 a signature is its own padding, which anybody can write.
    head = encode({"alg": "RS256"})
    info = bytes.fromhex("3031300d060960864801650304020105000420") + sha256(f"{head}.Zm9v".encode()).digest()
    forged = f"{head}.Zm9v." + encode(b"\x00\x01" + b"\xff" * (253 - len(info)) + b"\x00" + info)
    lines = [
        {"jwk": public(short), "jws": sign(short, "RS256")},
        {"jwk": dict(told, e="AQ"), "jws": forged},
        {"jwk": dict(told, e=number(65536)), "jws": token},
        {"jwk": dict(told, n=number(modulus + 1)), "jws": token},
        {"jwk": dict(told, e=""), "jws": token},
        {"jwk": dict(told, n=7), "jws": token},
        {"jwk": dict(point, y=point["x"]), "jws": sign(keys["ES256"], "ES256")},
        {"jwk": dict(point, crv="P-384"), "jws": sign(keys["ES256"], "ES256")},
        {"jwk": dict(point, kty="RSA"), "jws": sign(keys["ES256"], "ES256")},
        {"jwk": point, "jws": encode({"alg": "ES256"}) + ".Zm9v." + encode(bytes(64))},
    ]
    assert not any(ask(lines))
    assert ask([{"jwk": told, "jws": token}, {"jwk": dict(told, n=told["n"] + "=="), "jws": token}]) == [True, True]


def test_no_line_is_too_odd():
    key, token = RFC["RFC 7515 A.3 ES256"]
    good = {"jwk": key, "jws": token}
    odd = [
        b"", b" ", b"\0", b"{", b"}", b"[]", b"true", b'"x"', b"null", b"7", b"\xff\xfe", b'{"jwk":1,"jws":2}', b'{"jwk":{},"jws":""}',
        b'{"jwk":{"keys":{}},"jws":"a.b.c"}', b'{"jwk":{"keys":[1,"x",null,[]]},"jws":"a.b.c"}', b'{"jwk":{"keys":[null]},"jws":"a.b.c"}',
        b'{"jws":"' + token.encode() + b'"}', b'{"jwk":' + json.dumps(key).encode() + b"}", b"[" * 100000, b'{"a":' * 100000, b"x" * 5_000_000,
        json.dumps(good).encode() + b"x", json.dumps(good).encode()[:-1] + b',"jws":"x"}', json.dumps(dict(good, jws=token + "\0")).encode(),
        json.dumps(dict(good, jws=[token])).encode(), json.dumps(dict(good, jws="A" * 400_000)).encode(), b'{"jwk":{"kid":"\\ud800"},"jws":"a.b.c"}',
    ]  # fmt: skip
    lines = [line for each in odd for line in (each, good)]
    assert ask(lines) == [False, True] * len(odd)
    done = subprocess.run([find_program()], input=json.dumps(good).encode(), capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, b"true\n"), "a last line without an end counts too"
    assert subprocess.run([find_program()], input=b"", capture_output=True, timeout=20, check=True).stdout == b""


def test_one_argument_each():
    def status(*arguments):
        return subprocess.run([find_program(), *arguments], capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL).returncode

    key, token = RFC["RFC 7515 A.3 ES256"]
    assert status(json.dumps(key), token) == 0
    assert status(json.dumps({"keys": [dict(key, kid="a")]}), token) == 0
    assert status(json.dumps(key), token[:-4] + "AAAA") == 1
    assert status(json.dumps(RSA), token) == 1
    assert status("{", token) == 1
    assert status("", "") == 1
    assert status(token) == 2
    assert status(token, token, token) == 2
