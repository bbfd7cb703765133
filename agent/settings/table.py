"""Every option of the configuration file, but those of sections with free keys.

Names and defaults are the reference agent's (facts oper-db.md section 7); `ours` marks our own.
The documentation and the sample file are made from this table by `python -m tools.config_docs`.
"""

from __future__ import annotations

from agent.settings.kinds import (
    ADDRESSES,
    COUNT,
    DEVICE,
    FLAG,
    INTERFACE_ADDRESS,
    LISTEN_ADDRESS,
    MACS,
    PAIRS,
    PCI_DEVICES,
    PORT,
    PORT_RANGE,
    TABLE_FILES,
    TEXT,
    WORDS,
    number,
    one_of,
    servers,
    some_of,
)
from agent.settings.option import Option, fixed, live, section, unused

_CERTS = "/etc/contrail/ssl/certs"
_KEY = "/etc/contrail/ssl/private/server-privkey.pem"
_OUTLETS = some_of("collector", "file", "syslog")

_BASIC = (
    *section(
        "CONTROL-NODE",
        live("servers", servers(5269), "", "controllers; two of them are used"),
        fixed(
            "subcluster_name", TEXT, "", "told to controllers, for clusters that have such parts"
        ),
    ),
    *section(
        "VIRTUAL-HOST-INTERFACE",
        fixed(
            "physical_interface",
            WORDS,
            "",
            "the fabric interface; needed from here or the topology",
        ),
        fixed(
            "ip",
            INTERFACE_ADDRESS,
            "",
            "address of vhost0: the router id and the source of tunnels",
        ),
        live("gateway", ADDRESSES, "", "default gateway of the fabric; the first counts"),
        fixed("name", DEVICE, "vhost0", "the host's own interface"),
        unused("compute_node_address", ADDRESSES, "", "further addresses of the host"),
        unused("eth_port_encap_type", TEXT, "", "encapsulation of the fabric interface"),
        unused("eth_port_no_arp", FLAG, "false", "the fabric interface does without ARP"),
        unused("loopback_ip", TEXT, "", "router id of a host with several fabric interfaces"),
        unused("physical_interface_addr", WORDS, "", "addresses of several fabric interfaces"),
        unused("physical_port_routes", WORDS, "", "routes to the fabric's ports"),
    ),
    *section(
        "STANDALONE",
        live("topology", TEXT, "", "topology file, instead of controllers", ours=True),
        live(
            "host", TEXT, "", "which of its hosts this is; else by name, or the only one", ours=True
        ),
    ),
)

