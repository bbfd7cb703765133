"""Topology files as users write them: errors name the file and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.io.files import parse_topology, read_topology

GOOD = """\
hosts:
  host1: {}
networks:
  red: &red
    subnet: 10.1.1.0/24
  blue:
    <<: *red
    subnet: 10.2.2.0/24
    dhcp_options:
      interface-mtu: 1400
      42: 10.2.2.9
vms:
  red1: {network: red, address: 10.1.1.3}
"""


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "topology.yaml"
    path.write_text(GOOD)
    topology = read_topology(path)
    assert [str(one.subnets[0].prefix) for one in topology.networks.values()] == [
        "10.1.1.0/24",
        "10.2.2.0/24",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("subnet: 10.1.1.0/24", "subnet: ten", "^t.yaml:5: networks.red.subnet: "),
        ("address: 10.1.1.3", "adress: 10.1.1.3", "^t.yaml:13: vms.red1.adress: unknown key"),
        ("address: 10.1.1.3", "mac: 1", "^t.yaml:13: vms.red1: 'address' is missing"),
        ("interface-mtu", "interface-mut", "^t.yaml:10: .*interface-mut: no DHCP option has"),
        ("interface-mtu", "subnet-mask", "^t.yaml:10: .*option 1 is for the server to set"),
        ("42: 10.2.2.9", "42: ntp", "^t.yaml:11: .*'ntp' is no value of type ips"),
        ("  blue:", "  red:", "^t.yaml:6: not YAML: 'red' stands there twice"),
        ("  host1: {}", "\thost1: {}", "^t.yaml:2: not YAML: .*cannot start any token"),
        ("vms:", "vms: [", "^t.yaml:1[34]: not YAML: "),
        ("vms:", "machines:", "^t.yaml:12: machines: unknown key 'machines'"),
        (GOOD, "", "^t.yaml: topology: expected a mapping, found None"),
        (GOOD, "[" * 5000, "^t.yaml: not YAML: "),
        ("hosts:", "2001-99-99: 1\nhosts:", "^t.yaml: not YAML: month"),
    ],
)
def test_errors_name_the_line(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_topology(GOOD.replace(old, new, 1), "t.yaml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "topology.yaml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_topology(path)
    with pytest.raises(ConfigError, match=r"gone\.yaml: No such file"):
        read_topology(tmp_path / "gone.yaml")
