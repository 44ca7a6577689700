"""Puts TLS before a server that has none, with a certificate of its own making."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy import close

_CHUNK = 65_536


def certificate(folder: Path, host: str = "127.0.0.1") -> Path:
    """Write a certificate for an address, signed by itself, with its key; return its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "batchdrain tests")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def tls_before(port: int, file: Path) -> Iterator[int]:
    """Take TLS connections for the server at a port of 127.0.0.1; give the port to connect to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(
            target=_accept, args=(listener, context, port, opened), daemon=True
        ).start()
        yield listener.getsockname()[1]
        # A blocked accept does not notice that its socket is closed.
        listener.shutdown(socket.SHUT_RDWR)
        for end in opened:
            close(end)


def _accept(
    listener: socket.socket, context: ssl.SSLContext, port: int, opened: list[socket.socket]
) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain, _ = listener.accept()
            opened.append(plain)
            # A client that does not trust the certificate leaves in the handshake.
            with contextlib.suppress(OSError):
                client = context.wrap_socket(plain, server_side=True)
                server = socket.create_connection(("127.0.0.1", port))
                opened += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=(source, target), daemon=True).start()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    close(target)
