"""`vrouter-agent prepare-kernel`: a kernel module just loaded gets its tables, and vhost0 is made.

For a service that starts before the agent with the rights that this takes, so that the agent
needs none of them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from agent.daemon.check_config import DEFAULT
from agent.daemon.tables import Said
from agent.errors import ConfigError, WireError
from agent.io import vhost_link
from agent.io.datapath import NetlinkAddress
from agent.io.datapath_reader import Ask, conversation
from agent.io.huge_pages import hand_over, page_files, told
from agent.io.netlink_sockets import PORT_FILE
from agent.io.table_device import (
    BRIDGE_DEVICE,
    FLOW_DEVICE,
    NO_DEVICE,
    TableDevice,
    is_major,
    made_node,
)
from agent.io.texts import read_text
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrBridgeTableData,
    VrFlowTableData,
    VrHugepageConfig,
)
from agent.settings import Settings, of_environment, of_words, parse

OK, FAILED, WRONG = 0, 1, 22
_SECONDS = 60.0
"""A gigabyte of huge pages takes the kernel a while to clear."""
_FLOWS = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
_BRIDGES = VrBridgeTableData(btable_op=SandeshOp.GET)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent prepare-kernel",
        description="Give a vrouter kernel module just loaded memory for its flow and bridge "
        "table, in huge pages where [RESTART] names files of them, make the nodes of its devices, "
        "and the host's own interface with the MAC address of the fabric's and the address of "
        "[VIRTUAL-HOST-INTERFACE] ip. What is there already is left as it is.",
        epilog="Exit code: 0 all is there, 1 something cannot be had, 22 the file is wrong.",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"default: {DEFAULT}, if it exists"
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="of a vrouter-forwarder that serves netlink in the module's place",
    )
    parser.add_argument(
        "--devices", type=Path, default=Path("/dev"), metavar="DIR", help="default: /dev"
    )
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    try:
        overrides, others = of_words(words)
        options = _arguments(others)
        path = options.config or (DEFAULT if DEFAULT.exists() else None)
        text = read_text(path) if path else ""
        settings = parse(text, str(path), [*of_environment(os.environ), *overrides])
    except ConfigError as error:
        return _fails(str(error), WRONG)
    place = NetlinkAddress(options.run_dir / PORT_FILE if options.run_dir else None)
    try:
        tables = asyncio.run(_tables(place, settings))
        print("\n".join(_places(tables, options.devices)))
        if options.run_dir is None:
            print("\n".join(_vhost(settings)))
    except (OSError, WireError) as error:
        return _fails(getattr(error, "strerror", None) or str(error), FAILED)
    return OK


def _vhost(settings: Settings) -> list[str]:
    """Have vhost0; what was done. OSError."""
    section = "VIRTUAL-HOST-INTERFACE"
    name = settings.get(section, "name", str)
    fabric = settings.get(section, "physical_interface", tuple)
    if not fabric:
        return [f"{name}: not made: [{section}] names no physical_interface"]
    address = settings.optional(section, "ip", IPv4Interface)
    return vhost_link.make(name, fabric[0], address) or [f"{name}: is there"]


def _fails(reason: str, code: int) -> int:
    print(f"vrouter-agent prepare-kernel: {reason}", file=sys.stderr)
    return code


async def _tables(place: NetlinkAddress, settings: Settings) -> tuple[Said, Said]:
    """What the module says of its flow and bridge table, which it has now. OSError, WireError."""
    async with conversation(place, _SECONDS) as ask:
        await hand_over(ask, page_files(settings))
        flows = await told(ask, _FLOWS, VrFlowTableData)
        if flows.ftable_dev == NO_DEVICE:
            flows = await _in_ordinary_memory(ask)
        bridges = await told(ask, _BRIDGES, VrBridgeTableData)
    return Said.of_flows(flows), Said.of_bridges(bridges)


async def _in_ordinary_memory(ask: Ask) -> VrFlowTableData:
    await ask(VrHugepageConfig(vhp_op=SandeshOp.ADD))
    flows = await told(ask, _FLOWS, VrFlowTableData)
    if flows.ftable_dev == NO_DEVICE:
        raise WireError("the module has no memory for its tables")
    return flows


def _places(tables: tuple[Said, Said], directory: Path) -> Iterator[str]:
    """Where each table is, its node made. OSError: it cannot be made."""
    for what, said, device in zip(
        ("flow", "bridge"), tables, (FLOW_DEVICE, BRIDGE_DEVICE), strict=True
    ):
        path = said.path
        if not path and is_major(said.major):
            node = TableDevice(directory / device.path.name, device.minor)
            path = str(made_node(node, said.major))
        yield f"{what} table: {path or 'nowhere'}, {said.size} bytes"
