"""The same door with TLS in front."""

import datetime
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.process import Refused
from gateway.fix.__main__ import tls
from tests.gateway.fix.conftest import SESSIONS
from tests.gateway.fix.stage import Desk, Settings, Stage


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    return files


class TlsDesk(Desk):
    """A client that wraps its socket."""

    def __init__(self, port: int, trusted: Path) -> None:
        super().__init__(port)
        context = ssl.create_default_context(cafile=str(trusted))
        self._socket: socket.socket = context.wrap_socket(
            self._socket, server_hostname="localhost")


def test_orders_go_through_tls(tmp_path: Path) -> None:
    made, key = certificate(tmp_path)
    stage = Stage(tmp_path, SESSIONS, tls_certificate=str(made), tls_key=str(key))
    try:
        desk = TlsDesk(stage.port, made)
        desk.logon("141=Y")
        desk.order("T1")
        desk.expect("8", _11="T1", _150=0)
        desk.send("5")
        desk.expect("5")
        desk.leave()
    finally:
        stage.stop()


def test_a_certificate_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"fix\.tls_certificate"):
        tls(Settings(tls_certificate=str(tmp_path / "none.pem")))
