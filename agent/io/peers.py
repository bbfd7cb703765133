"""What TCP connections with the control and analytics side, and of clients to us, need."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

from agent.errors import ConfigError

KEEPALIVE_IDLE = 5
KEEPALIVE_INTERVAL = 3
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MS = 15_000
"""TCP's own watch over the peer; the values of the reference agent (facts xmpp-ifmap.md 1)."""


class TlsFiles(NamedTuple):
    """Each side shows a certificate of the authorities."""

    certificate: Path
    key: Path
    authorities: Path


def tls_client(
    files: TlsFiles, section: str, options: tuple[str, str, str], *, named: bool = False
) -> ssl.SSLContext:
    """TLS as both ends of the dialects want it: each shows a certificate of the CA.

    With `named` the server's is for the address that it is configured by; many carry names of
    hosts instead. ConfigError names the option and the file that cannot be used; `options` are
    the names of those that the files come from.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = named
    context.verify_mode = ssl.CERT_REQUIRED
    _load(context, files, section, options)
    return context


def tls_server(
    files: TlsFiles, section: str, options: tuple[str, str, str], *, optional: bool = False
) -> ssl.SSLContext:
    """TLS of a port of ours, whose clients show a certificate of the authorities.

    `optional`: they may also show none, never a wrong one. ConfigError as `tls_client`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
    _load(context, files, section, options)
    return context


def _load(
    context: ssl.SSLContext, files: TlsFiles, section: str, options: tuple[str, str, str]
) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key, authorities = options
    try:
        context.load_verify_locations(files.authorities)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[{section}] {authorities} = {files.authorities}: {error}") from None
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"[{section}] {certificate} = {files.certificate}, {key} = {files.key}: {error}"
        ) from None


def _no_password() -> str:
    """OpenSSL would ask the terminal for that of an encrypted key, and wait."""
    return ""


def why(error: BaseException | None, who: str) -> str:
    """Why a connection could not be made, or is gone; without an error `who` closed it."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error or f"closed by the {who}")


def watch_peer(connection: socket.socket) -> None:
    """Let the kernel notice a peer that is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
