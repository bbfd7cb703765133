"""What stands before the file: variables and options of the command line."""

from __future__ import annotations

import pytest

from agent.errors import ConfigError
from agent.settings import (
    TABLE,
    Override,
    of_environment,
    of_words,
    parse,
    unknown_variables,
    variable,
)


def test_variables_are_named_after_section_and_option() -> None:
    environment = {
        "VROUTER_AGENT_CONTROL_NODE_SERVERS": "10.0.0.5",
        "VROUTER_AGENT_RESTART_HUGE_PAGE_1G": "/a /b",
        "VROUTER_AGENT_DEFAULT_REST_PROT": "1",
        "PATH": "/bin",
    }
    assert [(one.section, one.option, one.value) for one in of_environment(environment)] == [
        ("CONTROL-NODE", "servers", "10.0.0.5"),
        ("RESTART", "huge_page_1G", "/a /b"),
    ]
    assert [str(one) for one in unknown_variables(environment)] == [
        "environment: unknown variable 'VROUTER_AGENT_DEFAULT_REST_PROT'; "
        "did you mean 'VROUTER_AGENT_DEFAULT_REST_PORT'?"
    ]


def test_no_two_options_share_a_variable() -> None:
    assert len({variable(option) for option in TABLE}) == len(TABLE)


def test_words_of_the_command_line() -> None:
    words = "--run-dir /r --CONTROL-NODE.servers 10.0.0.5 10.0.0.6:1 --DEFAULT.rest_port=7 FILE"
    found, rest = of_words(words.split())
    assert found == [
        Override("CONTROL-NODE", "servers", "10.0.0.5 10.0.0.6:1", "--CONTROL-NODE.servers"),
        Override("DEFAULT", "rest_port", "7", "--DEFAULT.rest_port"),
    ]
    assert rest == ["--run-dir", "/r", "FILE"]


@pytest.mark.parametrize(
    ("words", "value", "rest"),
    [
        (["--DEFAULT.use_syslog"], "true", []),
        (["--DEFAULT.use_syslog", "0"], "0", []),
        (["--DEFAULT.use_syslog", "file"], "true", ["file"]),
        (["--DEFAULT.use_syslog=false"], "false", []),
        (["--DEFAULT.use_syslog", "--json"], "true", ["--json"]),
        (["--DEFAULT.log_level", "SYS_ERR", "file"], "SYS_ERR", ["file"]),
        (["--DEFAULT.log_file="], "", []),
    ],
)
def test_a_switch_needs_no_word_and_one_value_is_one_word(
    words: list[str], value: str, rest: list[str]
) -> None:
    found, others = of_words(words)
    assert [one.value for one in found] == [value]
    assert others == rest


def test_wrong_words_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--DEFAULT.rest_prot; did you mean --DEFAULT.rest_port"):
        of_words(["--DEFAULT.rest_prot", "1"])
    with pytest.raises(ConfigError, match=r"--DEFAULT.rest_port: expected a whole number"):
        of_words(["--DEFAULT.rest_port"])


def test_the_later_stands_before_the_earlier_and_all_before_the_file() -> None:
    overrides = (
        *of_environment({"VROUTER_AGENT_DEFAULT_REST_PORT": "2", "VROUTER_AGENT_DNS_SERVERS": ""}),
        *of_words(["--DEFAULT.rest_port", "3"])[0],
    )
    settings = parse("[DEFAULT]\nrest_port = 1\nhttp_server_port = 4\n", "file", overrides)
    assert settings.get("DEFAULT", "rest_port", int) == 3
    assert settings.get("DEFAULT", "http_server_port", int) == 4


def test_an_error_names_what_gave_the_value_and_no_secret() -> None:
    overrides = of_environment(
        {
            "VROUTER_AGENT_DEFAULT_REST_PORT": "many",
            "VROUTER_AGENT_METADATA_METADATA_PROXY_SECRET": "hush",
        }
    )
    with pytest.raises(
        ConfigError, match=r"^VROUTER_AGENT_DEFAULT_REST_PORT: \[DEFAULT\] rest_port = many: "
    ):
        parse("", "file", overrides)
