"""A control node of the tests: the least of the dialect, on real sockets."""

from __future__ import annotations

import asyncio
import datetime
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.settings import Server
from tests.unit.xmpp.conversation import HEADER

FEATURES = (
    b'<stream:features><starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required />'
    b"</starttls></stream:features>"
)
STARTTLS = b'<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls" />'
PROCEED = b'<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls" />'


class ControlNode:
    """Accepts agents on an address of loopback; `heard` is what the present one said."""

    def __init__(self, context: ssl.SSLContext | None = None, *, silent: bool = False) -> None:
        self.heard = b""
        self.sessions = 0
        self.sources: list[str] = []
        self.context = context
        self._silent = silent
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._changed = asyncio.Event()
        self.address = Server(IPv4Address("127.0.0.1"), 0)

    async def start(self) -> Server:
        """Listen; on the same port as before, if there was one."""
        address, port = str(self.address.address), self.address.port
        self._server = await asyncio.start_server(self._accept, address, port)
        self.address = Server(self.address.address, self._server.sockets[0].getsockname()[1])
        return self.address

    async def stop(self) -> None:
        """Listen no more and cut the session."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """Reset the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    def say(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    def own_socket(self) -> socket.socket:
        """The session's socket, for words that do not wait for the loop."""
        assert self._writer is not None
        number: int = self._writer.get_extra_info("socket").fileno()
        return socket.socket(fileno=os.dup(number))

    async def hears(self, wanted: bytes, seconds: float = 10) -> None:
        """Wait until the present session has said `wanted`."""
        await self.until(lambda: wanted in self.heard, seconds)

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.heard = b""
        self._writer = writer
        self.sources.append(writer.get_extra_info("peername")[0])
        self._changed.set()
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._silent:
            await reader.read()
            return
        self._take(await reader.readuntil(b'streams"  >'))
        writer.write(HEADER)
        if self.context is not None:
            writer.write(FEATURES)
            self._take(await reader.readexactly(len(STARTTLS)))
            writer.write(PROCEED)
            await writer.drain()
            await writer.start_tls(self.context)
            self._take(await reader.readuntil(b'streams"  >'))
            writer.write(HEADER)
        while data := await reader.read(65536):
            self._take(data)

    def _take(self, data: bytes) -> None:
        self.heard += data
        self._changed.set()


@dataclass(frozen=True)
class Certificates:
    """Files of a CA and of one certificate that it signed."""

    certificate: Path
    key: Path
    authority: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


def certificates(directory: Path, name: str) -> Certificates:
    """A new CA and a certificate of it."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _signed(f"CA of {name}", ca_key, f"CA of {name}", ca_key, authority=True)
    leaf = _signed(name, key, f"CA of {name}", ca_key, authority=False)
    files = Certificates(
        directory / f"{name}.pem", directory / f"{name}-key.pem", directory / f"{name}-ca.pem"
    )
    files.authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _signed(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    return builder.sign(issuer_key, hashes.SHA256())
