"""The configuration file as one table: section, option, type, default, check.

The file is the INI file of the reference agent (facts oper-db.md section 7), so that
an operator keeps the one he has. `parse` takes its text; nothing here opens files.
Our own additions are the section STANDALONE and a few options marked "ours".
"""

from __future__ import annotations

import configparser
import copy
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address
from typing import Any, TypeVar

from agent.errors import ConfigError
from agent.inputs import SimpleGateway

T = TypeVar("T")
Convert = Callable[[str], Any]


def _text(text: str) -> str:
    return text.strip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _flag(text: str) -> bool:
    value = text.strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise ValueError("expected true or false")


def _number(low: int, high: int) -> Convert:
    def convert(text: str) -> int:
        try:
            value = int(text.strip())
        except ValueError:
            raise ValueError("expected a whole number") from None
        if not low <= value <= high:
            raise ValueError(f"expected {low} to {high}")
        return value

    return convert


_COUNT = _number(0, 2**32 - 1)
_PORT = _number(0, 65535)
_PEER_PORT = _number(1, 65535)


def _one_of(*words: str) -> Convert:
    def convert(text: str) -> str:
        for word in words:
            if text.strip().lower() == word.lower():
                return word
        raise ValueError(f"expected one of {', '.join(words)}")

    return convert


def _pairs(text: str) -> dict[str, str]:
    pairs = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ValueError("expected NAME=VALUE, several with blanks between")
        pairs[name] = value
    return pairs


def _some_of(*words: str) -> Convert:
    one = _one_of(*words)

    def convert(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one(word) for word in text.split()))

    return convert


def _interface_address(text: str) -> IPv4Interface | None:
    if not text.strip():
        return None
    if "/" not in text:
        raise ValueError("expected ADDRESS/LENGTH, such as 10.0.0.1/24")
    return IPv4Interface(text.strip())


def _device(text: str) -> str:
    if not re.fullmatch(r"[^\s/]{1,15}", text.strip()):
        raise ValueError("expected the name of a network interface")
    return text.strip()


def _listen_address(text: str) -> str:
    return str(ip_address(text.strip()))


def _addresses(text: str) -> tuple[IPv4Address, ...]:
    return tuple(IPv4Address(word) for word in text.split())


def _networks(text: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(word, strict=False) for word in text.split())


@dataclass(frozen=True, slots=True)
class Server:
    """A peer's address and TCP port."""

    address: IPv4Address
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


def _servers(default_port: int) -> Convert:
    def convert(text: str) -> tuple[Server, ...]:
        servers = []
        for word in text.split():
            address, colon, port = word.partition(":")
            number = _PEER_PORT(port) if colon else default_port
            servers.append(Server(IPv4Address(address), number))
        return tuple(servers)

    return convert


def _port_range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", text)
    if not match or not int(match[1]) <= int(match[2]) <= 65535:
        raise ValueError('expected a port range "a-b"')
    return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table; `default` is text, converted like the file's."""

    section: str
    name: str
    convert: Convert
    default: str


def _options(section: str, *rows: tuple[str, Convert, str]) -> Iterator[Option]:
    return (Option(section, *row) for row in rows)