_DEFAULT = section(
    "DEFAULT",
    fixed("agent_base_directory", TEXT, "/var/lib/contrail", "port files live in `ports` below it"),
    fixed("agent_name", TEXT, "", "name of this host, to controllers and in the topology"),
    fixed("hostname", TEXT, "", "the same, where there is no agent_name; else the system's"),
    live("collectors", servers(8086), "", "collectors that are told UVEs and sessions"),
    fixed(
        "dhcp_relay_mode",
        FLAG,
        "false",
        "DHCP of ports in the fabric's network goes to a server there",
    ),
    live(
        "flow_cache_timeout", COUNT, "0", "seconds without a packet until a flow is deleted; 0: 180"
    ),
    fixed("http_host_names", WORDS, "", "further names that web pages ask this host by", ours=True),
    fixed(
        "http_insecure",
        FLAG,
        "false",
        "let everybody in where introspect or the port API listen beyond this host",
        ours=True,
    ),
    fixed(
        "http_rate_limit",
        COUNT,
        "100",
        "requests a second of an address beyond this host; 0: no limit",
        ours=True,
    ),
    fixed(
        "further_capabilities",
        WORDS,
        "",
        "capabilities kept beside NET_ADMIN and NET_RAW, such as DAC_OVERRIDE",
        ours=True,
    ),
    fixed("http_server_ip", LISTEN_ADDRESS, "127.0.0.1", "where introspect listens", ours=True),
    fixed("http_server_port", PORT, "8085", "port of introspect, metrics and the page"),
    live("http_server_token_file", TEXT, "", "file of the token that introspect wants", ours=True),
    live("log_category", TEXT, "", "log this module alone, and errors"),
    live("log_file", TEXT, "", "log into this file instead of standard error"),
    live(
        "log_file_size", COUNT, "0", "KiB after which the file is followed by a new one; 0: never"
    ),
    live("log_files_count", COUNT, "0", "older files that are kept"),
    live("log_format", one_of("keyvalue", "json"), "keyvalue", "form of a line", ours=True),
    live("log_level", TEXT, "SYS_NOTICE", "least severity that is logged"),
    live("log_levels", PAIRS, "", "levels of single modules, as MODULE=LEVEL", ours=True),
    live("log_rate", COUNT, "20", "lines of one event in ten seconds; 0: all", ours=True),
    live("min_aap_prefix_len", number(0, 32), "24", "shortest prefix of an allowed address pair"),
    live("mirror_client_port", PORT, "8097", "UDP port that mirrored packets come from"),
    fixed(
        "physical_interface_address",
        PCI_DEVICES,
        "",
        "PCI address of the fabric interface, with platform = dpdk",
    ),
    fixed("physical_interface_mac", MACS, "", "its MAC address; else that of vhost0 is taken"),
    fixed(
        "platform",
        TEXT,
        "",
        "where the datapath is: dpdk or nic, kernel or host, windows; else it is looked for",
    ),
    fixed("rest_ip", LISTEN_ADDRESS, "127.0.0.1", "where the port API listens", ours=True),
    fixed("rest_port", PORT, "9091", "port of the port API"),
    live(
        "rest_ssl_ca_cert",
        TEXT,
        f"{_CERTS}/ca-cert.pem",
        "authorities of clients of the port API",
        ours=True,
    ),
    live(
        "rest_ssl_certfile",
        TEXT,
        f"{_CERTS}/server.pem",
        "certificate shown to clients of the port API",
        ours=True,
    ),
    fixed(
        "rest_ssl_enable",
        FLAG,
        "false",
        "TLS on the port API, both sides with certificates",
        ours=True,
    ),
    live("rest_ssl_keyfile", TEXT, _KEY, "its key", ours=True),
    live("rest_token_file", TEXT, "", "file of the token that the port API wants", ours=True),
    live("sandesh_send_rate_limit", COUNT, "0", "messages a second beside UVEs; 0: no limit"),
    live(
        "stale_interface_cleanup_timeout",
        COUNT,
        "60",
        "seconds after a resync until what was not posted again is removed",
    ),
    fixed(
        "stall_exit",
        COUNT,
        "0",
        "end after so many seconds of a standing loop; 0: never",
        ours=True,
    ),
    live("statistics_interval", number(1, 3600), "10", "seconds between counters", ours=True),
    live("subnet_hosts_resolvable", FLAG, "true", "hosts of the fabric's prefix are found by ARP"),
    live("syslog_facility", TEXT, "LOG_LOCAL0", "facility of logs and of sessions in syslog"),
    live(
        "tunnel_type",
        one_of("MPLSoGRE", "MPLSoUDP", "VXLAN"),
        "MPLSoGRE",
        "tunnel that is tried first, until the configuration says another",
    ),
    live("use_syslog", FLAG, "false", "log to syslog"),
    live("vmi_vm_vn_uve_interval", COUNT, "30", "seconds between UVEs of one thing"),
    live(
        "vr_object_high_watermark",
        number(0, 100),
        "80",
        "percent of a table above which it is nearly full",
    ),
    fixed("user", TEXT, "", "an agent that root starts goes on as this user", ours=True),
    fixed("xmpp_auth_enable", FLAG, "false", "TLS to controllers, both sides with certificates"),
    live("xmpp_ca_cert", TEXT, f"{_CERTS}/ca-cert.pem", "authorities of controllers"),
    live("xmpp_server_cert", TEXT, f"{_CERTS}/server.pem", "certificate shown to controllers"),
    live("xmpp_server_key", TEXT, _KEY, "its key"),
    live(
        "xmpp_verify_address",
        FLAG,
        "false",
        "certificates of controllers must be for their addresses",
        ours=True,
    ),
    unused("agent_mock", FLAG, "false", "run without a datapath, for the reference's own tests"),
    unused("agent_mode", TEXT, "vrouter", "tsn, tsn-no-forwarding or tor"),
    unused("derived_stats", WORDS, "", "statistics that the reference's library derives"),
    unused("gateway_mode", TEXT, "none", "server, vcpe or pbb"),
    unused("log_flow", FLAG, "false", "log of flows; see [SESSION]"),
    unused("log_local", FLAG, "false", "logs always go where the options above say"),
    unused("log_property_file", TEXT, "", "properties of log4cplus; see log_levels"),
    unused("measure_queue_delay", FLAG, "false", "measurement of the reference's queues"),
    unused("mvpn_ipv4_enable", FLAG, "false", "multicast VPNs"),
    unused("pkt0_tx_buffers", COUNT, "1000", "packets that may wait to be sent"),
    unused("simulate_evpn_tor", FLAG, "false", "test of the reference"),
    unused("tsn_servers", WORDS, "", "ToR services nodes"),
    unused("xmpp_dns_auth_enable", FLAG, "false", "TLS to DNS servers"),
)

