# SPDX-License-Identifier: Apache-2.0
"""Platform and tool on different sites over TLS, as in real life: names that only the test's browser knows, certificates of an authority of our own."""
import base64
import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from campus import Tool
from httpd import MODULES, free_port
from stage import Stage

PLATFORM, SCHOOL, TOOL = "platform.example", "school.example", "tool.example"
NAMES = (PLATFORM, SCHOOL, TOOL, "localhost")


def certificate(subject, issuer, key, signer, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())


class Authority:
    """A certificate authority and one certificate of it for all names: `ca`, `chain` and `key` are files; `pin` is what a browser may trust it by."""

    def __init__(self, folder):
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TOOL)])
        ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
        usage = dict.fromkeys(
            "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only digital_signature".split(), False
        )
        ca = certificate(
            ca_name, ca_name, ca_key, ca_key,
            [(x509.BasicConstraints(True, None), True), (ca_id, False), (x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True)],
        )  # fmt: skip
        names = [x509.DNSName(text) for text in NAMES] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        leaf = certificate(
            name, ca_name, key, ca_key,
            [
                (x509.BasicConstraints(False, None), True),
                (x509.SubjectAlternativeName(names), False),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
                (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), False),
            ],
        )  # fmt: skip
        pem = serialization.Encoding.PEM
        self.ca, self.chain, self.key = folder / "ca.pem", folder / "chain.pem", folder / "key.pem"
        self.ca.write_bytes(ca.public_bytes(pem))
        self.chain.write_bytes(leaf.public_bytes(pem) + ca.public_bytes(pem))
        self.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        digest = hashes.Hash(hashes.SHA256())
        digest.update(ca_key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        self.pin = base64.b64encode(digest.finalize()).decode()

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class SecureStage(Stage):
    """The campus at https://platform.example, the tool at https://tool.example. httpd does not know these names: it fetches keys from localhost, and no
    rosters. The names of the tool's http side are gone; `extra_tls` goes into the tool's virtual host."""

    def __init__(self, mpm="event"):
        super().__init__(mpm=mpm, name=PLATFORM)
        folder = self.httpd.root / "conf"
        self.authority = Authority(folder)
        self.tls_port = free_port()
        self.base_url = f"https://{TOOL}:{self.tls_port}"
        self.campus.tls = self.authority.context()
        self.campus.tool = Tool(self.base_url)
        self.school = f"https://{SCHOOL}:{self.campus.port}"
        self.extra_tls = ""
        httpd = self.httpd
        httpd.platform = httpd.platform_block(LTIKeySet=f"https://localhost:{self.campus.port}/jwks")
        httpd.module_config = f"LTIStateDir {httpd.root}/state\nLTIApplication /app/ /cgi/\nLTISync Off\nLTICAFile {self.authority.ca}"

    def start(self):
        self.httpd.allow_log("AH01873: Init: Session Cache is not configured")
        self.httpd.extra = f"""LoadModule ssl_module {MODULES}/mod_ssl.so
Listen 127.0.0.1:{self.tls_port}
<VirtualHost 127.0.0.1:{self.tls_port}>
ServerName {TOOL}:{self.tls_port}
SSLEngine On
SSLCertificateFile {self.authority.chain}
SSLCertificateKeyFile {self.authority.key}
{self.httpd.locations}
{self.extra_tls}
</VirtualHost>
"""
        return super().start()

    def url(self, path):
        return self.base_url + path

    def flags(self):
        """What Chromium needs to find these names and to trust these certificates."""
        names = ",".join(f"MAP {name} 127.0.0.1" for name in (PLATFORM, SCHOOL, TOOL))
        return [f"--host-resolver-rules={names}", f"--ignore-certificate-errors-spki-list={self.authority.pin}"]
