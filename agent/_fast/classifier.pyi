"""Types of the compiled classifier; C declarations are in classifier.pxd."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final
from uuid import UUID

NO_SET: Final[int]
"""The number of the set of nothing."""

MISSES: Final[tuple[str, ...]]
"""What of a rule did not hold, by `Step.miss`; the first text says that it holds."""

OUTCOMES: Final[tuple[str, ...]]
"""How a walk ended, by `Verdict.outcome`: no list, unmatched, held, decided."""

MAX_RULES: Final[int]
"""Rules that one list may have."""

RETIRED: Final[int]
"""Numbers of rules that are in no list any more and are still known."""

@dataclass(frozen=True, slots=True)
class Place:
    """One side of a line: all that is given must hold, of prefixes and tag sets one.

    `group` None or -1 is any; an empty tag set is of nobody.
    """

    prefixes: tuple[IPv4Network | IPv6Network, ...] = ()
    network: str = ""
    group: int | None = None
    tags: tuple[int, ...] = ()
    tag_sets: tuple[tuple[int, ...], ...] = ()

@dataclass(frozen=True, slots=True)
class Line:
    """A rule with numbers in place of names; None for a name that is not known (yet).

    `actions` are bits of `agent.oper.flow_rows.Action`. `services` are (first, last) of
    protocol, of source port, of destination port.
    """

    uuid: UUID
    actions: int
    source: Place
    destination: Place
    services: tuple[tuple[tuple[int, int], tuple[int, int], tuple[int, int]], ...]
    ethertype: int = 0
    match_tag_types: tuple[int, ...] = ()
    mirror: int | None = None
    vrf: int | None = None
    qos: int | None = None
    ignore_acl: bool = False

@dataclass(frozen=True, slots=True)
class End:
    """One end of a packet: its packed address, and numbers of sets of what is known of it."""

    address: bytes
    networks: int = 0
    groups: int = 0
    tags: int = 0

@dataclass(frozen=True, slots=True)
class Probe:
    """A packet as rules see it. Ports are in host order."""

    source: End
    destination: End
    protocol: int
    source_port: int = 0
    destination_port: int = 0

@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules that held say together.

    `rule` is the number of the one that decided, else of the first that held, else the one of
    the implicit allow or deny; `list` is the list of that rule. A flag of `actions` without
    its number: the name is not known.
    """

    outcome: int
    actions: int
    rule: int
    list: int | None
    vrf: int | None
    ignore_acl: bool
    mirrors: tuple[int, ...]
    qos: int | None

@dataclass(frozen=True, slots=True)
class Step:
    """One rule of a walk: `position` in its list; `miss` is an index of MISSES."""

    position: int
    rule: int
    actions: int
    miss: int

class Classifier:
    """Access lists by number, sets of what packets' ends have, and numbers of rules.

    ValueError for what no list can say or no packet can be, MemoryError when memory or a bound
    runs out; the classifier is then as before. A rule's number names its UUID for ever: it is
    not given to another one. It is known while a list has the rule, and for RETIRED rules more.
    """

    def __init__(self) -> None: ...
    def put(self, number: int, lines: Sequence[Line]) -> None:
        """Put a list in force, in place of what has the number. Matches see one or the other."""

    def remove(self, number: int) -> None:
        """Take a list away, if there is one; to matches it has no rules then."""

    def rules(self, number: int) -> int:
        """How many rules a list has."""

    def match(self, lists: Iterable[int], probe: Probe) -> Verdict:
        """Walk these lists in order to the first rule that passes or denies."""

    def explain(self, number: int, probe: Probe) -> list[Step]:
        """Every rule of a list that the walk looks at, and what of it does not hold."""

    def networks(self, names: Iterable[str]) -> int:
        """The number of a set of names of virtual networks; takes a reference."""

    def groups(self, numbers: Iterable[int]) -> int:
        """The number of a set of security groups; takes a reference."""

    def tags(self, numbers: Iterable[int]) -> int:
        """The number of a set of tags, each 16 bits of type above 32 of value; takes a
        reference."""

    def hold(self, number: int) -> None:
        """Take one more reference of a set."""

    def release(self, number: int) -> None:
        """Give a reference of a set back; the last one frees it."""

    def rule_uuid(self, number: int) -> UUID | None:
        """The UUID of a rule; of 0 to 7 the reserved ones; None of an unknown number."""

    def rule_number(self, uuid: UUID) -> int | None:
        """The number of a rule that a list has or had lately."""

    @property
    def memory(self) -> int:
        """Bytes held by lists, sets and names."""