TABLE: tuple[Option, ...] = (
    *_options(
        "CONTROL-NODE",
        ("servers", _servers(5269), ""),
        ("subcluster_name", _text, ""),
    ),
    *_options(
        "DEFAULT",
        ("agent_base_directory", _text, "/var/lib/contrail"),
        ("agent_mock", _flag, "false"),
        ("agent_mode", _text, "vrouter"),
        ("agent_name", _text, ""),
        ("collectors", _servers(8086), ""),
        ("derived_stats", _words, ""),
        ("dhcp_relay_mode", _flag, "false"),
        ("flow_cache_timeout", _COUNT, "0"),
        ("gateway_mode", _text, "none"),
        ("hostname", _text, ""),
        ("http_server_ip", _listen_address, "127.0.0.1"),  # ours
        ("http_server_port", _PORT, "8085"),
        ("log_category", _text, ""),
        ("log_file", _text, ""),
        ("log_file_size", _COUNT, "0"),
        ("log_files_count", _COUNT, "0"),
        ("log_flow", _flag, "false"),
        ("log_format", _one_of("keyvalue", "json"), "keyvalue"),  # ours
        ("log_level", _text, "SYS_NOTICE"),
        ("log_levels", _pairs, ""),  # ours: MODULE=LEVEL
        ("log_local", _flag, "false"),
        ("log_property_file", _text, ""),
        ("log_rate", _COUNT, "20"),  # ours: lines of one event in ten seconds; 0: all
        ("measure_queue_delay", _flag, "false"),
        ("min_aap_prefix_len", _number(0, 32), "24"),
        ("mirror_client_port", _PORT, "8097"),
        ("mvpn_ipv4_enable", _flag, "false"),
        ("physical_interface_address", _words, ""),
        ("physical_interface_mac", _words, ""),
        ("pkt0_tx_buffers", _COUNT, "1000"),
        ("platform", _text, ""),
        ("rest_ip", _listen_address, "127.0.0.1"),  # ours
        ("rest_port", _PORT, "9091"),
        ("sandesh_send_rate_limit", _COUNT, "0"),
        ("simulate_evpn_tor", _flag, "false"),
        ("stale_interface_cleanup_timeout", _COUNT, "60"),
        ("stall_exit", _COUNT, "0"),  # ours: end after so many seconds of a standing loop; 0: never
        ("statistics_interval", _number(1, 3600), "10"),  # ours, seconds
        ("subnet_hosts_resolvable", _flag, "true"),
        ("syslog_facility", _text, "LOG_LOCAL0"),
        ("tsn_servers", _words, ""),
        ("tunnel_type", _one_of("MPLSoGRE", "MPLSoUDP", "VXLAN"), "MPLSoGRE"),
        ("use_syslog", _flag, "false"),
        ("vmi_vm_vn_uve_interval", _COUNT, "30"),
        ("vr_object_high_watermark", _number(0, 100), "80"),
        ("xmpp_auth_enable", _flag, "false"),
        ("xmpp_ca_cert", _text, "/etc/contrail/ssl/certs/ca-cert.pem"),
        ("xmpp_dns_auth_enable", _flag, "false"),
        ("xmpp_server_cert", _text, "/etc/contrail/ssl/certs/server.pem"),
        ("xmpp_server_key", _text, "/etc/contrail/ssl/private/server-privkey.pem"),
    ),
    *_options(
        "AGENT-TEST-FRAMEWORK",
        ("ksocketdir", _text, "/tmp/"),
        ("mock_dpdk", _flag, "false"),
    ),
    *_options("CRYPT", ("crypt_interface", _text, "")),
    *_options(
        "DNS",
        ("dns_client_port", _PORT, "8098"),
        ("dns_max_retries", _COUNT, "2"),
        ("dns_timeout", _COUNT, "3000"),
        ("servers", _servers(8093), ""),
    ),
    *_options(
        "FLOWS",
        ("add_tokens", _COUNT, "50"),
        ("del_tokens", _COUNT, "16"),
        ("dropped_timeout", _COUNT, "0"),  # ours, seconds; 0: flow_cache_timeout
        ("fabric_snat_hash_table_size", _COUNT, "4096"),
        ("hash_exclude_router_id", _flag, "false"),
        ("index_sm_log_count", _COUNT, "0"),
        ("ksync_tokens", _COUNT, "25"),
        ("latency_limit", _COUNT, "0"),
        ("max_aggregates_per_session_endpoint", _COUNT, "8"),
        ("max_endpoints_per_session_msg", _COUNT, "5"),
        ("max_sessions_per_aggregate", _COUNT, "100"),
        ("max_system_linklocal_flows", _COUNT, "16384"),
        ("max_vm_flows", _text, ""),
        ("max_vm_linklocal_flows", _COUNT, "16384"),
        ("tcp_closed_timeout", _COUNT, "10"),  # ours, as dropped_timeout
        ("tcp_half_open_timeout", _COUNT, "60"),  # ours, as dropped_timeout
        ("thread_count", _COUNT, "1"),
        ("trace_enable", _flag, "true"),
        ("update_tokens", _COUNT, "16"),
    ),
    *_options(
        "HYPERVISOR",
        ("type", _one_of("kvm", "xen", "vmware", "docker"), "kvm"),
        ("vmware_mode", _text, "esxi_neutron"),
        ("vmware_physical_interface", _text, ""),
        ("vmware_physical_port", _text, ""),
        ("xen_ll_interface", _text, ""),
        ("xen_ll_ip", _text, ""),
    ),
    *_options(
        "LLGR",
        ("config_fallback_time", _COUNT, "900"),
        ("config_inactivity_time", _COUNT, "15"),
        ("config_poll_time", _COUNT, "5"),
        ("disable", _flag, "false"),
        ("end_of_rib_rx_fallback_time", _COUNT, "60"),
        ("end_of_rib_tx_fallback_time", _COUNT, "60"),
        ("end_of_rib_tx_inactivity_time", _COUNT, "15"),
        ("end_of_rib_tx_poll_time", _COUNT, "5"),
        ("llgr_stale_time", _COUNT, "2592000"),
        ("stale_config_cleanup_time", _COUNT, "100"),
    ),
    *_options(
        "MAC-LEARNING",
        ("add_tokens", _COUNT, "256"),
        ("del_tokens", _COUNT, "256"),
        ("thread_count", _COUNT, "1"),
        ("update_tokens", _COUNT, "256"),
    ),
    *_options(
        "METADATA",
        ("metadata_ca_cert", _text, ""),
        ("metadata_client_cert", _text, ""),
        ("metadata_client_cert_type", _text, "PEM"),
        ("metadata_client_key", _text, ""),
        ("metadata_proxy_port", _PORT, "8097"),
        ("metadata_proxy_secret", _text, ""),
        ("metadata_use_ssl", _flag, "false"),
    ),
    *_options("NETWORKS", ("control_network_ip", _text, "")),
    *_options("NEXTHOP-SERVER", ("add_pid", _flag, "false"), ("endpoint", _text, "")),
    *_options("QOS", ("priority_tagging", _flag, "true")),
    *_options(
        "RESTART",
        ("backup_count", _COUNT, "2"),
        ("backup_dir", _text, "/var/lib/contrail/backup"),
        ("backup_enable", _flag, "false"),
        ("backup_idle_timeout", _COUNT, "10000"),
        ("huge_page_1G", _words, ""),
        ("huge_page_2M", _words, ""),
        ("reset", _flag, "false"),  # ours: wipe the datapath at start instead of adopting it
        ("restore_audit_timeout", _COUNT, "15000"),
        ("restore_enable", _flag, "true"),
    ),
    *_options(
        "SANDESH",
        ("disable_object_logs", _flag, "false"),
        ("introspect_ssl_enable", _flag, "false"),
        ("sandesh_ca_cert", _text, "/etc/contrail/ssl/certs/ca-cert.pem"),
        ("sandesh_certfile", _text, "/etc/contrail/ssl/certs/server.pem"),
        ("sandesh_keyfile", _text, "/etc/contrail/ssl/private/server-privkey.pem"),
        ("sandesh_ssl_enable", _flag, "false"),
    ),
    *_options(
        "SERVICE-INSTANCE",
        ("docker_command", _text, ""),
        ("lb_ssl_cert_path", _text, ""),
        ("lbaas_auth_conf", _text, ""),
        ("netns_command", _text, ""),
        ("netns_timeout", _COUNT, "0"),
        ("netns_workers", _COUNT, "0"),
    ),
    *_options(
        "SERVICES",
        ("bgp_as_a_service_port_range", _port_range, "50000-50512"),
        ("bgpaas_max_shared_sessions", _COUNT, "4"),
        ("queue_limit", _number(1, 2**20), "1024"),
    ),
    *_options(
        "SESSION",
        ("ipfix_collector", _servers(4739), ""),  # ours
        ("sample_destination", _some_of("collector", "file", "syslog"), "collector"),
        ("sessions_file", _text, "/var/log/contrail/vrouter-sessions.json"),  # ours
        ("sessions_file_size", _COUNT, "104857600"),  # ours, bytes; 0: no limit
        ("sessions_files_count", _number(1, 1000), "5"),  # ours
        ("slo_destination", _some_of("collector", "file", "syslog"), "collector"),
        ("syslog_server", _servers(514), ""),  # ours; none: the host's own
    ),
    *_options(
        "STANDALONE",  # ours: configuration from a topology file instead of controllers
        ("host", _text, ""),
        ("topology", _text, ""),
    ),
    *_options(
        "TASK",
        ("flow_netlink_pin_cpuid", _COUNT, "0"),
        ("ksync_thread_cpu_pin_policy", _text, ""),
        ("log_exec_threshold", _COUNT, "0"),
        ("log_schedule_threshold", _COUNT, "0"),
        ("task_monitor_timeout", _COUNT, "20000"),
        ("tbb_keepawake_timeout", _COUNT, "20000"),
        ("thread_count", _COUNT, "8"),
    ),
    *_options(
        "VIRTUAL-HOST-INTERFACE",
        ("compute_node_address", _addresses, ""),
        ("eth_port_encap_type", _text, ""),
        ("eth_port_no_arp", _flag, "false"),
        ("gateway", _addresses, ""),
        ("ip", _interface_address, ""),
        ("loopback_ip", _text, ""),
        ("name", _device, "vhost0"),
        ("physical_interface", _words, ""),
        ("physical_interface_addr", _words, ""),
        ("physical_port_routes", _words, ""),
    ),
)

