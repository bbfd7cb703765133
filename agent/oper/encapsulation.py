"""Which encapsulation a tunnel gets: what the far end offers against what is preferred here."""

from __future__ import annotations

from collections.abc import Iterable

from agent.oper.incremental import View
from agent.oper.vn import global_vrouter
from agent.oper.world import HOST, BadConfig, items
from agent.routes import Encapsulation

_NAMES = {
    "MPLSoGRE": Encapsulation.GRE,
    "MPLSoUDP": Encapsulation.UDP,
    "VXLAN": Encapsulation.VXLAN,
}
_GRE, _UDP, _VXLAN = Encapsulation.GRE, Encapsulation.UDP, Encapsulation.VXLAN
_FALLBACK = (_GRE, _UDP, _VXLAN)
MPLS = (_GRE, _UDP)
"""What carries an MPLS label."""
MOST_LABEL = 0xFFFFF


def priorities(view: View) -> tuple[Encapsulation, ...]:
    """The encapsulations in order of preference: global configuration, else the host's."""
    properties = view(global_vrouter).properties
    try:
        named = _known(items(properties, "encapsulation-priorities", "encapsulation"))
    except BadConfig:
        named = ()
    return named or _known(view.read(HOST, None).encapsulations)


def _known(names: Iterable[object]) -> tuple[Encapsulation, ...]:
    return tuple(dict.fromkeys(_NAMES[str(name)] for name in names if str(name) in _NAMES))


def choose(
    preferred: tuple[Encapsulation, ...], offered: tuple[Encapsulation, ...]
) -> Encapsulation | None:
    """The tunnel to a far end; None when it offers only what we have not.

    Preference decides among what is offered; an offer of nothing leaves it to preference
    alone (facts oper-db.md 1.5).
    """
    for one in (*preferred, *_FALLBACK):
        if one in offered:
            return one
    if offered:
        return None
    return preferred[0] if preferred else _GRE


def carriers(label: int, offered: tuple[Encapsulation, ...]) -> tuple[Encapsulation, ...] | None:
    """What of an offer can carry a label: more than 20 bits are a VNI's. None for nothing."""
    if label <= MOST_LABEL:
        return offered
    return (_VXLAN,) if _VXLAN in offered else None


def own(preferred: tuple[Encapsulation, ...]) -> tuple[Encapsulation, ...]:
    """What we offer for bridging: VXLAN alone where it is preferred, else what carries MPLS."""
    return (_VXLAN,) if preferred[:1] == (_VXLAN,) else MPLS
