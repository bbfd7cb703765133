"""Plots of the last minutes, as the page draws them and as numbers for its script."""

from __future__ import annotations

from typing import Any

from agent.introspect.pages import ports
from agent.introspect.pages.asked import Asked, NotThere
from agent.introspect.pages.plot import Line, Plot, plot
from agent.introspect.pages.shown import Plots
from agent.telemetry import Node

HOST_DATA = "/data/rates"


def host(node: Node) -> Plots:
    """What goes on at the host as a whole."""
    return Plots(host_plots(node), HOST_DATA)


def host_plots(node: Node) -> list[Plot]:
    """Packets, bits and flows a second, and how late the agent's own loop is."""
    series = node.recent.series(node.clock())
    times = series.times
    vms, fabric = "from VMs", "from the fabric"
    return [
        plot(
            "packets",
            "Packets",
            "/s",
            times,
            [Line(vms, series.vm_packets), Line(fabric, series.fabric_packets)],
        ),
        plot(
            "bits",
            "Bandwidth",
            "bit/s",
            times,
            [Line(vms, series.vm_bits), Line(fabric, series.fabric_bits)],
        ),
        plot(
            "flows",
            "Flows",
            "/s",
            times,
            [Line("new", series.flows_created), Line("ended", series.flows_ended)],
        ),
        plot("lag", "Loop lag", "s", times, [Line("worst", series.lag)]),
    ]


def port(node: Node, vif: int, uuid: object) -> Plots:
    """The bandwidth of a port."""
    return Plots([port_plot(node, vif)], f"/data/ports/{uuid}")


def port_plot(node: Node, vif: int) -> Plot:
    """Bits a second from the VM and to it."""
    found = node.statistics.vif(vif)
    series = found.series() if found else []
    sent = Line("from the VM", [rate.in_bps for _, rate in series])
    got = Line("to the VM", [rate.out_bps for _, rate in series])
    return plot("bandwidth", "Bandwidth", "bit/s", [at for at, _ in series], [sent, got])


async def host_data(node: Node, asked: Asked) -> dict[str, Any]:
    """The host's plots as JSON."""
    return {"plots": [_data(one) for one in host_plots(node)]}


async def port_data(node: Node, asked: Asked) -> dict[str, Any]:
    """A port's plot as JSON."""
    row = ports.by_uuid(node, asked.path["uuid"])
    if row is None:
        raise NotThere(f"No port {asked.path['uuid']}.")
    return {"plots": [_data(port_plot(node, row.vif_index))]}


def _data(one: Plot) -> dict[str, Any]:
    return {
        "id": one.id,
        "summary": one.summary,
        "nothing": one.nothing,
        "paths": [{"path": path, "now": now} for _, path, now in one.paths],
        "ticks": [tick.label for tick in one.ticks],
        "times": [tick.label for tick in one.times],
    }
