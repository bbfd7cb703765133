"""`vrouter-port-control`: plug, unplug, enable or disable a port (facts rest-api.md 11).

Called by nova, by `contrail_vrouter_api` and by operators; options, files and exit codes are
those that they know. Starts fast, so it imports little.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.cli.credentials import Credentials, add_options
from agent.errors import UsageError
from agent.io.safe_files import read_file, replace_file

_PORT_TYPES = {"NovaVMPort": 0, "NameSpacePort": 1, "ESXiPort": 2}
_REMOTE = 2
_VIF_TYPES = ("Vrouter", "VhostUser")
_TIMEOUT = 60.0
_MOST_FILE = 1 << 20

# Exit codes.
_DONE = 0
_FAILED = 1
_AGENT_NEVER_OPENED = 2
_DATAPATH_ABSENT = 3
_ADD_REFUSED = 4
_CONNECTION_REFUSED = 5
_SOCKET_ABSENT = 6

# What quoted mode turns into null when the value has no quotes, defaults included.
_QUOTED_OPTIONS = {
    "oper", "uuid", "instance_uuid", "vn_uuid", "vm_project_uuid", "ip_address", "ipv6_address",
    "vm_name", "mac", "tap_name", "port_type", "vif_type", "vhostuser_socket", "vhostuser_mode",
}  # fmt: skip
_QUOTED = re.compile(r'--(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Waits:
    """How long, in seconds, a VhostUser port waits for others, and where the datapath listens."""

    agent: float = 120.0
    datapath: float = 15.0
    vhost_socket: float = 15.0
    datapath_socket: str = "/var/run/vrouter/dpdk_netlink"


class _Exit(Exception):
    """Ends the program with a code, after a line on standard output."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


class _Unreachable(Exception):
    """No agent to connect to."""


