"""Every page by its address."""

from __future__ import annotations

from collections.abc import Callable

from agent.introspect.pace import Pace
from agent.introspect.pages import (
    access_lists,
    controllers,
    datapath,
    explain,
    flows,
    home,
    networks,
    port,
    ports,
    rates,
    search,
    topology,
    vrfs,
)
from agent.introspect.pages.render import Renderer
from agent.introspect.pages.resources import Data, Page, Resource, Show, Static, Tell
from agent.telemetry import Node

PAGES: dict[str, Show] = {
    "/": home.show,
    "/search": search.show,
    "/ports": ports.show,
    "/ports/{uuid}": port.show,
    "/networks": networks.show,
    "/networks/{uuid}": networks.one,
    "/vrfs": vrfs.show,
    "/vrfs/{index}": vrfs.one,
    "/vrfs/{index}/route": vrfs.route,
    "/flows": flows.show,
    "/flows/{pair}": flows.one,
    "/access-lists": access_lists.show,
    "/access-lists/rules": access_lists.one,
    "/datapath": datapath.show,
    "/datapath/{kind}": datapath.listing,
    "/datapath/{kind}/{number}": datapath.one,
    "/controllers": controllers.show,
    "/controllers/{server}": controllers.one,
    "/topology": topology.show,
    "/explain": explain.show,
}
DATA: dict[str, Tell] = {
    "/data/rates": rates.host_data,
    "/data/ports/{uuid}": rates.port_data,
}


def routes(node: Node, pace: Callable[[], Pace]) -> list[tuple[str, Resource]]:
    """(address pattern, Falcon resource) of every page and of what pages load.

    `pace` begins an answer that is to be made in slices.
    """
    renderer = Renderer(node)
    found: list[tuple[str, Resource]] = [("/static/{name}", Static())]
    found += [(path, Page(node, renderer, show, pace)) for path, show in PAGES.items()]
    found += [(path, Data(node, tell, pace)) for path, tell in DATA.items()]
    return found
