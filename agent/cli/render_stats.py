"""How `dropstats` and `vrfstats` print counters. Facts: vrouter-cli.md."""

from __future__ import annotations

from collections.abc import Iterator

from agent.sandesh.vrouter import VrDropStatsReq, VrVrfStatsReq

DROPS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("invalid_if", "Invalid IF"),
        ("trap_no_if", "Trap No IF"),
        ("interface_tx_discard", "IF TX Discard"),
        ("interface_drop", "IF Drop"),
        ("interface_rx_discard", "IF RX Discard"),
    ),
    (
        ("flow_unusable", "Flow Unusable"),
        ("flow_no_memory", "Flow No Memory"),
        ("flow_table_full", "Flow Table Full"),
        ("flow_nat_no_rflow", "Flow NAT no rflow"),
        ("flow_action_drop", "Flow Action Drop"),
        ("flow_action_invalid", "Flow Action Invalid"),
        ("flow_invalid_protocol", "Flow Invalid Protocol"),
        ("flow_queue_limit_exceeded", "Flow Queue Limit Exceeded"),
        ("drop_new_flow", "New Flow Drops"),
        ("flow_evict", "Flow Unusable (Eviction)"),
    ),
    (("trap_original", "Original Packet Trapped"),),
    (
        ("discard", "Discards"),
        ("ttl_exceeded", "TTL Exceeded"),
        ("mcast_clone_fail", "Mcast Clone Fail"),
    ),
    (
        ("invalid_nh", "Invalid NH"),
        ("invalid_label", "Invalid Label"),
        ("invalid_protocol", "Invalid Protocol"),
        ("leaf_to_leaf", "Etree Leaf to Leaf"),
        ("bmac_isid_mismatch", "Bmac/ISID Mismatch"),
        ("rewrite_fail", "Rewrite Fail"),
        ("invalid_mcast_source", "Invalid Mcast Source"),
        ("pkt_loop", "Packet Loop"),
        ("invalid_arp", "Invalid ARP"),
    ),
    (
        ("push", "Push Fails"),
        ("pull", "Pull Fails"),
        ("duplicated", "Duplicated"),
        ("head_alloc_fail", "Head Alloc Fails"),
        ("pcow_fail", "PCOW fails"),
        ("invalid_packet", "Invalid Packets"),
    ),
    (
        ("misc", "Misc"),
        ("nowhere_to_go", "Nowhere to go"),
        ("cksum_err", "Checksum errors"),
        ("no_fmd", "No Fmd"),
        ("invalid_vnid", "Invalid VNID"),
        ("frag_err", "Fragment errors"),
        ("invalid_source", "Invalid Source"),
        ("mcast_df_bit", "Jumbo Mcast Pkt with DF Bit"),
        ("l2_no_route", "No L2 Route"),
        ("no_memory", "Memory Failures"),
        ("fragment_queue_fail", "Fragment Queueing Failures"),
        ("vlan_fwd_tx", "VLAN fwd intf failed TX"),
        ("vlan_fwd_enq", "VLAN fwd intf failed enq"),
        ("no_crypt_path", "No Encrypt Path Failures"),
        ("invalid_hbs_pkt", "Invalid HBS received packet"),
        ("no_frag_entry", "No Fragment Entries"),
        ("icmp_error", "ICMP errors"),
        ("clone_fail", "Clone Failures"),
        ("invalid_underlay_ecmp", "Invalid Underlay ECMP"),
    ),
)
"""Groups of (field without its prefix, title)."""

DEBUG = (("cloned_original", "Cloned Original"),)
"""Packets that were copied and then let go: counted, but no packet is lost."""

VRF_LINES: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("discards", "Discards"),
        ("resolves", "Resolves"),
        ("receives", "Receives"),
        ("l2_receives", "L2 Receives"),
        ("vrf_translates", "Vrf Translates"),
        ("uuc_floods", "Unknown Unicast Floods"),
    ),
    (
        ("ecmp_composites", "Ecmp Composites"),
        ("l2_mcast_composites", "L2 Mcast Composites"),
        ("fabric_composites", "Fabric Composites"),
        ("encap_composites", "Encap Composites"),
        ("evpn_composites", "Evpn Composites"),
    ),
    (
        ("udp_tunnels", "Udp Tunnels"),
        ("udp_mpls_tunnels", "Udp Mpls Tunnels"),
        ("gre_mpls_tunnels", "Gre Mpls Tunnels"),
        ("vxlan_tunnels", "Vxlan Tunnels"),
        ("pbb_tunnels", "Pbb Tunnels"),
        ("udp_mpls_over_mpls_tunnels", "Udp Mpls over Mpls Tunnels"),
    ),
    (
        ("l2_encaps", "L2 Encaps"),
        ("encaps", "Encaps"),
        ("gros", "GROs"),
        ("diags", "Diags"),
    ),
    (
        ("arp_virtual_proxy", "Arp Virtual Proxys"),
        ("arp_virtual_stitch", "Arp Virtual Stitches"),
        ("arp_virtual_flood", "Arp Virtual Floods"),
        ("arp_physical_stitch", "Arp Physical Stitches"),
        ("arp_tor_proxy", "Arp Tor Proxys"),
        ("arp_physical_flood", "Arp Physical Floods"),
    ),
)


def drop_lines(stats: VrDropStatsReq, *, zeros: bool) -> Iterator[str]:
    """One line for each reason; groups apart. `zeros`: also reasons that never occurred."""
    for group in DROPS:
        shown = [
            (title, count)
            for name, title in group
            if (count := getattr(stats, f"vds_{name}")) or zeros
        ]
        for title, count in shown:
            yield f"{title:<29} {count}"
        if shown:
            yield ""


def debug_lines(stats: VrDropStatsReq) -> Iterator[str]:
    """The counters that stand apart from those of lost packets."""
    for name, title in DEBUG:
        yield f"{title:<29} {getattr(stats, f'vds_{name}')}"
    yield ""


def drop_json(stats: VrDropStatsReq) -> dict[str, int]:
    """Counts by field name without its prefix."""
    groups = (*DROPS, DEBUG)
    return {name: getattr(stats, f"vds_{name}") for group in groups for name, _ in group}


def vrf_lines(stats: VrVrfStatsReq) -> Iterator[str]:
    """The counters of one VRF, a blank line at the end."""
    yield f"Vrf: {stats.vsr_vrf}"
    for line in VRF_LINES:
        yield ", ".join(f"{title} {getattr(stats, f'vsr_{name}')}" for name, title in line)
    yield ""


def vrf_json(stats: VrVrfStatsReq) -> dict[str, int]:
    """Counts by field name without its prefix."""
    counts = {name: getattr(stats, f"vsr_{name}") for line in VRF_LINES for name, _ in line}
    return {"vrf": stats.vsr_vrf, **counts}
