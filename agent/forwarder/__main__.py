"""`vrouter-forwarder`: the command line of the embedded forwarder."""

from __future__ import annotations

import argparse
import grp
import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from agent.errors import AgentError
from agent.forwarder.netlink import FAMILY
from agent.forwarder.process import Forwarder
from agent.forwarder.sizes import Sizes
from agent.loop import run as run_loop
from agent.sandesh.framing import GENL_ID_CTRL

_SIZE_OPTIONS = {
    "interfaces": "interfaces",
    "vrfs": "VRFs",
    "nexthops": "nexthops",
    "labels": "MPLS labels",
    "flow_entries": "main entries of the flow table (256 bytes each)",
    "flow_overflow": "overflow entries of the flow table (default: 20 %%)",
    "bridge_entries": "main entries of the bridge table (64 bytes each)",
    "bridge_overflow": "overflow entries of the bridge table (default: 20 %%)",
    "flow_hold_limit": "flows that may wait for the agent at the same time",
}


def _group(text: str) -> int:
    try:
        return int(text) if text.isdecimal() else grp.getgrnam(text).gr_gid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no group {text}") from None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    defaults = {field.name: field.default for field in fields(Sizes)}
    made = argparse.ArgumentParser(
        prog="vrouter-forwarder",
        description="A vrouter datapath in user space, for tests, labs and small hosts.",
    )
    made.add_argument(
        "--run-dir",
        type=Path,
        default=Path("/run/vrouter"),
        metavar="DIR",
        help="where the sockets and the shared tables are (default: %(default)s)",
    )
    made.add_argument(
        "--fabric",
        metavar="IFACE",
        help="the interface for a physical vif whose own name this host does not have",
    )
    made.add_argument(
        "--netlink",
        type=int,
        nargs="?",
        const=FAMILY,
        metavar="FAMILY",
        help="serve over generic netlink as the kernel module does, not over a socket; the port "
        "id is in DIR/netlink_port, the family's number is %(const)s unless given",
    )
    made.add_argument(
        "--group",
        type=_group,
        metavar="GROUP",
        help="members of this group may have an agent here, besides root and the user we run as",
    )
    made.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="what is written to standard error (default: %(default)s)",
    )
    for name, what in _SIZE_OPTIONS.items():
        made.add_argument(
            f"--{name.replace('_', '-')}",
            type=int,
            metavar="N",
            default=defaults[name],
            help=what if "default" in what else f"{what} (default: %(default)s)",
        )
    options = made.parse_args(arguments)
    if options.netlink is not None and not GENL_ID_CTRL < options.netlink <= 0xFFFF:
        made.error(f"--netlink {options.netlink}: families have numbers from 17 to 65535")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command: 0 after SIGTERM, 1 with a reason otherwise."""
    options = _options(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        sizes = Sizes(**{name: getattr(options, name) for name in _SIZE_OPTIONS})
        forwarder = Forwarder(
            options.run_dir.absolute(), sizes, options.fabric, options.netlink, options.group
        )
        run_loop(forwarder.run())
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