# Sections that carry a number or free keys in place of a fixed set of options.
_FREE_SECTIONS = re.compile(r"QUEUE-\w+|QOS-NIANTIC|PG-\w+|TRACEBUFFSIZE")
_GATEWAY = re.compile(r"GATEWAY-\w+")
_GATEWAY_OPTIONS = ("interface", "routing_instance", "ip_blocks", "routes")


class Settings:
    """Checked values by section and option; immutable."""

    __slots__ = ("_values", "gateways", "trace_sizes", "unknown")

    def __init__(
        self,
        values: Mapping[tuple[str, str], Any],
        gateways: tuple[SimpleGateway, ...],
        unknown: tuple[str, ...],
        trace_sizes: Mapping[str, int],
    ) -> None:
        self._values = values
        self.trace_sizes = trace_sizes
        """Lines of trace buffers by name, from [TRACEBUFFSIZE]."""
        self.gateways = gateways
        """The simple gateways of [GATEWAY-n], one an interface."""
        self.unknown = unknown
        """Warnings on options that the table does not know, for the log."""

    def get(self, section: str, option: str, kind: type[T]) -> T:
        """The value of a known option, which must be of type `kind`."""
        value = self._values[section, option]
        if not isinstance(value, kind):
            raise TypeError(f"[{section}] {option} is {type(value).__name__}, not {kind.__name__}")
        return value

    def optional(self, section: str, option: str, kind: type[T]) -> T | None:
        """As `get`, for options that may be unset."""
        return None if self._values[section, option] is None else self.get(section, option, kind)

    def named(self, host: str) -> Settings:
        """These settings, with `host` as the agent's name where none is configured."""
        if self.get("DEFAULT", "agent_name", str) or self.get("DEFAULT", "hostname", str):
            return self
        named = copy.copy(self)
        named._values = {**self._values, ("DEFAULT", "agent_name"): host}
        return named


