"""Controllers that are not who they should be, or that want no TLS where it is configured."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.io.peers import TlsFiles, tls_server
from agent.io.xmpp import tls_context
from agent.xmpp import PeerUp
from tests.fake.authority import Authority
from tests.fault.control_scene import Runner, agent, node
from tests.unit.xmpp.control_node import STARTTLS
from tests.unit.xmpp.conversation import IDENTITY, config, routes

OPTIONS = ("xmpp_server_cert", "xmpp_server_key", "xmpp_ca_cert")


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "lab")


def ours(ca: Authority) -> ssl.SSLContext:
    return tls_context(*ca.files(ca.issue("agent")))


def controller(files: TlsFiles) -> ssl.SSLContext:
    return tls_server(files, "DEFAULT", OPTIONS)


def expired(ca: Authority, path: Path) -> ssl.SSLContext:
    return controller(ca.files(ca.issue("controller", days=(-9, -2))))


def not_yet(ca: Authority, path: Path) -> ssl.SSLContext:
    return controller(ca.files(ca.issue("controller", days=(2, 9))))


def of_another_ca(ca: Authority, path: Path) -> ssl.SSLContext:
    other = Authority(path, "other")
    return controller(TlsFiles(*_pair(other), ca.path))


def signed_by_itself(ca: Authority, path: Path) -> ssl.SSLContext:
    """With the name of our CA, but another key."""
    (path / "false").mkdir()
    false = Authority(path / "false", "lab")
    return controller(TlsFiles(*_pair(false), ca.path))


def _pair(authority: Authority) -> tuple[Path, Path]:
    made = authority.issue("controller")
    return made.certificate, made.key


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (expired, "certificate has expired"),
        (not_yet, "not yet valid"),
        (of_another_ca, "verify failed"),
        (signed_by_itself, "verify failed"),
    ],
)
def test_a_false_controller_is_told_nothing(
    run: Runner,
    ca: Authority,
    tmp_path: Path,
    make: Callable[[Authority, Path], ssl.SSLContext],
    told: str,
) -> None:
    async def scene() -> None:
        context = make(ca, tmp_path)
        async with node(context) as one, agent(one.address, context=ours(ca)) as self:
            channel = self.controllers.channel(one.address)
            await one.until(lambda: told in channel.last_fault.lower() and one.sessions > 2)
            assert self.log == []
            assert IDENTITY.virtual_router() not in one.heard

    run(scene())


def test_a_controller_that_does_not_trust_us_is_left(
    run: Runner, ca: Authority, tmp_path: Path
) -> None:
    async def scene() -> None:
        stranger = Authority(tmp_path, "stranger").issue("agent")
        context = tls_context(stranger.certificate, stranger.key, ca.path)
        files = ca.files(ca.issue("controller"))
        async with node(controller(files)) as one, agent(one.address, context=context) as self:
            await one.until(lambda: one.sessions == 3)
            assert self.controllers.channel(one.address).last_fault
            assert not [event for event in self.log if isinstance(event, PeerUp)]

    run(scene())


def test_who_offers_no_tls_gets_and_gives_nothing(run: Runner, ca: Authority) -> None:
    """Somebody in between who strips the offer must not get us to go on without."""

    async def scene() -> None:
        async with node() as one, agent(one.address, context=ours(ca)) as self:
            await one.hears(b"stream:stream")
            for words in (b"", b"<stream:features></stream:features>"):
                session = one.sessions
                one.say(words + config() + routes())
                one.cut()
                await one.until(lambda before=session: one.sessions > before)
                await one.hears(b"stream:stream")
                assert self.log == []
                assert STARTTLS not in one.heard
                assert IDENTITY.virtual_router() not in one.heard

    run(scene())


@pytest.mark.parametrize("names", [(), ("elsewhere.example",), ("127.0.0.2", "localhost")])
def test_a_controller_of_another_address_is_refused_where_that_is_wanted(
    run: Runner, ca: Authority, names: tuple[str, ...]
) -> None:
    """Of our own CA, such as another vrouter of the cluster that plays the controller."""

    async def scene() -> None:
        context = tls_context(*ca.files(ca.issue("agent")), named=True)
        files = ca.files(ca.issue("controller", names=names))
        async with node(controller(files)) as one, agent(one.address, context=context) as self:
            channel = self.controllers.channel(one.address)
            await one.until(lambda: "mismatch" in channel.last_fault and one.sessions > 2)
            assert self.log == []
            assert IDENTITY.virtual_router() not in one.heard

    run(scene())


def test_a_controller_of_the_right_address_is_not(run: Runner, ca: Authority) -> None:
    async def scene() -> None:
        context = tls_context(*ca.files(ca.issue("agent")), named=True)
        files = ca.files(ca.issue("controller", names=("control.example", "127.0.0.1")))
        async with node(controller(files)) as one, agent(one.address, context=context) as self:
            await self.told(PeerUp)

    run(scene())


def test_certificates_need_no_name(run: Runner, ca: Authority) -> None:
    """By default: controllers are configured by address, and certificates often by name."""

    async def scene() -> None:
        files = ca.files(ca.issue("controller", names=("elsewhere.example",)))
        async with node(controller(files)) as one, agent(one.address, context=ours(ca)) as self:
            await self.told(PeerUp)

    run(scene())
