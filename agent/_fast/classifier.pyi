"""Types of the compiled classifier; C declarations are in classifier.pxd."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

ANY_SET: Final[int]
"""The number of the set of nothing."""

MISSES: Final[tuple[str, ...]]
"""Why a rule did not hold, by `Step.miss`; the first says that it holds."""

@dataclass(frozen=True, slots=True)
class End:
    """One end of a packet: packed address, and numbers of sets of what is known of it."""

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
    """What the rules that held say together; `rule` is the number of the one that decided."""

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
    """One rule of a walk: `position` in its list, and an index of MISSES."""

    position: int
    rule: int
    actions: int
    miss: int

class Classifier:
    """Access lists by number, the sets that packets' ends have, and numbers of rules.

    ValueError for what no list can say, MemoryError when memory or a bound runs out; the
    classifier is then as before.
    """

    def __init__(self) -> None: ...
    def put(self, number: int, rules: Sequence[object]) -> None:
        """Put a list, in place of the one that has the number."""

    def remove(self, number: int) -> None: ...
    def match(self, lists: Iterable[int], probe: Probe) -> Verdict: ...
    def explain(self, number: int, probe: Probe) -> list[Step]:
        """Every rule that the walk looks at, and what of it does not hold."""

    def networks(self, names: Iterable[str]) -> int:
        """The number of a set of names of virtual networks, with a reference."""

    def groups(self, numbers: Iterable[int]) -> int:
        """The number of a set of security groups, with a reference."""

    def tags(self, numbers: Iterable[int]) -> int:
        """The number of a set of tags, with a reference."""

    def hold(self, number: int) -> None:
        """Take one more reference of a set."""

    def release(self, number: int) -> None:
        """Give a reference of a set back."""

    def rule_uuid(self, number: int) -> UUID | None:
        """The rule that has the number; None when it was forgotten."""

    @property
    def memory(self) -> int:
        """Bytes held."""
