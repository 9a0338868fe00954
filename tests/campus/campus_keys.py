# SPDX-License-Identifier: Apache-2.0
"""The campus's signing keys: one RSA and one EC key at a time, a switch for which one signs, and rotation."""
import functools
import json
import secrets

from jwcrypto import jwk, jws

ALGORITHMS = {"RS256": {"kty": "RSA", "size": 2048}, "ES256": {"kty": "EC", "crv": "P-256"}}  # what every campus has a key for
MORE = {
    **{alg: ALGORITHMS["RS256"] for alg in ("RS384", "RS512", "PS256", "PS384", "PS512")},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}


def make_key(alg):
    return jwk.JWK.generate(kid=secrets.token_hex(8), alg=alg, use="sig", **(ALGORITHMS | MORE)[alg])


def renamed(key, **changes):
    """The same key with other members in its JWK (None takes one away)."""
    members = dict(key.export(as_dict=True), kid=secrets.token_hex(8), **changes)
    return jwk.JWK(**{name: value for name, value in members.items() if value is not None})


@functools.cache
def first_key(alg):
    """Making an RSA key is the slowest thing a campus does, so that all campuses of a process begin with the same."""
    return make_key(alg)


class Keys:
    """`alg` says which key signs. `published` is what the key set shows: after a rotation that keeps the old keys, more than sign."""

    def __init__(self):
        self.alg = "RS256"
        self.current = {alg: first_key(alg) for alg in ALGORITHMS}
        self.published = list(self.current.values())

    def rotate(self, keep_old=True):
        self.current = {alg: make_key(alg) for alg in ALGORITHMS}
        self.published = list(self.current.values()) + (self.published if keep_old else [])

    def key_set(self):
        return {"keys": [key.export_public(as_dict=True) for key in self.published]}

    def sign(self, claims, header=None, key=None):
        """A compact JWS. `header` replaces or adds members (None takes one away)."""
        key = key or self.current[self.alg]
        protected = {"typ": "JWT", "alg": self.alg, "kid": key.get("kid")}
        protected.update(header or {})
        protected = {name: value for name, value in protected.items() if value is not None}
        token = jws.JWS(json.dumps(claims, ensure_ascii=False).encode())
        token.allowed_algs = [*ALGORITHMS, *MORE, "HS256"]
        token.add_signature(key, protected=json.dumps(protected))
        return token.serialize(compact=True)
