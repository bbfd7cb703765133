"""The golden route stanzas as bytes."""

from __future__ import annotations

import re
from pathlib import Path

VECTORS = Path(__file__).parents[2] / "vectors" / "xmpp"
CONTROLLER_FILES = tuple(f"{number}" for number in range(12, 18))
AGENT_FILES = tuple(f"{number:02}" for number in (4, 5, 6, 7, 8, 9, 10, 11, 17))


def vector(number: str) -> bytes:
    """The stanzas of the vector with this number, without the root that joins them."""
    (path,) = VECTORS.glob(f"{number}-*.xml")
    return re.sub(rb"</?vector>\n?", b"", path.read_bytes())


def stanzas(number: str) -> list[bytes]:
    """Each stanza of it."""
    found = re.findall(rb"<(iq|message)\b(.*?)</\1>", vector(number), re.DOTALL)
    return [b"<%s%s</%s>" % (name, rest, name) for name, rest in found]
