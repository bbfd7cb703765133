"""Access lists of `oper`, put into the classifier under numbers that ports refer to.

Names of VRFs, mirrors and QoS configurations in rules become numbers of the datapath here. Such
a number may come, change or go at any time: `resolve` puts the lists anew that use the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from agent._fast.classifier import MISSES, Classifier, Line, Place, Probe
from agent.oper.flow_rows import Acl, Action, Endpoint, Rule


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where names lead now; None for one that leads nowhere yet.

    `vrf` gives a VRF's index, `mirror` a mirror entry's (0 to 254), `qos` a QoS map's
    (0 to 32767).
    """

    vrf: Callable[[str], int | None]
    mirror: Callable[[str], int | None]
    qos: Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Examined:
    """A rule that a walk looked at: `miss` says what of it did not hold, "" that it did."""

    rule: Rule
    miss: str


@dataclass(slots=True)
class _Entry:
    """A name that has a number: its list, if there is one, and how many refer to it."""

    number: int
    acl: Acl | None = None
    lines: tuple[Line, ...] = ()
    references: int = 0
    problem: str = ""


@dataclass(slots=True)
class _Pool:
    """Numbers from 0 on; those given back are given out again first."""

    free: list[int] = field(default_factory=list)
    next: int = 0

    def take(self) -> int:
        if self.free:
            return self.free.pop()
        self.next += 1
        return self.next - 1


def _place(endpoint: Endpoint) -> Place:
    return Place(
        endpoint.prefixes,
        endpoint.network,
        endpoint.group,
        endpoint.tags,
        endpoint.tag_sets,
    )


def _names(acl: Acl) -> set[str]:
    """The names in a list that `Numbers` knows."""
    return {name for rule in acl.rules for name in (rule.vrf, rule.mirror, rule.qos) if name}


class AclTable:
    """The access lists in force, by name and by number.

    A name has one number from its first `put` or `number` until it has neither a list nor a
    reference; a number without a list holds no rule, so that it denies.
    """

    __slots__ = ("_by_number", "_classifier", "_entries", "_numbers", "_pool", "_users")

    def __init__(self, classifier: Classifier, numbers: Numbers) -> None:
        self._classifier = classifier
        self._numbers = numbers
        self._entries: dict[str, _Entry] = {}
        self._by_number: dict[int, str] = {}
        self._users: dict[str, set[str]] = {}
        self._pool = _Pool()

    def __len__(self) -> int:
        """How many lists are in force."""
        return sum(entry.acl is not None for entry in self._entries.values())

    def put(self, acl: Acl) -> int:
        """Put a list in force in place of the one of its name; gives its number.

        A list that no classifier can hold is put without rules and `problem` says why.
        """
        entry = self._entry(acl.name)
        if entry.acl == acl:
            return entry.number
        self._forget_names(acl.name, entry.acl)
        for name in _names(acl):
            self._users.setdefault(name, set()).add(acl.name)
        entry.acl = acl
        self._compile(entry, acl)
        return entry.number

    def remove(self, name: str) -> int | None:
        """Take a list out of force; gives the number that it had, None without a list."""
        entry = self._entries.get(name)
        if entry is None or entry.acl is None:
            return None
        self._forget_names(name, entry.acl)
        entry.acl, entry.lines, entry.problem = None, (), ""
        self._classifier.remove(entry.number)
        self._drop_unused(name, entry)
        return entry.number

    def number(self, name: str) -> int:
        """The number of a list, also of one that is still to come; takes a reference."""
        entry = self._entry(name)
        entry.references += 1
        return entry.number

    def release(self, name: str) -> None:
        """Give a reference of `number` back; KeyError when none was taken."""
        entry = self._entries[name]
        if not entry.references:
            raise KeyError(name)
        entry.references -= 1
        self._drop_unused(name, entry)

    def resolve(self, name: str) -> tuple[int, ...]:
        """Look a VRF's, a mirror's or a QoS configuration's name up anew.

        Gives the numbers of the lists that this changed.
        """
        changed = []
        for user in sorted(self._users.get(name, ())):
            entry = self._entries[user]
            if entry.acl is not None and self._compile(entry, entry.acl):
                changed.append(entry.number)
        return tuple(changed)

    def name(self, number: int) -> str:
        """The name that has a number, "" when none has."""
        return self._by_number.get(number, "")

    def rule(self, number: int, uuid: UUID | None) -> Rule | None:
        """The rule of a UUID in the list that has a number."""
        acl = self._acl(number)
        return next((rule for rule in acl.rules if rule.uuid == uuid), None) if acl else None

    def problem(self, name: str) -> str:
        """Why a list is in force without its rules; "" when it is not."""
        entry = self._entries.get(name)
        return "" if entry is None else entry.problem

    def explain(self, number: int, probe: Probe) -> Iterator[Examined]:
        """The rules of a list that a walk looks at, up to the one that ends it."""
        acl = self._acl(number)
        if acl is None:
            return
        for step in self._classifier.explain(number, probe):
            yield Examined(acl.rules[step.position], MISSES[step.miss] if step.miss else "")

    def _acl(self, number: int) -> Acl | None:
        entry = self._entries.get(self.name(number))
        return None if entry is None else entry.acl

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry(self._pool.take())
            self._by_number[entry.number] = name
        return entry

    def _drop_unused(self, name: str, entry: _Entry) -> None:
        if entry.acl is None and not entry.references:
            del self._entries[name], self._by_number[entry.number]
            self._pool.free.append(entry.number)

    def _forget_names(self, user: str, acl: Acl | None) -> None:
        for name in () if acl is None else _names(acl):
            users = self._users[name]
            users.discard(user)
            if not users:
                del self._users[name]

    def _compile(self, entry: _Entry, acl: Acl) -> bool:
        """Put the list with the numbers of now; whether anything changed."""
        lines = tuple(self._line(rule) for rule in acl.rules)
        if lines and lines == entry.lines:
            return False
        entry.lines, entry.problem = lines, ""
        try:
            self._classifier.put(entry.number, lines)
        except (ValueError, OverflowError) as error:
            entry.problem = f"access list {acl.name} cannot be applied: {error}"
            self._classifier.put(entry.number, ())
        return True

    def _line(self, rule: Rule) -> Line:
        actions = rule.actions
        return Line(
            uuid=rule.uuid,
            actions=actions.value,
            source=_place(rule.source),
            destination=_place(rule.destination),
            services=tuple(
                (service.protocols, service.source_ports, service.destination_ports)
                for service in rule.services
            ),
            ethertype=rule.ethertype,
            match_tag_types=rule.match_tag_types,
            mirror=self._numbers.mirror(rule.mirror) if Action.MIRROR in actions else None,
            vrf=self._numbers.vrf(rule.vrf) if Action.VRF in actions else None,
            qos=self._numbers.qos(rule.qos) if Action.QOS in actions else None,
            ignore_acl=rule.ignore_acl,
        )