def _tcp_port(text: str) -> int:
    port = int(text)
    if not 0 < port < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is not a TCP port, expected 1 to 65535")
    return port


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vrouter-port-control",
        description="Plug, unplug, enable or disable a port of the vRouter agent.",
    )
    text: list[tuple[str, str | None, str]] = [
        ("--instance_uuid", None, "UUID of the VM"),
        ("--vn_uuid", None, "UUID of the virtual network"),
        ("--vm_project_uuid", None, "UUID of the project, 32 hex digits without dashes"),
        ("--ip_address", None, "IPv4 address of the port"),
        ("--ipv6_address", None, "IPv6 address of the port"),
        ("--vm_name", None, "name of the VM"),
        ("--mac", None, "MAC address of the port"),
        ("--tap_name", None, "name of the host's network interface"),
        ("--port_type", "NovaVMPort", "NovaVMPort, NameSpacePort or ESXiPort"),
        ("--tx_vlan_id", None, "VLAN of frames to the port, -1 for none"),
        ("--rx_vlan_id", None, "VLAN of frames from the port, -1 for none"),
        ("--vif_type", "Vrouter", "Vrouter or VhostUser"),
        ("--vhostuser_socket", None, "path of the vhost-user socket"),
        ("--vhostuser_mode", "0", "0: the datapath is client, 1: it is server"),
        ("--vnic_type", None, "accepted for offload drivers, without effect"),
        ("--pci_dev", None, "accepted for offload drivers, without effect"),
        ("--no_persist", "", "any text: do not store the port in a file"),
        ("--port_json_path", "/var/lib/contrail/ports/", "directory of stored ports, ending in /"),
        ("--agent_host", "localhost", "where the agent listens"),
    ]
    parser.add_argument("--oper", required=True, help="add, delete, enable or disable")
    parser.add_argument("--uuid", required=True, help="UUID of the virtual machine interface")
    for name, default, words in text:
        parser.add_argument(name, default=default, help=words)
    parser.add_argument("--agent_port", type=_tcp_port, default=9091, help="TCP port of the agent")
    add_options(parser, underscores=True)
    return parser


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options as clients write them: values may hold blanks, or all stand in double quotes."""
    line = " ".join(arguments)
    quoted = dict(_QUOTED.findall(line))
    pieces = [f"--{name}={value}" for name, value in quoted.items()]
    rest = _QUOTED.sub("", line)
    for piece in re.split(r"(?:^|\s+)(?=--\w)", rest):
        piece = piece.strip()
        pieces += [piece] if re.match(r"--\w+=", piece) else piece.split(None, 1)
    options = _parser().parse_args([piece for piece in pieces if piece])
    if quoted:
        for name in _QUOTED_OPTIONS - quoted.keys():
            setattr(options, name, None)
    return options


def _number(options: argparse.Namespace, name: str) -> int | None:
    value = getattr(options, name)
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"--{name}={value}: expected a whole number") from None


def _one_of(options: argparse.Namespace, name: str, words: Sequence[str]) -> str:
    value = getattr(options, name)
    if value not in words:
        raise UsageError(f"--{name}={value}: expected one of {', '.join(words)}")
    return str(value)


def _dashed(project: str | None) -> str:
    """A project as clients give it, 32 digits; any other form is sent as none at all."""
    if project is None or len(project) != 32:
        return ""
    cuts = (0, 8, 12, 16, 20, 32)
    return "-".join(project[start:end] for start, end in pairwise(cuts))


def _record(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON object of POST /port, its members in the order that clients send."""
    return {
        "id": options.uuid,
        "instance-id": options.instance_uuid,
        "ip-address": options.ip_address,
        "ip6-address": options.ipv6_address,
        "vn-id": options.vn_uuid,
        "display-name": options.vm_name,
        "vm-project-id": _dashed(options.vm_project_uuid),
        "mac-address": options.mac,
        "system-name": options.tap_name,
        "type": _PORT_TYPES[_one_of(options, "port_type", list(_PORT_TYPES))],
        "rx-vlan-id": _number(options, "rx_vlan_id"),
        "tx-vlan-id": _number(options, "tx_vlan_id"),
        "vhostuser-mode": _number(options, "vhostuser_mode"),
        "author": sys.argv[0],
        "time": str(datetime.datetime.now()),
    }


