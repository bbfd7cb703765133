"""The configuration file: types, defaults, and errors that say where they are."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.inputs import SimpleGateway
from agent.settings import TABLE, Server, Settings, examine, parse

GATEWAY = "[GATEWAY-0]\ninterface = vgw\nrouting_instance = a:b:b\n"


def test_an_empty_file_gives_every_default() -> None:
    settings = parse("")
    assert settings.get("DEFAULT", "rest_port", int) == 9091
    assert settings.get("VIRTUAL-HOST-INTERFACE", "name", str) == "vhost0"
    assert settings.optional("VIRTUAL-HOST-INTERFACE", "ip", IPv4Interface) is None
    assert settings.unknown == ()


def test_values_are_converted() -> None:
    settings = parse(
        """
[CONTROL-NODE]
servers = 10.0.0.250:5269 10.0.0.251
[VIRTUAL-HOST-INTERFACE]
ip = 10.0.0.1/24
gateway = 10.0.0.254
physical_interface = eth1
[DEFAULT]
tunnel_type = mplsoudp
xmpp_auth_enable = True
[SERVICES]
bgp_as_a_service_port_range = 50000-50100
"""
    )
    servers = (Server(IPv4Address("10.0.0.250"), 5269), Server(IPv4Address("10.0.0.251"), 5269))
    assert settings.get("CONTROL-NODE", "servers", tuple) == servers
    assert settings.get("VIRTUAL-HOST-INTERFACE", "ip", IPv4Interface).network.prefixlen == 24
    assert settings.get("DEFAULT", "tunnel_type", str) == "MPLSoUDP"
    assert settings.get("DEFAULT", "xmpp_auth_enable", bool) is True
    assert settings.get("SERVICES", "bgp_as_a_service_port_range", tuple) == (50000, 50100)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nrest_port = many\n", ["agent.conf", "[DEFAULT] rest_port = many", "number"]),
        ("[DEFAULT]\nrest_port = 70000\n", ["rest_port", "0 to 65535"]),
        ("[DEFAULT]\ntunnel_type = ipip\n", ["tunnel_type", "MPLSoGRE, MPLSoUDP, VXLAN"]),
        ("[VIRTUAL-HOST-INTERFACE]\nip = 10.0.0.300/24\n", ["[VIRTUAL-HOST-INTERFACE] ip"]),
        ("[VIRTUAL-HOST-INTERFACE]\nip = 10.0.0.1\n", ["ip = 10.0.0.1: expected ADDRESS/LENGTH"]),
        ("[VIRTUAL-HOST-INTERFACE]\nname =\n", ["name = : expected the name of a network"]),
        ("[DEFAULT]\nrest_ip = localhost\n", ["[DEFAULT] rest_ip = localhost: "]),
        ("[CONTROL-NODE]\nservers = host:1:2\n", ["[CONTROL-NODE] servers"]),
        ("[DEFAULT]\nphysical_interface_address = eth0\n", ["such as 0000:04:00.0"]),
        ("[DEFAULT]\nphysical_interface_mac = 00:1b\n", ["not a MAC address: '00:1b'"]),
        (
            "[CONTROL-NODE]\nservers = 10.0.0.1:0\n",
            ["[CONTROL-NODE] servers = 10.0.0.1:0: expected 1 to 65535"],
        ),
        ("[GATEWAY-0]\ninterface = vgw\n", ["agent.conf: [GATEWAY-0] routing_instance is missing"]),
        ("[GATEWAY-0]\nrouting_instance = a:b:b\n", ["[GATEWAY-0] interface is missing"]),
        (f"{GATEWAY}ip_blocks = 1.2.3.4/33\n", ["[GATEWAY-0] ip_blocks = 1.2.3.4/33"]),
        (f"{GATEWAY}routes = ::/0\n", ["[GATEWAY-0] routes = ::/0"]),
        (GATEWAY + GATEWAY.replace("-0", "-1"), ["[GATEWAY-1] interface = vgw: named before"]),
        ("\n\nno option\n", ["agent.conf: neither [SECTION] nor OPTION = VALUE: line 3"]),
        ("[DEFAULT\nrest_port = 1\n", ["neither [SECTION] nor OPTION = VALUE: line 1"]),
        ("[DEFAULT]\nlog_file = a\0b\n", ["agent.conf: a control character: line 2"]),
        (
            "[DEFAULT]\nrest_port = 1\n[DNS]\n[DEFAULT]\nrest_port = 2\n",
            ["[DEFAULT] rest_port = 1, 2: more than one value, on lines 2 and 5"],
        ),
        ("[DEFAULT]\nrest_port = 1_0\n", ["rest_port = 1_0: expected a whole number"]),
        ("[DEFAULT]\nrest_port = \u0661\n", ["expected a whole number"]),
    ],
)
def test_errors_say_where_and_what(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "agent.conf")
    for word in words:
        assert word in str(error.value)


def test_files_of_the_field_are_read_as_the_reference_agent_reads_them() -> None:
    """Comments anywhere, odd blanks and ends of lines, sections and lists in several parts."""
    settings = parse(
        "\ufeff# made by hand\r\n"
        "collectors = 10.0.0.9\r\n"
        "[CONTROL-NODE]#first\r\n"
        "  servers=10.0.0.250\r\n"
        "[METADATA]\r\n"
        "metadata_proxy_secret = abc#def\r\n"
        "\t[CONTROL-NODE]  # once more\r\n"
        "    servers = 10.0.0.251:5270 # and another\r\n"
        "; agent_name = nobody\r\n"
        "[DEFAULT]\n"
        "agent_name=compute1#.example\n"
        "      log_level = SYS_DEBUG\n"
        "log_file = /var/log/a=b:c;d\n"
        "hostname =\n"
        "rest_port = 09191\n"
    )
    servers = (Server(IPv4Address("10.0.0.250"), 5269), Server(IPv4Address("10.0.0.251"), 5270))
    assert settings.get("CONTROL-NODE", "servers", tuple) == servers
    assert settings.get("METADATA", "metadata_proxy_secret", str) == "abc"
    texts = {name: settings.get("DEFAULT", name, str) for name in ("agent_name", "log_level")}
    assert texts == {"agent_name": "compute1", "log_level": "SYS_DEBUG"}
    assert settings.get("DEFAULT", "log_file", str) == "/var/log/a=b:c;d"
    assert settings.get("DEFAULT", "rest_port", int) == 9191
    assert settings.get("DEFAULT", "collectors", tuple) == ()
    assert settings.unknown == ("configuration: option 'collectors' stands before any section",)


def test_what_has_no_effect_ends_no_start() -> None:
    settings = parse(
        "[SERVICES]\nbgp_as_a_service_port_range = 9-1\n[TASK]\nthread_count =\nthread_count = 9\n"
    )
    assert settings.get("SERVICES", "bgp_as_a_service_port_range", tuple) == (50000, 50512)
    assert settings.unused == ("[SERVICES] bgp_as_a_service_port_range", "[TASK] thread_count")


def test_what_has_no_effect_is_told_of_where_it_would_have_had_one() -> None:
    idle = "[DEFAULT]\nagent_mode=vrouter\ntsn_servers = []\nlog_local =\n[TASK]\nthread_count=08\n"
    assert parse(idle).unused == ()
    assert parse(idle.replace("=vrouter", "=tor")).unused == ("[DEFAULT] agent_mode",)


def test_what_is_no_configuration_file_at_all_is_soon_refused() -> None:
    found = examine("some words\n" * 1000).findings
    assert len(found) == 101
    assert str(found[-1]) == "configuration: 900 more lines mean nothing"
    (one,) = examine("x" * (1 << 21)).findings
    assert "this is no configuration file" in str(one)


def test_unknown_options_are_named_with_a_suggestion() -> None:
    text = "[DEFAULT]\nrest_prot = 1\n[WHAT]\nx=1\n[QUEUE-3]\nlogical_queue=[1]\n[flow]\n"
    settings = parse(text)
    assert settings.unknown == (
        "configuration: unknown option 'rest_prot' in [DEFAULT]; did you mean 'rest_port'?",
        "configuration: unknown section [WHAT]",
        "configuration: unknown section [flow]; did you mean 'FLOWS'?",
    )


def test_simple_gateways() -> None:
    blocks = "ip_blocks = 1.2.3.4/24 5.6.7.0/24\n"
    settings = parse(f"{GATEWAY}{blocks}rotes = 8.8.8.8\n[GATEWAY-1]\n# interface = vgw1\n")
    subnets = (IPv4Network("1.2.3.0/24"), IPv4Network("5.6.7.0/24"))
    assert settings.gateways == (SimpleGateway("vgw", "a:b:b", subnets, ()),)
    assert settings.unknown == (
        "configuration: unknown option 'rotes' in [GATEWAY-0]; did you mean 'routes'?",
    )


def test_a_value_is_only_given_as_its_own_type() -> None:
    with pytest.raises(TypeError, match="rest_port is int, not str"):
        parse("").get("DEFAULT", "rest_port", str)


def test_no_option_is_listed_twice() -> None:
    names = [(option.section, option.name) for option in TABLE]
    assert len(names) == len(set(names))


@given(st.text(max_size=200))
def test_any_text_parses_or_is_a_configuration_error(text: str) -> None:
    try:
        result = parse(text)
    except ConfigError:
        return
    assert isinstance(result, Settings)


def test_sizes_of_trace_buffers() -> None:
    settings = parse("[TRACEBUFFSIZE]\nXmpp = 50\nmy buffer = 7\n")
    assert settings.trace_sizes == {"Xmpp": 50, "my buffer": 7}
    assert parse("").trace_sizes == {}
    with pytest.raises(ConfigError, match=r"\[TRACEBUFFSIZE\] Xmpp = many: expected"):
        parse("[TRACEBUFFSIZE]\nXmpp = many\n")


def test_levels_of_modules() -> None:
    settings = parse("[DEFAULT]\nlog_levels = xmpp=SYS_DEBUG flow=SYS_ERR\n")
    assert settings.get("DEFAULT", "log_levels", dict) == {"xmpp": "SYS_DEBUG", "flow": "SYS_ERR"}