_WORK = (
    *section(
        "FLOWS",
        live("dropped_timeout", COUNT, "0", "as flow_cache_timeout, of dropped flows", ours=True),
        live("tcp_closed_timeout", COUNT, "10", "the same, of TCP that both closed", ours=True),
        live("tcp_half_open_timeout", COUNT, "60", "the same, of TCP that is not open", ours=True),
        live("max_system_linklocal_flows", COUNT, "16384", "link-local flows of the host"),
        live("max_vm_flows", TEXT, "", "percent of the flow table that a VM may use; 0: all"),
        live("max_vm_linklocal_flows", COUNT, "16384", "link-local flows of a VM"),
        live("max_aggregates_per_session_endpoint", COUNT, "8", "aggregates of an endpoint told"),
        live("max_endpoints_per_session_msg", COUNT, "5", "endpoints in a message of sessions"),
        live("max_sessions_per_aggregate", COUNT, "100", "sessions of an aggregate told"),
        unused("add_tokens", COUNT, "50", "bound of the reference's queue of new flows"),
        unused("del_tokens", COUNT, "16", "of deleted flows"),
        unused("update_tokens", COUNT, "16", "of changed flows"),
        unused("ksync_tokens", COUNT, "25", "of flows to the datapath"),
        unused("fabric_snat_hash_table_size", COUNT, "4096", "port pools of distributed SNAT"),
        unused("hash_exclude_router_id", FLAG, "false", "balance without the router id"),
        unused("index_sm_log_count", COUNT, "0", "log of the reference's flow indexes"),
        unused("latency_limit", COUNT, "0", "log of slow flow work"),
        unused("thread_count", COUNT, "1", "threads of flows"),
        unused("trace_enable", FLAG, "true", "the reference's trace of flows"),
    ),
    *section(
        "SESSION",
        live("sample_destination", _OUTLETS, "collector", "where sampled sessions go"),
        live(
            "slo_destination", _OUTLETS, "collector", "where sessions go that a rule wants logged"
        ),
        live("ipfix_collector", servers(4739), "", "IPFIX collector of all sessions", ours=True),
        live(
            "sessions_file",
            TEXT,
            "/var/log/contrail/vrouter-sessions.json",
            "the file's name",
            ours=True,
        ),
        live("sessions_file_size", COUNT, "104857600", "its bytes at most; 0: no limit", ours=True),
        live("sessions_files_count", number(1, 1000), "5", "how many of them are kept", ours=True),
        live("syslog_server", servers(514), "", "syslog over UDP; none: the host's own", ours=True),
    ),
    *section(
        "LLGR",
        live("config_fallback_time", COUNT, "900", "seconds until configuration counts as whole"),
        live("config_inactivity_time", COUNT, "15", "the same after its last change"),
        live("config_poll_time", COUNT, "5", "seconds between looks at it"),
        live("end_of_rib_rx_fallback_time", COUNT, "60", "seconds until routes count as whole"),
        live("end_of_rib_tx_fallback_time", COUNT, "60", "seconds until our own count as told"),
        live("end_of_rib_tx_inactivity_time", COUNT, "15", "the same after the last change"),
        live("end_of_rib_tx_poll_time", COUNT, "5", "seconds between looks at them"),
        live(
            "llgr_stale_time", COUNT, "2592000", "seconds for which a lost controller's routes stay"
        ),
        live("stale_config_cleanup_time", COUNT, "100", "seconds until stale configuration goes"),
        unused("disable", FLAG, "false", "the global configuration says whether routes stay"),
    ),
    *section(
        "METADATA",
        live("metadata_proxy_port", PORT, "8097", "port of the metadata proxy"),
        unused("metadata_ca_cert", TEXT, "", "authorities of the metadata service"),
        unused("metadata_client_cert", TEXT, "", "certificate shown to it"),
        unused("metadata_client_cert_type", TEXT, "PEM", "its form"),
        unused("metadata_client_key", TEXT, "", "its key"),
        unused("metadata_proxy_secret", TEXT, "", "signs requests of VMs", secret=True),
        unused("metadata_use_ssl", FLAG, "false", "TLS to the metadata service"),
    ),
    *section(
        "RESTART",
        fixed(
            "reset",
            FLAG,
            "false",
            "wipe the datapath at start instead of adopting what it holds",
            ours=True,
        ),
        fixed("backup_enable", FLAG, "false", "write indexes and labels down, for the next start"),
        fixed("backup_count", COUNT, "2", "files of them that are kept"),
        fixed("backup_dir", TEXT, "/var/lib/contrail/backup", "where they are"),
        fixed(
            "backup_idle_timeout",
            COUNT,
            "10000",
            "milliseconds without a change until they are written; six times that at most",
        ),
        fixed("restore_enable", FLAG, "true", "read them at start, where they are written"),
        fixed(
            "restore_audit_timeout",
            COUNT,
            "15000",
            "milliseconds from complete configuration until those that nothing uses are free",
        ),
        fixed(
            "huge_page_1G",
            TABLE_FILES,
            "",
            "files in a hugetlbfs of 1 GiB pages for the tables of a kernel module just loaded",
        ),
        fixed("huge_page_2M", TABLE_FILES, "", "the same of 2 MiB pages"),
    ),
    *section(
        "SANDESH",
        live(
            "sandesh_ssl_enable", FLAG, "false", "TLS to collectors, both sides with certificates"
        ),
        live("sandesh_ca_cert", TEXT, f"{_CERTS}/ca-cert.pem", "authorities of collectors"),
        live("sandesh_certfile", TEXT, f"{_CERTS}/server.pem", "certificate shown to collectors"),
        live("sandesh_keyfile", TEXT, _KEY, "its key"),
        live(
            "sandesh_verify_address",
            FLAG,
            "false",
            "certificates of collectors must be for their addresses",
            ours=True,
        ),
        unused("disable_object_logs", FLAG, "false", "object logs"),
        fixed(
            "introspect_ssl_enable",
            FLAG,
            "false",
            "TLS on the port of introspect, both sides with certificates",
        ),
    ),
)

