"""What the words of [DEFAULT] platform mean, and what shows that a datapath is there."""

from __future__ import annotations

from pathlib import Path

from agent.io.netlink_sockets import PORT_FILE

DPDK = "dpdk"
"""The platform where the kernel knows neither the fabric interface nor those of VMs."""
WINDOWS = "windows"
"""The platform whose datapath has named pipes."""
SOCKET = "dpdk_netlink"
"""In the run directory: where a datapath that is a process listens."""
PKT0_TAP = "pkt0"
"""The interface of trapped packets where the datapath is the kernel's."""
_ON_A_SOCKET = {DPDK, "nic"}
_IN_THE_KERNEL = {"kernel", "host"}


def on_a_socket(platform: str) -> bool:
    """Whether the datapath is a process that listens on `SOCKET`."""
    return platform in _ON_A_SOCKET


def in_kernel(platform: str) -> bool:
    """Whether the datapath is the kernel's."""
    return platform in _IN_THE_KERNEL


def is_served(run_dir: Path) -> bool:
    """Whether a process serves a datapath in the run directory, or did."""
    return (run_dir / SOCKET).exists() or (run_dir / PORT_FILE).exists()
