"""What becomes of a reference agent's host: said before anything is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.daemon.check_config import WRONG
from agent.daemon.check_upgrade import OK, PARTLY
from tests.unit.backup import reference_files

PORT = "93c2c386-6e79-485e-bfa4-b9daa713133b"
# The old client's file of facts rest-api.md 9.2, for an interface that every host has.
STORED = {
    "ip-address": "11.0.0.3",
    "tx-vlan-id": -1,
    "display-name": "vm1",
    "id": PORT,
    "instance-id": "69ce06bd-6d1e-43d0-8e48-a30043a49ed8",
    "ip6-address": "None",
    "rx-vlan-id": -1,
    "system-name": "lo",
    "vn-id": "56297dc0-5553-4e6a-b87f-8423afc21e9d",
    "vm-project-id": "9970147c-33b1-4bf7-8944-8968e708d430",
    "type": 0,
    "mac-address": "02:93:c2:c3:86:6e",
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with one port and backups; the file that says so."""
    for name in ("ports/vm/vm1", "backup"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ports" / PORT).write_text(json.dumps(STORED))
    (tmp_path / "ports" / "multus").mkdir()
    file = tmp_path / "agent.conf"
    file.write_text(
        "[CONTROL-NODE]\nservers = 10.0.0.250:5269\n"
        f"[DEFAULT]\nagent_base_directory = {tmp_path}\n"
        "[VIRTUAL-HOST-INTERFACE]\nname = vhost0\nip = 10.0.0.1/24\nphysical_interface = eth1\n"
        f"[RESTART]\nbackup_enable = true\nbackup_dir = {tmp_path}/backup\n"
    )
    return file


def told(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[dict[str, str]]]:
    code = main(["check-upgrade", *map(str, words), "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["starts"] is (code != WRONG)
    return code, record["items"]


def of(items: list[dict[str, str]], part: str, fate: str) -> list[str]:
    return [one["what"] for one in items if (one["part"], one["fate"]) == (part, fate)]


def everything(folder: Path) -> dict[Path, bytes | None]:
    return {one: one.read_bytes() if one.is_file() else None for one in folder.rglob("*")}


def test_a_plain_host_is_kept_whole(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(host.parent)
    code, items = told(capsys, host)
    assert code == OK
    assert [one["fate"] for one in items] == ["kept"] * 3
    assert of(items, "ports", "kept") == [f"1 of 1 in {host.parent}/ports"]
    assert everything(host.parent) == before


def test_a_backup_is_kept_but_for_what_has_no_use(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = host.parent / "backup"
    reference_files.write(folder)
    (folder / "contrail_vrf_resource-1").write_bytes(b"damaged")
    code, items = told(capsys, host)
    assert code == PARTLY
    kept = " ".join(of(items, "backup", "kept"))
    for words in ("6 label", "1 label", "2 vrf", "1 vif", "1 mirror"):
        assert words in kept
    left = " ".join(of(items, "backup", "left"))
    assert "contrail_vrf_resource-1: the content is not that of the checksum" in left
    assert f"number 1: QoS map {reference_files.PORT}" in left
    assert "number 40: a label of tag 7" in left


def test_a_backup_that_is_not_read(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference_files.write(host.parent / "backup")
    host.write_text(host.read_text().replace("backup_enable = true", "backup_enable = false"))
    code, items = told(capsys, host)
    assert code == PARTLY
    found = next(one for one in items if "is not read" in one["what"])
    assert found["hint"] == "set [RESTART] backup_enable = true"


def test_a_backup_that_others_could_have_written(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference_files.write(host.parent / "backup")
    (host.parent / "backup").chmod(0o777)
    code, items = told(capsys, host)
    assert code == PARTLY
    assert any("everybody may write there" in one for one in of(items, "backup", "left"))


def test_ports_that_are_not_taken_over(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "93c2c386-6e79-485e-bfa4-000000000001"
    gone = {**STORED, "id": other, "system-name": "tap-gone"}
    (host.parent / "ports" / other).write_text(json.dumps(gone))
    (host.parent / "ports" / "vm" / "vm1" / PORT).write_text("{")
    code, items = told(capsys, host)
    assert code == PARTLY
    assert of(items, "ports", "kept") == [f"1 of 3 in {host.parent}/ports"]
    left = of(items, "ports", "left")
    assert len(left) == 2
    assert any(f"stored port {other} is skipped" in one for one in left)
    assert any(f"vm/vm1/{PORT}" in one for one in left)


def test_no_directory_of_ports(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, items = told(capsys, host, "--ports", host.parent / "nowhere")
    assert code == PARTLY
    assert of(items, "ports", "left") == [f"{host.parent}/nowhere: No such file or directory"]


def test_options_without_effect_come_with_what_is_nearest(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.write_text(
        host.read_text() + "[CRYPT]\ncrypt_interface = ipsec0\n[FLOWS]\nthread_conut = 2\n"
    )
    code, items = told(capsys, host)
    assert code == PARTLY
    idle = next(one for one in items if one["fate"] == "no effect")
    assert idle["what"] == "[CRYPT] crypt_interface"
    assert idle["hint"] == "encrypt the fabric below, by IPsec of the host"
    assert "did you mean 'thread_count'?" in of(items, "configuration", "left")[0]


def test_a_file_as_containers_make_it(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What says no more than the default is not told; what VMs will miss is."""
    host.write_text(
        host.read_text()
        + "[DEFAULT]\nagent_mode=vrouter\ntsn_servers = []\nxmpp_dns_auth_enable=False\n"
        "collectors=10.0.0.1:8086 10.0.0.2:8086\nhttp_server_ip=0.0.0.0\n"
        "[DNS]\nservers=10.0.0.1:53\n[METADATA]\nmetadata_proxy_secret=contrail\n"
        "[HYPERVISOR]\ntype = kvm\n[SESSION]\nslo_destination = collector\n"
    )
    code, items = told(capsys, host)
    assert code == WRONG
    assert (
        "http_server_ip = 0.0.0.0: introspect would be open"
        in of(items, "configuration", "wrong")[0]
    )
    assert of(items, "configuration", "no effect") == [
        "[METADATA] metadata_proxy_secret",
        "[DNS] servers",
    ]
    assert "contrail" not in json.dumps([one for one in items if "METADATA" in one["what"]])
    assert main(["check-upgrade", str(host), "--DEFAULT.http_server_ip", "127.0.0.1"]) == PARTLY


def test_a_host_that_would_not_start(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host.write_text(host.read_text() + "[FLOWS]\nmax_sessions_per_aggregate = many\n")
    code, items = told(capsys, host)
    assert code == WRONG
    assert [one["fate"] for one in items] == ["wrong"]
    assert told(capsys, host.parent / "missing.conf")[0] == WRONG


def test_the_report_is_for_people(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-upgrade", str(host)]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kept: configuration: all of it"
    assert lines[-1] == "3 kept"
