"""How `vif` prints counters of an interface and of the device below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.cli.render import INDENT, mac
from agent.sandesh.vrouter import VrInterfaceReq

NO_VLAN = 4096
"""vifr_vlan_tag of an interface without one."""


@dataclass(frozen=True, slots=True)
class Look:
    """How interfaces are shown. `core`: whose counters these are, None the sum of all.

    `kernel`: the datapath is the kernel's, whose interfaces are the host's. `fabric`: with
    the device below a physical interface. `rate`: counters a second, zeros too.
    """

    core: int | None = None
    kernel: bool = False
    fabric: bool = False
    rate: bool = False

    @property
    def core_text(self) -> str:
        """What stands before the counters of one core."""
        return "" if self.core is None else f"Core {self.core} "


def _bytes_line(title: str, packets: int, octets: int, errors: int, no_buffers: int = 0) -> str:
    text = f"{title} packets:{packets}  bytes:{octets} errors:{errors}"
    return text + (f" no mbufs:{no_buffers}" if no_buffers else "")


def _calls_line(title: str, packets: int, errors: int, calls: int, no_buffers: int = 0) -> str:
    text = f"{title} packets:{packets} errors:{errors}"
    text += f" syscalls:{calls}" if calls else ""
    return text + (f" no mbufs:{no_buffers}" if no_buffers else "")


def _wanted(look: Look, lines: Iterable[tuple[str, tuple[int, ...]]]) -> Iterator[str]:
    """Lines that have something to tell, or all of them when rates are shown."""
    for line, numbers in lines:
        if look.rate or any(numbers):
            yield f"{INDENT}{look.core_text}{line}"


def received_by_device(vif: VrInterfaceReq, look: Look) -> Iterator[str]:
    device = (vif.vifr_dev_ipackets, vif.vifr_dev_ibytes, vif.vifr_dev_ierrors)
    port = (vif.vifr_port_ipackets, vif.vifr_port_ierrors)
    queue = (vif.vifr_queue_ipackets, vif.vifr_queue_ierrors)
    yield from _wanted(
        look,
        (
            (_bytes_line("RX device", *device, vif.vifr_dev_inombufs), device),
            (
                _calls_line("RX port  ", *port, vif.vifr_port_isyscalls, vif.vifr_port_inombufs),
                port,
            ),
            (_calls_line("RX queue ", *queue, 0), queue),
        ),
    )
    errors = "".join(f" {count}" for count in vif.vifr_queue_ierrors_to_lcore)
    yield f"{INDENT}RX queue errors to lcore{errors}"


def sent_by_device(vif: VrInterfaceReq, look: Look) -> Iterator[str]:
    queue = (vif.vifr_queue_opackets, vif.vifr_queue_oerrors)
    port = (vif.vifr_port_opackets, vif.vifr_port_oerrors)
    device = (vif.vifr_dev_opackets, vif.vifr_dev_obytes, vif.vifr_dev_oerrors)
    yield from _wanted(
        look,
        (
            (_calls_line("TX queue ", *queue, 0), queue),
            (_calls_line("TX port  ", *port, vif.vifr_port_osyscalls), port),
            (_bytes_line("TX device", *device), device),
        ),
    )


def fabric(vif: VrInterfaceReq) -> Iterator[str]:
    """The device below a physical vif, with the members of its bond; its VLAN."""
    names = [_text(vif.vifr_fab_name), *_texts(vif.vifr_bond_slave_name)]
    drivers = [_text(vif.vifr_fab_drv_name), *_texts(vif.vifr_bond_slave_drv_name)]
    count = 1 + max(vif.vifr_num_bond_slave, 0)
    for position, name in enumerate(names[:count]):
        title = f"Slave Interface({position - 1})" if position else "Fabric Interface"
        state = "UP" if vif.vifr_intf_status >> position & 1 else "DOWN"
        driver = drivers[position] if position < len(drivers) else ""
        yield f"{INDENT}{title}: {name}  Status: {state}  Driver: {driver}"
    if 0 < vif.vifr_vlan_tag < NO_VLAN:
        name = _text(vif.vifr_vlan_name)
        forwards = f" VLAN fwd Interface: {name}" if name else ""
        yield f"{INDENT}Vlan Id: {vif.vifr_vlan_tag}{forwards}"


def _texts(octets: bytes) -> list[str]:
    """Names that each end with a zero byte."""
    return [name.decode(errors="replace") for name in octets.split(b"\0") if name]


def _text(octets: bytes) -> str:
    return next(iter(_texts(octets)), "")


def counters(vif: VrInterfaceReq, look: Look) -> Iterator[str]:
    received = (vif.vifr_ipackets, vif.vifr_ibytes, vif.vifr_ierrors)
    sent = (vif.vifr_opackets, vif.vifr_obytes, vif.vifr_oerrors)
    for line in (_bytes_line("RX", *received), _bytes_line("TX", *sent)):
        yield f"{INDENT}{look.core_text}{line}"
    if vif.vifr_isid or vif.vifr_pbb_mac:
        yield f"{INDENT}ISID: {vif.vifr_isid} Bmac: {mac(vif.vifr_pbb_mac)}"
    yield f"{INDENT}Drops:{vif.vifr_dpackets}"