def _read(text: str, source: str) -> configparser.ConfigParser:
    # The reference file has a section DEFAULT of its own, so the parser's special one is renamed.
    parser = configparser.ConfigParser(
        interpolation=None, strict=True, default_section="\0none", inline_comment_prefixes=("#",)
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text, source)
    except configparser.Error as error:
        raise ConfigError(" ".join(str(error).split())) from None
    return parser


def _unknown(parser: configparser.ConfigParser, source: str) -> Iterator[str]:
    known: dict[str, list[str]] = {}
    for option in TABLE:
        known.setdefault(option.section, []).append(option.name)
    for section in parser.sections():
        if _FREE_SECTIONS.fullmatch(section):
            continue
        names = list(_GATEWAY_OPTIONS) if _GATEWAY.fullmatch(section) else known.get(section)
        if names is None:
            yield f"{source}: unknown section [{section}]{_hint(section.upper(), known)}"
            continue
        for name in parser[section]:
            if name not in names:
                yield f"{source}: unknown option {name!r} in [{section}]{_hint(name, names)}"


def _hint(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _gateways(parser: configparser.ConfigParser, source: str) -> tuple[SimpleGateway, ...]:
    """A section without options, as files come with, is no gateway."""
    found: dict[str, SimpleGateway] = {}
    for section in filter(_GATEWAY.fullmatch, parser.sections()):
        if not parser[section]:
            continue
        row = _gateway(parser[section], f"{source}: [{section}]")
        if row.interface in found:
            raise ConfigError(f"{source}: [{section}] interface = {row.interface}: named before")
        found[row.interface] = row
    return tuple(found.values())


def _gateway(section: Mapping[str, str], place: str) -> SimpleGateway:
    names = section.get("interface", "").strip(), section.get("routing_instance", "").strip()
    for option, value in zip(_GATEWAY_OPTIONS, names, strict=False):
        if not value:
            raise ConfigError(f"{place} {option} is missing")
    prefixes = []
    for option in _GATEWAY_OPTIONS[2:]:
        value = section.get(option, "")
        try:
            prefixes.append(_networks(value))
        except ValueError as error:
            raise ConfigError(f"{place} {option} = {value}: {error}") from None
    return SimpleGateway(*names, *prefixes)


def _trace_sizes(parser: configparser.ConfigParser, source: str) -> dict[str, int]:
    sizes = {}
    section = parser["TRACEBUFFSIZE"] if parser.has_section("TRACEBUFFSIZE") else {}
    for name, value in section.items():
        try:
            sizes[name] = _COUNT(value)
        except ValueError as error:
            place = f"{source}: [TRACEBUFFSIZE] {name} = {value}"
            raise ConfigError(f"{place}: {error}") from None
    return sizes


def parse(text: str, source: str = "configuration") -> Settings:
    """Check the text of a configuration file.

    ConfigError names file, section, option, the value found and what was expected.
    Unknown options do not fail (files of other versions must load); see `Settings.unknown`.
    """
    parser = _read(text, source)
    values: dict[tuple[str, str], Any] = {}
    for option in TABLE:
        found = parser.get(option.section, option.name, fallback=option.default)
        try:
            values[option.section, option.name] = option.convert(found)
        except ValueError as error:
            raise ConfigError(
                f"{source}: [{option.section}] {option.name} = {found}: {error}"
            ) from None
    unknown = tuple(_unknown(parser, source))
    return Settings(values, _gateways(parser, source), unknown, _trace_sizes(parser, source))
