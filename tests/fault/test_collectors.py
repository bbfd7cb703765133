"""Collectors on real sockets: handshake, updates, hand-over, resends, hostile and stalled ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from agent.io.collector import CollectorConnection
from agent.sandesh.vrouter import VrInterfaceReq
from agent.settings import Settings, parse
from agent.telemetry.sample import Sample
from agent.telemetry.uve import Drop, Level, State
from agent.telemetry.uve.send_queue import QUEUE_SIZE
from tests.fake.collector import Collector, answer
from tests.fault.control_scene import Runner
from tests.unit.telemetry.node_world import HOST, NodeWorld
from tests.unit.xmpp.control_node import certificates

PORT = "UveVMInterfaceAgentTrace"
STATS = "UVEVMIStats"
SESSIONS = "SessionEndpointObject"


@pytest.fixture
def run() -> Runner:
    """Runs a scene on the loop that agents run on."""
    return uvloop.run


class Agent:
    """A world whose clock is the loop's, with its connection to collectors."""

    def __init__(self, *collectors: Collector, more: str = "") -> None:
        self.world = NodeWorld()
        self.world.plug()
        self.node = self.world.node
        self.node.clock = asyncio.get_running_loop().time
        self.more = more
        self.node.settings = self.settings(*collectors)
        self.uves = self.node.uves
        self.connection = CollectorConnection(self.node, self.uves)

    def settings(self, *collectors: Collector) -> Settings:
        """The file with these collectors."""
        servers = " ".join(str(each.server) for each in collectors)
        return parse(f"{HOST}\n[DEFAULT]\ncollectors = {servers}\n{self.more}")

    def use(self, *collectors: Collector) -> None:
        """The file names others now."""
        self.node.settings = self.settings(*collectors)
        self.connection.configure(self.node.settings)

    def unplug(self) -> str:
        """Unplug a port; its name."""
        row = self.node.compiler.vmis()[0]
        self.node.compiler.remove_port(row.uuid)
        self.connection.follow(self.node.compiler.commit())
        return row.config_name

    def sample(self, count: int) -> None:
        """Every port has so many packets."""
        rows = [
            VrInterfaceReq(vifr_idx=row.vif_index, vifr_name=row.name, vifr_ipackets=count)
            for row in self.node.compiler.vmis()
        ]
        self.node.statistics.sample(Sample(rows), self.node.clock())

    @property
    def state(self) -> State:
        return self.uves.generator.view().state

    async def until(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait for something that no collector tells of."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(*collectors: Collector, more: str = "") -> AsyncIterator[Agent]:
    agent = Agent(*collectors, more=more)
    agent.connection.start()
    try:
        yield agent
    finally:
        await agent.connection.close()


def keys(collector: Collector, name: str) -> set[str | None]:
    return {each.text("name") for each in collector.uves(name)}


def test_a_collector_is_told_everything(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, running(one) as agent:
            types = set(agent.uves.builders)
            await one.until(lambda: {each.name for each in one.received} >= types)
            await one.until(lambda: len(keys(one, PORT)) == len(keys(one, STATS)) == 4)
            hello = one.received[0]
            assert hello.name == "SandeshCtrlClientToServer"
            assert hello.header["IPAddress"] == "10.0.0.1"
            assert {each.text("vm_name") for each in one.uves(PORT)} == {
                "red1", "red2", "blue1", "blue2",
            }  # fmt: skip
            assert agent.uves.generator.view().state is State.ESTABLISHED

    run(scene())


def test_updates_carry_what_changed(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, running(one, more="vmi_vm_vn_uve_interval = 1") as agent:
            await one.until(lambda: len(keys(one, STATS)) == 4)
            await one.until(lambda: len(keys(one, PORT)) == 4)
            del one.received[:]
            agent.sample(7)
            await one.until(lambda: len(keys(one, STATS)) == 4)
            update = one.uves(STATS)[0]
            assert update.text("raw_if_stats/VmInterfaceStats/in_pkts") == "7"
            del one.received[:]
            agent.sample(8)
            await one.until(lambda: len(keys(one, STATS)) == 4)
            update = one.uves(STATS)[0]
            assert update.fields == [
                "name", "vm_name", "vm_uuid", "virtual_network", "raw_if_stats",
            ]  # fmt: skip
            assert one.uves(PORT) == []  # nothing changed of those

    run(scene())


def test_what_is_gone_is_told(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, running(one) as agent:
            await one.until(lambda: len(keys(one, PORT)) == len(keys(one, STATS)) == 4)
            name = agent.unplug()
            await one.until(lambda: any(each.text("deleted") for each in one.uves(PORT)))
            [gone] = [each for each in one.uves(PORT) if each.text("deleted")]
            assert gone.text("name") == name

    run(scene())


def test_when_one_goes_the_other_is_told(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, Collector() as two, running(one, two) as agent:
            first, second = sorted((one, two), key=lambda each: str(each.server))
            await first.until(lambda: len(keys(first, PORT)) == 4)
            assert second.connections == 0
            await first.stop()
            await second.until(lambda: len(keys(second, PORT)) == 4)
            assert agent.uves.generator.view().server == second.server
            await first.listen()
            second.drop()
            await first.until(lambda: first.connections == 2)
            assert agent.uves.generator.view().connects >= 2

    run(scene())


def test_whoever_is_back_gets_what_he_lacks(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, running(one) as agent:
            types = set(agent.uves.builders)
            await one.until(lambda: {each.name for each in one.received} >= types)
            await one.until(lambda: len(keys(one, PORT)) == 4)
            one.known = {
                struct: agent.uves.cache.sequence(message)
                for message, struct in agent.uves.outbox.types.items()
            }
            one.known["UveVMInterfaceAgent"] -= 1
            del one.received[:]
            one.drop()
            await one.until(lambda: one.uves(PORT))
            [again] = one.uves(PORT)
            assert again.sequence == 4
            assert again.header["Hints"] == "5"
            assert "ip_address" in again.fields
            assert one.received[0].message.findtext("sucessful_connections") == "1"

    run(scene())


def test_messages_survive_a_lost_connection(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, running(one) as agent:
            await agent.until(lambda: agent.state is State.ESTABLISHED)
            await one.stop()
            await agent.until(lambda: agent.state is not State.ESTABLISHED)
            assert agent.connection.send(SESSIONS, {"session_data": [{"vn": "red"}]})
            await one.listen()
            await one.until(lambda: one.uves(SESSIONS))
            [found] = one.uves(SESSIONS)
            assert found.message.findtext(".//SessionEndpoint/vn") == "red"
            assert found.header["Type"] == "12"

    run(scene())


def test_nonsense_and_refusals_lead_to_the_next_one(run: Runner) -> None:
    async def scene() -> None:
        junk = Collector(junk=b"HTTP/1.1 400 Bad Request\r\n\r\n")
        async with junk, Collector(refuses=True) as no, Collector() as good:
            async with running(junk, no, good) as agent:
                await good.until(lambda: len(keys(good, PORT)) == 4)
                assert agent.uves.generator.view().server == good.server
            assert all(each.uves(PORT) == [] for each in (junk, no))

    run(scene())


def test_a_stalled_collector_does_not_make_us_grow(run: Runner) -> None:
    async def scene() -> None:
        async with Collector(stalled=True) as one, running(one) as agent:
            await one.until(lambda: one.connections == 1)
            agent.uves.generator.receive(answer({}), agent.node.clock())
            values = {"session_data": [{"vn": "x" * 10_000}]}
            outbox = agent.uves.outbox
            for number in range(3000):
                agent.connection.send(SESSIONS, values, Level.ERR)
                if number % 100 == 0:
                    await asyncio.sleep(0)
            await agent.until(lambda: Drop.QUEUE_LEVEL in outbox.stats.total.dropped)
            assert len(outbox.queue) * 10_000 < QUEUE_SIZE
            assert outbox.stats.total.dropped[Drop.QUEUE_LEVEL].messages > 1000
            for round_ in range(50):
                for name in agent.uves.cache.keys(PORT):
                    outbox.put(PORT, {"name": name, "label": round_})
            assert len(outbox) - len(outbox.queue) <= len(agent.uves.cache)
            assert agent.state is State.ESTABLISHED

    run(scene())


def test_tls(run: Runner, tmp_path: Path) -> None:
    async def scene() -> None:
        files = certificates(tmp_path, "lab")
        more = (
            "[SANDESH]\nsandesh_ssl_enable = true\n"
            f"sandesh_certfile = {files.certificate}\nsandesh_keyfile = {files.key}\n"
            f"sandesh_ca_cert = {files.authority}\n"
        )
        async with Collector(tls=files.server_context()) as one, running(one, more=more):
            await one.until(lambda: len(keys(one, PORT)) == 4)

    run(scene())


def test_a_certificate_that_is_missing_is_named(run: Runner, tmp_path: Path) -> None:
    async def scene() -> None:
        more = f"[SANDESH]\nsandesh_ssl_enable = true\nsandesh_ca_cert = {tmp_path}/none.pem\n"
        async with Collector() as one, running(one, more=more) as agent:
            await agent.until(lambda: agent.uves.generator.view().failures)
            assert "[SANDESH] sandesh_ca_cert" in agent.uves.generator.view().last_fault
            assert one.connections == 0

    run(scene())


def test_other_collectors_are_configured(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, Collector() as two, running(one) as agent:
            await agent.until(lambda: agent.state is State.ESTABLISHED)
            agent.use(two)
            await two.until(lambda: len(keys(two, PORT)) == 4)
            agent.use()
            await agent.until(lambda: agent.state is State.IDLE)
            assert not agent.connection.send(SESSIONS, {})

    run(scene())


def test_the_list_is_emptied_before_anything_began(run: Runner) -> None:
    async def scene() -> None:
        async with Collector() as one, running(one) as agent:
            agent.use()
            await agent.until(lambda: agent.state is State.IDLE)
            agent.use(one)
            await one.until(lambda: one.connections == 1)

    run(scene())


def test_without_collectors_nothing_is_built(run: Runner) -> None:
    async def scene() -> None:
        async with running() as agent:
            agent.unplug()
            await asyncio.sleep(0.05)
            assert len(agent.uves.cache) == 0
            assert agent.uves.deadline() is None
            assert agent.state is State.IDLE

    run(scene())


def test_nothing_is_left_behind(run: Runner) -> None:
    async def scene() -> None:
        async with Collector(silent=True) as one:
            async with running(one) as agent:
                await agent.until(lambda: agent.state is State.CLIENT_INIT)
                names = {task.get_name() for task in asyncio.all_tasks()}
                assert str(one.server) in names
            await agent.connection.close()
            names = {task.get_name() for task in asyncio.all_tasks()}
            assert str(one.server) not in names

    run(scene())