class _Control:
    """One run of the tool."""

    def __init__(self, options: argparse.Namespace, waits: Waits) -> None:
        self._options = options
        self._waits = waits
        if not options.uuid or "/" in options.uuid or "\0" in options.uuid:
            raise UsageError(f"--uuid={options.uuid}: expected a UUID")
        self._file = Path(options.port_json_path + options.uuid)
        host, port = options.agent_host, options.agent_port
        shown = Credentials.of(options)
        self._headers = {"content-type": "application/json", **shown.headers()}
        try:
            self._client = shown.connection(host, port, _TIMEOUT, tls=shown.wants_tls)
        except http.client.InvalidURL:
            raise UsageError(f"--agent_host={host}: expected a name or address") from None

    def run(self) -> int:
        operations: dict[str, Callable[[], int]] = {
            "add": self._add,
            "delete": self._delete,
            "enable": lambda: self._set_link_state(up=True),
            "disable": lambda: self._set_link_state(up=False),
        }
        return operations[_one_of(self._options, "oper", list(operations))]()

    # Operations

    def _add(self) -> int:
        options = self._options
        record = _record(options)
        vhost_user = _one_of(options, "vif_type", _VIF_TYPES) == "VhostUser"
        if vhost_user:
            self._await_datapath()
        text = json.dumps(record)
        stored = not options.no_persist and self._store(text)
        try:
            status, answer = self._request("POST", "/port", text)
        except _Unreachable as error:
            print(f"{error}; it will find the port when it starts" if stored else error)
            if vhost_user:
                return _CONNECTION_REFUSED
            return _DONE if stored else _FAILED
        if status != http.client.OK:
            print(f"Request failed: {answer}")
            return _ADD_REFUSED
        if vhost_user and record["vhostuser-mode"] == 0:
            self._await(
                self._waits.vhost_socket,
                0.001,
                lambda: os.path.exists(options.vhostuser_socket),
                _Exit(_SOCKET_ABSENT, f"{options.vhostuser_socket} did not appear"),
            )
        return _DONE

    def _delete(self) -> int:
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            print(f"{self._file} cannot be removed: {error.strerror}")
        return self._tell("DELETE", f"/port/{quote(self._options.uuid)}")

    def _set_link_state(self, *, up: bool) -> int:
        self._store_link_state(up)
        verb = "enable" if up else "disable"
        return self._tell("PUT", f"/{verb}-port/{quote(self._options.uuid)}")

    def _tell(self, method: str, path: str) -> int:
        try:
            status, answer = self._request(method, path, "")
        except _Unreachable as error:
            print(f"{error}; it will find the change when it starts")
            return _DONE
        if status != http.client.OK:
            print(f"Request failed: {answer}")
            return _FAILED
        return _DONE

    # Files

    def _store(self, text: str) -> bool:
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            replace_file(self._file, text.encode(), draft)
        except OSError as error:
            print(f"{self._file} cannot be written: {error.strerror}")
            return False
        return True

    def _store_link_state(self, up: bool) -> None:
        """Keep the link state of a stored remote port for the agent's next start."""
        try:
            record = json.loads(read_file(self._file, _MOST_FILE))
        except (OSError, ValueError):
            return
        if not isinstance(record, dict) or record.get("type") != _REMOTE:
            return
        if up:
            record["link-state"] = 1
        else:
            record.pop("link-state", None)
        self._store(json.dumps(record))

    # The agent and the datapath

    def _request(self, method: str, path: str, body: str) -> tuple[int, str]:
        """Status and body of the answer, status 0 for none. _Unreachable when nobody listens."""
        options = self._options
        client = self._client
        try:
            client.connect()
        except (OSError, UnicodeError) as error:  # UnicodeError: no host can have this name
            raise _Unreachable(
                f"connection error: agent on {options.agent_host} port {options.agent_port}: "
                f"{getattr(error, 'strerror', None) or error}"
            ) from None
        try:
            client.request(method, path, body.encode(), self._headers)
            reply = client.getresponse()
            return reply.status, reply.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, f"no answer from {options.agent_host} port {options.agent_port}: {error!r}"
        finally:
            client.close()

    def _await_datapath(self) -> None:
        if not self._options.vhostuser_socket:
            raise UsageError("--vif_type=VhostUser needs --vhostuser_socket")
        waits = self._waits
        self._await(
            waits.agent, 1.0, self._agent_listens, _Exit(_AGENT_NEVER_OPENED, "no agent listens")
        )
        self._await(
            waits.datapath,
            0.1,
            lambda: os.path.exists(waits.datapath_socket),
            _Exit(_DATAPATH_ABSENT, f"{waits.datapath_socket} did not appear"),
        )

    def _agent_listens(self) -> bool:
        try:
            address = (self._options.agent_host, self._options.agent_port)
            socket.create_connection(address, 1.0).close()
        except OSError:
            return False
        return True

    @staticmethod
    def _await(seconds: float, step: float, done: Callable[[], bool], failure: _Exit) -> None:
        give_up = time.monotonic() + seconds
        while not done():
            if time.monotonic() >= give_up:
                raise failure
            time.sleep(step)


def main(arguments: Sequence[str] | None = None, waits: Waits | None = None) -> int:
    """Run the tool; the exit code tells callers what happened (docs/port-api.md)."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    try:
        return _Control(options, waits or Waits()).run()
    except UsageError as error:
        print(f"vrouter-port-control: {error}", file=sys.stderr)
        return _FAILED
    except _Exit as error:
        print(error)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
