"""Collectors that are not who they should be are told nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.io.peers import TlsFiles, tls_server
from tests.fake.authority import Authority
from tests.fake.collector import Collector
from tests.fault.control_scene import Runner
from tests.fault.test_collectors import running

OPTIONS = ("sandesh_certfile", "sandesh_keyfile", "sandesh_ca_cert")


@pytest.mark.parametrize("fault", ["expired", "verify failed", "mismatch"])
def test_a_false_collector_is_told_nothing(run: Runner, tmp_path: Path, fault: str) -> None:
    async def scene() -> None:
        ca, other = Authority(tmp_path, "lab"), Authority(tmp_path, "other")
        ours = ca.files(ca.issue("agent"))
        false = {
            "expired": lambda: ca.issue("late", days=(-9, -2), names=("127.0.0.1",)),
            "verify failed": lambda: other.issue("false", names=("127.0.0.1",)),
            "mismatch": lambda: ca.issue("elsewhere", names=("127.0.0.2",)),
        }[fault]()
        theirs = TlsFiles(false.certificate, false.key, ca.path)
        values = zip(OPTIONS, ours, strict=True)
        more = "[SANDESH]\nsandesh_ssl_enable = true\nsandesh_verify_address = 1\n" + "".join(
            f"{option} = {path}\n" for option, path in values
        )
        context = tls_server(theirs, "SANDESH", OPTIONS)
        async with Collector(tls=context) as one, running(one, more=more) as agent:
            await agent.until(lambda: agent.uves.generator.view().failures)
            assert fault in agent.uves.generator.view().last_fault
            assert one.connections == 0
            assert one.received == []

    run(scene())
