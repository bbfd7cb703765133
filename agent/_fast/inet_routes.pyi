"""Plain inet routes from path to desired object; see inet_routes.pyx."""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from agent.objects import Desired, Key
from agent.routes import InetKey, RouteAttributes, RouteNexthop

class Network:
    """A VRF as its plain routes see it: name, index, and how ARP for them is answered."""

    def __init__(
        self,
        vrf: str,
        index: int,
        network: str,
        always: int,
        subnets: Sequence[tuple[bytes, int]],
    ) -> None: ...

def take(
    changes: Iterable[tuple[InetKey, RouteAttributes | None]],
    paths: dict[InetKey, RouteAttributes],
    vias: dict[InetKey, Any],
    watched: Container[InetKey],
    hold: Callable[[RouteNexthop], Any],
    due: dict[InetKey, None],
) -> list[tuple[InetKey, RouteAttributes | None]]: ...
def make(
    keys: Iterable[InetKey],
    paths: dict[InetKey, RouteAttributes],
    vias: dict[InetKey, Any],
    stitched: Container[bytes],
    refs: dict[Key, tuple[Key, ...]],
    network: Network,
    store: dict[InetKey, Desired],
    made: dict[Key, Desired | None],
) -> list[InetKey]: ...
