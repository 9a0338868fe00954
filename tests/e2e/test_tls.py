# SPDX-License-Identifier: Apache-2.0
"""Whom we believe to be a platform: its certificate must be good, in time and of its name (SPEC S-28)."""
import datetime
import http.server
import json
import socket
import ssl
import threading

import pytest
import secure
from client import Browser
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")

CASES = ("good", "stranger", "other-name", "expired", "old-tls")


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(self.server.campus.keys.key_set()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class KeySetServer(http.server.ThreadingHTTPServer):
    def __init__(self, campus, context):
        super().__init__(("127.0.0.1", 0), Answers)
        self.campus = campus
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that does not trust us hangs up: that is what is tested


def context_of(folder, name, names, days):
    """A certificate that signs itself, for these names, that ends in so many days; its own authority (a file)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=30)).not_valid_after(now + datetime.timedelta(days=days))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(text) for text in names]), False)
    builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    pem = builder.sign(key, secure.hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path = folder / f"{name}.pem"
    path.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, pem


@pytest.fixture(scope="module")
def site(make_shared_stage):
    stage = make_shared_stage()
    folder = stage.httpd.root / "conf"
    authority = secure.Authority(folder)
    contexts = {"good": authority.context(), "old-tls": authority.context()}
    contexts["stranger"], _ = context_of(folder, "stranger", ["localhost"], 5)
    contexts["other-name"], other = context_of(folder, "other-name", ["platform.example"], 5)
    contexts["expired"], expired = context_of(folder, "expired", ["localhost"], -1)
    contexts["old-tls"].set_ciphers("ALL:@SECLEVEL=0")
    contexts["old-tls"].minimum_version = ssl.TLSVersion.TLSv1
    contexts["old-tls"].maximum_version = ssl.TLSVersion.TLSv1_1
    trusted = folder / "trusted.pem"
    trusted.write_bytes(authority.ca.read_bytes() + other + expired)
    stage.servers = {name: KeySetServer(stage.campus, context) for name, context in contexts.items()}
    blocks = [
        stage.httpd.platform_block(name, LTIClientID=name, LTIKeySet=f"https://localhost:{server.server_port}/jwks") for name, server in stage.servers.items()
    ]
    stage.configure(pace="LTISync Off", platform="\n".join(blocks), extra=f"LTICAFile {trusted}").start()
    yield stage
    for server in stage.servers.values():
        server.shutdown()
        server.server_close()


def launch(site, client_id):
    site.campus.tool.client_id = client_id
    browser = Browser()
    return browser, browser.launch(site.campus, "BIO1", "zoe", check=False).launch


@pytest.mark.parametrize("case", CASES)
def test_certificates(site, case):
    """SPEC S-28: chain, name and time are checked, and nothing below TLS 1.2 is spoken."""
    if case != "good":
        site.httpd.expect_log(f"LTI0201: refused with keyset-unavailable .*:{site.servers[case].server_port}/")
    browser, answer = launch(site, case)
    assert (answer.status, answer.error) == ((303, "") if case == "good" else (503, "keyset-unavailable"))
    assert bool(browser.named("lti_")) == (case == "good")


def test_old_tls_is_really_offered(site):
    """Or the case above would prove nothing."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.TLSv1
    with socket.create_connection(("127.0.0.1", site.servers["old-tls"].server_port), 10) as raw, client.wrap_socket(raw) as connection:
        assert connection.version() in ("TLSv1", "TLSv1.1")