_OTHERS = (
    *section(
        "AGENT-TEST-FRAMEWORK",
        unused("ksocketdir", TEXT, "/tmp/", "the reference's own tests"),
        unused("mock_dpdk", FLAG, "false", "the reference's own tests"),
    ),
    *section("CRYPT", unused("crypt_interface", TEXT, "", "interface of an encrypted fabric")),
    *section(
        "DNS",
        unused("servers", servers(8093), "", "DNS servers of controllers"),
        unused("dns_client_port", PORT, "8098", "where their answers come to"),
        unused("dns_max_retries", COUNT, "2", "how often they are asked again"),
        unused("dns_timeout", COUNT, "3000", "milliseconds between"),
    ),
    *section(
        "HYPERVISOR",
        unused(
            "type", one_of("kvm", "xen", "vmware", "docker"), "kvm", "told to collectors, no more"
        ),
        unused("vmware_mode", TEXT, "esxi_neutron", "VMware"),
        unused("vmware_physical_interface", TEXT, "", "VMware"),
        unused("vmware_physical_port", TEXT, "", "VMware"),
        unused("xen_ll_interface", TEXT, "", "Xen"),
        unused("xen_ll_ip", TEXT, "", "Xen"),
    ),
    *section(
        "MAC-LEARNING",
        unused("add_tokens", COUNT, "256", "bound of the reference's queue"),
        unused("del_tokens", COUNT, "256", "the same"),
        unused("thread_count", COUNT, "1", "threads of MAC learning"),
        unused("update_tokens", COUNT, "256", "bound of the reference's queue"),
    ),
    *section("NETWORKS", unused("control_network_ip", TEXT, "", "address on a control network")),
    *section(
        "NEXTHOP-SERVER",
        unused("add_pid", FLAG, "false", "of the nexthop server"),
        unused("endpoint", TEXT, "", "where nexthops are told"),
    ),
    *section("QOS", unused("priority_tagging", FLAG, "true", "VLAN priority on the fabric")),
    *section(
        "SERVICE-INSTANCE",
        unused("docker_command", TEXT, "", "starts service instances"),
        unused("lb_ssl_cert_path", TEXT, "", "certificates of load balancers"),
        unused("lbaas_auth_conf", TEXT, "", "load balancers"),
        unused("netns_command", TEXT, "", "starts service instances"),
        unused("netns_timeout", COUNT, "0", "seconds for that"),
        unused("netns_workers", COUNT, "0", "how many at a time"),
    ),
    *section(
        "SERVICES",
        unused("bgp_as_a_service_port_range", PORT_RANGE, "50000-50512", "BGP as a service"),
        unused("bgpaas_max_shared_sessions", COUNT, "4", "BGP as a service"),
        unused("queue_limit", number(1, 2**20), "1024", "bound of the reference's queues"),
    ),
    *section(
        "TASK",
        unused("flow_netlink_pin_cpuid", COUNT, "0", "threads of the reference"),
        unused("ksync_thread_cpu_pin_policy", TEXT, "", "threads of the reference"),
        unused("log_exec_threshold", COUNT, "0", "threads of the reference"),
        unused("log_schedule_threshold", COUNT, "0", "threads of the reference"),
        unused("task_monitor_timeout", COUNT, "20000", "threads of the reference; see stall_exit"),
        unused("tbb_keepawake_timeout", COUNT, "20000", "threads of the reference"),
        unused("thread_count", COUNT, "8", "threads of the reference"),
    ),
)

TABLE: tuple[Option, ...] = (*_BASIC, *_DEFAULT, *_WORK, *_OTHERS)
