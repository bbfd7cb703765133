"""What the agent says to a control node, as bytes (facts xmpp-ifmap.md 1.2 to 1.4, 4, 6).

The route items are in publish.py. Attribute order and white space are those of the
reference agent: control nodes find the end of the stream's header by its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID
from xml.sax.saxutils import escape

CONTROLLER = "network-control@contrailsystems.com"
KEEPALIVE = b"\xc8\x80"
STARTTLS = b'<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls" />'
PUBSUB = "http://jabber.org/protocol/pubsub"


def quoted(text: str) -> str:
    """`text` for use inside of a double-quoted attribute."""
    return escape(text, {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks on a channel: the host's name, the controller's JID, the sub-cluster."""

    name: str
    subcluster: str = ""
    controller: str = CONTROLLER

    def open(self) -> bytes:
        """The stream's header; `xmlns:stream` must come last."""
        return (
            '<?xml version="1.0"?>\n'
            f'<stream:stream from="{quoted(self.name)}" to="{self.controller}" version="1.0" '
            f'xml:lang="en" xmlns="{quoted(self.subcluster)}" '
            'xmlns:stream="http://etherx.jabber.org/streams"  >'
        ).encode()

    def virtual_router(self) -> bytes:
        """Ask for the configuration of this host; the first on a configuration session."""
        return self._config("subscribe", f"virtual-router:default-global-system-config:{self.name}")

    def virtual_machine(self, machine: UUID, *, subscribe: bool) -> bytes:
        """Ask for the configuration of a VM, or no more."""
        return self._config(
            "subscribe" if subscribe else "unsubscribe", f"virtual-machine:{machine}"
        )

    def _config(self, verb: str, node: str) -> bytes:
        return (
            f'<iq type="set" from="{quoted(self.name)}" to="{self.controller}/config">\n'
            f'  <pubsub xmlns="{PUBSUB}">\n'
            f'    <{verb} node="{quoted(node)}" />\n'
            "  </pubsub>\n"
            "</iq>"
        ).encode()

    def vrf(self, vrf: str, index: int, number: int, *, subscribe: bool) -> bytes:
        """Ask for the routes of a VRF, or no more; `number` makes the informational id."""
        verb = "subscribe" if subscribe else "unsubscribe"
        options = f"<options><instance-id>{index}</instance-id></options>"
        return (
            f'<iq type="set" from="{quoted(self.name)}" to="{self.controller}/bgp-peer"'
            f' id="subscribe{number}">\n'
            f'  <pubsub xmlns="{PUBSUB}">\n'
            f'    <{verb} node="{quoted(vrf)}">{options}</{verb}>\n'
            "  </pubsub>\n"
            "</iq>"
        ).encode()

    def end_of_rib(self) -> bytes:
        """All routes were published. A message, though the agent sends everything else as iq."""
        return (
            f'<message from="{quoted(self.name)}" to="{self.controller}/bgp-peer">\n'
            f'\t<event xmlns="{PUBSUB}">\n'
            '<items node="0/0/EndOfRib"></items>\n'
            "\t</event>\n"
            "</message>"
        ).encode()
