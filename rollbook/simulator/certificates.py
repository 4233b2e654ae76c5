"""A certificate for TLS on loopback, made with the `openssl` program, which is on nearly every machine.

It is its own authority: whoever is to trust it gets its file (`SSL_CERT_FILE`, `NODE_EXTRA_CA_CERTS`). Knows no server.
"""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
PARTS: Final = ("api", "login", "streaming")  # of a region's domain
_DAYS: Final = 825  # the longest that every client takes
_CONFIG: Final = """[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = {first}
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


class CertificateError(Exception):
    """No certificate could be made; the message says what to do."""


class Certificate(NamedTuple):
    """The files (PEM) of a certificate and of its key."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """For a server. Raises CertificateError: they are no certificate and its key."""
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            made.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(
                f"{self.certificate} and {self.key} are no certificate and its key: {error}"
            ) from None
        return made


def make(folder: Path, names: Iterable[str]) -> Certificate:
    """A new certificate for host names and addresses. Raises CertificateError."""
    program = shutil.which("openssl")
    if program is None:
        raise CertificateError(
            "the program openssl is needed to make a certificate; install it, or name files of yours"
        )
    listed = list(names)
    alternatives = ",".join(f"{'IP' if _is_address(host) else 'DNS'}:{host}" for host in listed)
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as config:
        config.write(_CONFIG.format(first=listed[0], names=alternatives))
        config.flush()
        done = subprocess.run(  # noqa: S603 (its arguments are ours)
            [
                program,
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-sha256",
                "-days",
                str(_DAYS),
                "-config",
                config.name,
                "-keyout",
                str(made.key),
                "-out",
                str(made.certificate),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise CertificateError(f"openssl made no certificate: {done.stderr.strip().splitlines()[-1:]}")
    made.key.chmod(0o600)
    return made


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
