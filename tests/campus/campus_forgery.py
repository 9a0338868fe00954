# SPDX-License-Identifier: Apache-2.0
"""Tokens as no honest platform makes them: what a campus can be told to post in place of its id_token (Campus.make_token).

Each maker takes the campus's keys and the claims, and returns the text of a token.
"""
import base64
import hashlib
import json

from campus_keys import make_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto import jwk, jws

SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # of PKCS #1: "this is a SHA-256"


def encode(value):
    """Base64url of bytes, or of a value as JSON."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def number(value):
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


# --- signatures -------------------------------------------------------------------------------------------------------------------------


def unsigned(alg):
    return lambda keys, claims: encode({"typ": "JWT", "alg": alg, "kid": keys.current["RS256"]["kid"]}) + "." + encode(claims) + "."


def with_public_key_as_secret(keys, claims):
    """HS256 with the platform's public key: the classic confusion."""
    public = keys.current["RS256"]
    secret = jwk.JWK(kty="oct", k=encode(public.export_to_pem()), kid=public["kid"])
    return keys.sign(claims, {"alg": "HS256"}, secret)


def with_stranger(**header):
    """Signed by a key that is not the platform's but goes by its name; "KEY" in the header is that key."""

    def make(keys, claims):
        stranger = make_key("RS256")
        extra = {name: stranger.export_public(as_dict=True) if value == "KEY" else value for name, value in header.items()}
        return keys.sign(claims, dict({"kid": keys.current["RS256"]["kid"]}, **extra), stranger)

    return make


def with_exponent_one(key):
    """A signature that fits any RSA key whose exponent is 1: nothing was computed with a secret."""

    def make(keys, claims):
        signed = encode({"alg": "RS256", "kid": key["kid"]}) + "." + encode(claims)
        digest = SHA256_PREFIX + hashlib.sha256(signed.encode()).digest()
        size = len(base64.urlsafe_b64decode(key["n"] + "=="))
        return signed + "." + encode(b"\x00\x01" + b"\xff" * (size - 3 - len(digest)) + b"\x00" + digest)

    return make


# --- header and payload -----------------------------------------------------------------------------------------------------------------


def header(**changes):
    """Signed rightly with these members in the header (None takes one away)."""
    return lambda keys, claims: keys.sign(claims, changes)


def by_hand(**changes):
    """The same for members that the campus's library refuses to sign."""
    return lambda keys, claims: sign_text(keys, json.dumps(dict({"alg": "RS256", "kid": keys.current["RS256"]["kid"]}, **changes)), json.dumps(claims))


def sign_text(keys, header_text, payload_text):
    """Signed rightly, whatever the texts are."""
    signed = encode(header_text.encode()) + "." + encode(payload_text.encode())
    signature = keys.current["RS256"].get_op_key("sign").sign(signed.encode(), PKCS1v15(), SHA256())
    return signed + "." + encode(signature)


def raw_header(change):
    """The header as a text that `change` makes of the usual one."""

    def make(keys, claims):
        usual = json.dumps({"alg": "RS256", "kid": keys.current["RS256"]["kid"]})
        return sign_text(keys, change(usual), json.dumps(claims))

    return make


def raw_payload(text):
    """Signed rightly, but the payload is what text(claims) says: no JSON, perhaps, or not quite."""

    def make(keys, claims):
        key = keys.current["RS256"]
        token = jws.JWS(text(claims))
        token.add_signature(key, protected=json.dumps({"alg": "RS256", "kid": key["kid"]}))
        return token.serialize(compact=True)

    return make


def parts(change):
    """The three parts of a good token, changed."""
    return lambda keys, claims: ".".join(change(keys.sign(claims).split(".")))
