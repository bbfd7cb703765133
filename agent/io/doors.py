"""The HTTP ports as the configuration wants them: where they listen, and who may come in.

On loopback a port may be open. Beyond it clients show a certificate of the authorities, or a
token; an address that would let everybody in is refused unless that is said to be wanted.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import structlog

from agent.errors import ConfigError
from agent.io.peers import TlsFiles, tls_server
from agent.io.secret_files import read_token
from agent.settings import Settings

log = structlog.get_logger(__name__)

_LOCAL_NAMES = frozenset({"localhost"})
Place = tuple[str, str]
"""Section and option."""


@dataclass(frozen=True, slots=True)
class _Options:
    """What describes one port."""

    title: str
    host: Place
    port: Place
    tls: Place
    files: tuple[str, tuple[str, str, str]]
    """The section, and the options of certificate, key and authorities."""
    token: Place


_INTROSPECT = _Options(
    "introspect",
    ("DEFAULT", "http_server_ip"),
    ("DEFAULT", "http_server_port"),
    ("SANDESH", "introspect_ssl_enable"),
    ("SANDESH", ("sandesh_certfile", "sandesh_keyfile", "sandesh_ca_cert")),
    ("DEFAULT", "http_server_token_file"),
)
_PORT_API = _Options(
    "port API",
    ("DEFAULT", "rest_ip"),
    ("DEFAULT", "rest_port"),
    ("DEFAULT", "rest_ssl_enable"),
    ("DEFAULT", ("rest_ssl_certfile", "rest_ssl_keyfile", "rest_ssl_ca_cert")),
    ("DEFAULT", "rest_token_file"),
)


@dataclass(slots=True)
class Door:
    """Where a port listens, and what it wants of clients; by default it is open to this host.

    `names` are those that the host is asked by, besides addresses; `rate` limits the requests
    a second of each address beyond this host, 0: not at all. With `context` clients speak TLS.
    """

    host: str = "127.0.0.1"
    port: int = 0
    context: ssl.SSLContext | None = field(default=None, repr=False)
    token: bytes = field(default=b"", repr=False)
    names: frozenset[str] = _LOCAL_NAMES
    rate: int = 0

    @property
    def guarded(self) -> bool:
        """Whether clients must say who they are."""
        return self.context is not None or bool(self.token)

    @property
    def local(self) -> bool:
        """Whether nobody beyond this host can connect."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def announce(self, title: str) -> None:
        """Say in the log what an operator should know of an address beyond this host."""
        if self.local:
            return
        if not self.guarded:
            log.warning(f"{title} is open to the network without authentication", host=self.host)
        elif self.context is None:
            log.warning(f"{title}: tokens cross the network in the clear", host=self.host)

    def renew(self, other: Door) -> None:
        """Take over what the files of certificates and of the token hold by now.

        What is wanted of clients stays as it was at start.
        """
        if (self.context is None, self.token == b"") == (other.context is None, other.token == b""):
            self.context, self.token = other.context, other.token


def introspect_door(settings: Settings) -> Door:
    """The door of introspect. ConfigError names the option that is wrong."""
    return _door(settings, _INTROSPECT)


def port_api_door(settings: Settings) -> Door:
    """The door of the port API. ConfigError names the option that is wrong."""
    return _door(settings, _PORT_API)


def _door(settings: Settings, options: _Options) -> Door:
    host = settings.get(*options.host, str)
    token = _token(settings, options)
    door = Door(
        host,
        settings.get(*options.port, int),
        _context(settings, options, optional=bool(token)),
        token,
        _names(settings),
        settings.get("DEFAULT", "http_rate_limit", int),
    )
    if not (door.local or door.guarded or settings.get("DEFAULT", "http_insecure", bool)):
        raise ConfigError(
            f"{_title(options.host)} = {host}: {options.title} would be open to the network. "
            f"Switch on {_title(options.tls)}, name a {_title(options.token)}, or listen on "
            "127.0.0.1; [DEFAULT] http_insecure = true leaves it open to everybody"
        )
    return door


def _title(place: Place) -> str:
    section, option = place
    return f"[{section}] {option}"


def _token(settings: Settings, options: _Options) -> bytes:
    name = settings.get(*options.token, str)
    return read_token(Path(name), _title(options.token)) if name else b""


def _context(settings: Settings, options: _Options, *, optional: bool) -> ssl.SSLContext | None:
    """TLS if it is switched on; with a token a client may do without a certificate."""
    if not settings.get(*options.tls, bool):
        return None
    section, names = options.files
    files = TlsFiles(*(Path(settings.get(section, name, str)) for name in names))
    return tls_server(files, section, names, optional=optional)


def _names(settings: Settings) -> frozenset[str]:
    """Names that browsers on the operators' side may know this host by."""
    system = socket.gethostname()
    configured = (settings.get("DEFAULT", name, str) for name in ("agent_name", "hostname"))
    more = settings.get("DEFAULT", "http_host_names", tuple)
    found = {system, system.partition(".")[0], *configured, *more}
    return _LOCAL_NAMES | {name.lower() for name in found if name}
