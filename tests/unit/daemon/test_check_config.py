"""`vrouter-agent check-config`: everything that is found, with its place; the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.daemon.check_config import OK, WARNED, WRONG

FABRIC = "[VIRTUAL-HOST-INTERFACE]\nphysical_interface = eth0\n"
GOOD = f"[CONTROL-NODE]\nservers = 10.0.0.5\n{FABRIC}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.conf"


def found(file: Path, text: str, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The lines that are written of a text, without the file's name."""
    file.write_text(text)
    main(["check-config", str(file), *words])
    return [line.replace(f"{file}: ", "") for line in capsys.readouterr().out.splitlines()]


def test_all_findings_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "[DEFAULT]\nrest_port = many\ntunnel_type = ipip\ncollector = 10.0.0.1\n"
        "[GATEWAY-0]\ninterface = vgw\nrotes = x\n[TASK]\nthread_count = 2\n[WHAT]\n"
    )
    assert found(file, text, capsys) == [
        "error: [DEFAULT] rest_port = many: expected a whole number (line 2)",
        "error: [DEFAULT] tunnel_type = ipip: expected one of MPLSoGRE, MPLSoUDP, VXLAN (line 3)",
        "error: [GATEWAY-0] routing_instance is missing; expected a name",
        "warning: unknown option 'collector' in [DEFAULT]; did you mean 'collectors'? (line 4)",
        "warning: unknown option 'rotes' in [GATEWAY-0]; did you mean 'routes'? (line 7)",
        "warning: unknown section [WHAT] (line 10)",
        "note: [TASK] thread_count has no effect in this agent (line 9)",
        "3 errors, 3 warnings, 1 note",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "error: [VIRTUAL-HOST-INTERFACE] physical_interface is missing: name the fabric"),
        (f"{GOOD}[STANDALONE]\ntopology = /none.yaml\n", "error: /none.yaml: No such file"),
        (f"{GOOD}[DEFAULT]\nlog_level = LOUD\n", "error: [DEFAULT] log_level, log_levels or"),
        (f"{GOOD}[DEFAULT]\nlog_levels = moon=SYS_ERR\n", "error: [DEFAULT] log_level, log_"),
        (f"{GOOD}[DEFAULT]\nsyslog_facility = x\n", "error: [DEFAULT] syslog_facility = x: exp"),
        (
            f"{GOOD}[DEFAULT]\nxmpp_auth_enable = 1\nxmpp_ca_cert = /none.pem\n",
            "error: [DEFAULT] xmpp_ca_cert = /none.pem",
        ),
        (
            f"{GOOD}[SANDESH]\nsandesh_ssl_enable = 1\nsandesh_ca_cert = /none.pem\n",
            "error: [SANDESH] sandesh_ca_cert = /none.pem",
        ),
        (
            f"{GOOD.strip()} eth1 eth2\n",
            "warning: [VIRTUAL-HOST-INTERFACE] physical_interface: eth0 is used alone, not eth1",
        ),
        (
            f"{GOOD}[RESTART]\nhuge_page_1G = /one\n",
            "error: [RESTART] huge_page_1G = /one: expected two files by their whole names",
        ),
        (FABRIC, "warning: there is no source of configuration: set [CONTROL-NODE] servers"),
        ("no section", "error: neither [SECTION] nor OPTION = VALUE: line 1"),
    ],
)
def test_what_the_file_refers_to_is_looked_at(
    text: str, line: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [one for one in found(file, text, capsys) if one.startswith(line)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GOOD, OK),
        (f"{GOOD}[TASK]\nthread_count = 2\n", OK),
        (f"{GOOD}[DEFAULT]\nwhat = 1\n", WARNED),
        (f"{GOOD}[DEFAULT]\nwhat = 1\nrest_port = x\n", WRONG),
    ],
)
def test_exit_codes(text: str, code: int, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(text)
    assert main(["check-config", str(file)]) == code
    assert str(file) in capsys.readouterr().out


def test_a_missing_file_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", str(file)]) == WRONG
    assert f"error: {file}: No such file or directory" in capsys.readouterr().out


def test_what_stands_before_the_file_is_named_and_secrets_are_not_shown(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VROUTER_AGENT_METADATA_METADATA_PROXY_SECRET", "hush")
    monkeypatch.setenv("VROUTER_AGENT_DEFAULT_HTTP_SERVER_PORT", "x")
    file.write_text(f"{GOOD}[DEFAULT]\nrest_port = x\n")
    words = [str(file), "--json", "--DEFAULT.rest_port", "70000"]
    assert main(["check-config", *words]) == WRONG
    out = capsys.readouterr().out
    assert "hush" not in out
    record = json.loads(out)
    assert record["starts"] is False
    told = {
        (one["severity"], one["file"], one["option"], one["value"], one["line"])
        for one in record["findings"]
    }
    assert told == {
        ("error", "--DEFAULT.rest_port", "rest_port", "70000", None),
        ("error", "VROUTER_AGENT_DEFAULT_HTTP_SERVER_PORT", "http_server_port", "x", None),
        (
            "note",
            "VROUTER_AGENT_METADATA_METADATA_PROXY_SECRET",
            "metadata_proxy_secret",
            "(hidden)",
            None,
        ),
    }
    first = record["findings"][0]
    assert first["problem"] == "expected a whole number"
    assert first["expected"] == "a whole number, 0 to 65535"


def test_wrong_words_end_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--DEFAULT.rest_prot", "1"]) == WRONG
    assert "did you mean --DEFAULT.rest_port?" in capsys.readouterr().err
