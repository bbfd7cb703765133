"""What the services may ask about the host: rows of oper, always the current ones."""

from __future__ import annotations

from typing import Protocol

from agent.oper.rows import Fabric, Vmi

FABRIC_VRF = 0
"""Index of the VRF that the fabric, vhost0 and all tunnels live in."""


class View(Protocol):
    """The state that a packet meets. Rows are immutable: a changed port is a new row."""

    def vmi(self, vif_index: int) -> Vmi | None:
        """The VMI with this vif index."""
        ...

    def fabric(self) -> Fabric | None:
        """The host's own interfaces, None before they are known."""
        ...
