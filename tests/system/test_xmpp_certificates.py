"""A whole agent whose certificates and authorities are replaced while it runs (SIGHUP)."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
from pathlib import Path
from unittest.mock import patch

import pytest

from agent.io.peers import TlsFiles, tls_server
from agent.xmpp import session
from tests.fake.authority import Authority
from tests.fault.control_scene import node
from tests.unit.daemon.test_daemon import Host, here
from tests.unit.xmpp.control_node import ControlNode

pytestmark = pytest.mark.system
OPTIONS = ("xmpp_server_cert", "xmpp_server_key", "xmpp_ca_cert")


class Certificates:
    """The agent's files, which an operator fills by those of one authority after another."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        self.files = TlsFiles(*(directory / f"{name}.pem" for name in OPTIONS))

    def by(self, name: str) -> ssl.SSLContext:
        """Fill them; the context of a controller of the same authority."""
        (self._directory / name).mkdir()
        authority = Authority(self._directory / name, "lab")
        issued = authority.files(authority.issue("agent"))
        for source, target in zip(issued, self.files, strict=True):
            shutil.copyfile(source, target)
        controller = authority.issue("controller", names=("127.0.0.1",))
        return tls_server(authority.files(controller), "DEFAULT", OPTIONS)


def configured(host: Host, one: ControlNode, files: TlsFiles) -> None:
    options = "".join(f"{name} = {path}\n" for name, path in zip(OPTIONS, files, strict=True))
    host.config.write_text(
        f"[DEFAULT]\nagent_name = host1\nagent_base_directory = {host.run_dir}/lib\n"
        f"log_file = {host.run_dir}/log\nxmpp_auth_enable = true\nxmpp_verify_address = true\n"
        f"{options}[VIRTUAL-HOST-INTERFACE]\nphysical_interface = fabric0\n"
        f"[CONTROL-NODE]\nservers = 127.0.0.1:{one.address.port}\n"
    )


async def again(one: ControlNode) -> None:
    """Cut the session; return when the agent subscribes in the next one."""
    before = one.sessions
    one.cut()
    await one.until(lambda: one.sessions > before and b"subscribe" in one.heard, 20)


@patch.object(session, "_LONGEST_DELAY", 0.05)  # of the agent, between its attempts
@here
async def test_new_certificates_are_used_from_the_next_session_on(host: Host) -> None:
    certificates = Certificates(host.run_dir / "tls")
    log = host.run_dir / "log"
    log.touch()
    async with node(certificates.by("first")) as one:
        configured(host, one, certificates.files)
        async with host.agent() as daemon:
            await one.hears(b"host1", 20)
            up = one.sessions

            one.context = certificates.by("second")
            os.kill(os.getpid(), signal.SIGHUP)
            await host.until(lambda: 'event="configuration reloaded"' in log.read_text(), "read")
            assert one.sessions == up, "a session that stands is left alone"
            await again(one)
            assert one.sessions == up + 1

            certificates.files.key.write_text("no key")
            os.kill(os.getpid(), signal.SIGHUP)
            await host.until(lambda: "configuration not reloaded" in log.read_text(), "refused")
            assert "[DEFAULT] xmpp_server_cert = " in log.read_text()
            await again(one)
            assert one.sessions == up + 2, "what was read before stays in force"

            one.context = certificates.by("third")
            one.cut()
            await one.until(lambda: "verify failed" in daemon.controllers()[0].last_fault, 20)
            host.config.write_text(host.config.read_text().replace("log_file", "#log_file"))
            daemon.reload()
