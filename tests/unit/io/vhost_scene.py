"""Run in an empty network namespace: vhost0 is made, of a kind that every kernel has."""

from __future__ import annotations

import errno
import json
import subprocess
from ipaddress import IPv4Interface
from typing import Any

import pytest

from agent.io.vhost_link import make

ADDRESS = IPv4Interface("10.0.0.1/24")
MAC = "02:00:00:00:00:77"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def shown(name: str) -> dict[str, Any]:
    command = ["ip", "-json", "-details", "address", "show", "dev", name]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(found.stdout)[0])


def main() -> None:
    ip("link", "add", "eth7", "address", MAC, "type", "veth", "peer", "name", "far")
    with pytest.raises(OSError, match="there is no interface eth8") as refused:
        make("vhost0", "eth8", ADDRESS, "veth")
    assert refused.value.errno == errno.ENODEV
    with pytest.raises(OSError, match="load the module") as refused:
        make("vhost0", "eth7", ADDRESS, "vhost")
    assert refused.value.errno == errno.EOPNOTSUPP

    assert make("vhost0", "eth7", ADDRESS, "veth") == [
        f"vhost0: made, with the MAC address of eth7, {MAC}",
        "vhost0: has 10.0.0.1/24",
    ]
    made = shown("vhost0")
    assert made["address"] == MAC
    assert made["linkinfo"]["info_kind"] == "veth"
    assert "UP" in made["flags"]
    assert [(one["local"], one["prefixlen"]) for one in made["addr_info"] if one["family"] == "inet"
            ] == [("10.0.0.1", 24)]  # fmt: skip
    assert make("vhost0", "eth7", ADDRESS, "veth") == []

    assert len(make("vhost1", "eth7", ADDRESS, "veth")) == 1  # the address is vhost0's
    assert len(make("vhost2", "eth7", None, "veth")) == 1


if __name__ == "__main__":
    main()
