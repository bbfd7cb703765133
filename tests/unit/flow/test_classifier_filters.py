"""Filters only save time: long random lists decide as a plain walk over their rules does."""

from __future__ import annotations

import random
from ipaddress import ip_network
from uuid import UUID

import pytest

from agent._fast.classifier import Classifier, End, Line, Place, Probe

TERMINAL = 1 | 2 | 4
NETWORKS = [f"network-{at}" for at in range(40)]
GROUPS = range(8_000_000, 8_000_060)
TAGS = [kind << 32 | value for kind in range(1, 5) for value in range(12)]


class Chance:
    """Random rules and packets that often meet each other."""

    def __init__(self, seed: int, pointed: bool) -> None:
        self.random = random.Random(seed)
        self.pointed = pointed
        """Whether rules ask for much, so that most do not hold."""

    def maybe(self, share: float) -> bool:
        return self.random.random() < (share if self.pointed else share / 3)

    def bits(self, version: int) -> int:
        """An address: few different high and low parts."""
        size = 32 if version == 4 else 128
        return self.random.randrange(1, 12) << (size - 8) | self.random.randrange(300)

    def prefix(self):
        version = self.random.choice((4, 6))
        size = 32 if version == 4 else 128
        length = self.random.choice((0, 5, 8, size - 9, size - 4, size - 1, size))
        address = self.bits(version) >> (size - length) << (size - length)
        packed = address.to_bytes(size // 8, "big")
        return ip_network((packed, length))

    def some(self, values, most: int) -> tuple:
        return tuple(self.random.sample(values, self.random.randrange(1, most + 1)))

    def place(self) -> Place:
        count = self.random.choice((1, 1, 2, 7, 20))
        return Place(
            tuple(self.prefix() for _ in range(count)) if self.maybe(0.7) else (),
            self.random.choice(NETWORKS) if self.maybe(0.2) else "",
            self.random.choice(GROUPS) if self.maybe(0.3) else None,
            self.some(TAGS, 2) if self.maybe(0.1) else (),
            (self.some(TAGS, 2),) if self.maybe(0.1) else (),
        )

    def range(self, highest: int, share: float) -> tuple[int, int]:
        if not self.maybe(share):
            return (0, highest)
        first = self.random.randrange(min(highest, 500))
        return first, min(highest, first + self.random.choice((0, 0, 3, 100)))

    def service(self):
        protocol = self.random.choice(((6, 6), (17, 17), (1, 1), (0, 255), (5, 20)))
        return protocol, self.range(65535, 0.2), self.range(65535, 0.8)

    def line(self, at: int, terminal: bool) -> Line:
        return Line(
            uuid=UUID(int=1000 + at),
            actions=self.random.choice((1, 2, 4) if terminal else (8, 16, 32, 64, 128)),
            source=self.place(),
            destination=self.place(),
            services=tuple(self.service() for _ in range(self.random.choice((1, 1, 1, 3, 12)))),
            ethertype=self.random.choice((0, 4, 6)),
            match_tag_types=self.some(range(1, 5), 1) if self.maybe(0.05) else (),
            mirror=self.random.randrange(255),
        )

    def end(self, classifier: Classifier, version: int) -> End:
        return End(
            self.bits(version).to_bytes(4 if version == 4 else 16, "big"),
            classifier.networks(self.some(NETWORKS, 3)) if self.maybe(0.8) else 0,
            classifier.groups(self.some(GROUPS, 30)) if self.maybe(0.8) else 0,
            classifier.tags(self.some(TAGS, 12)) if self.maybe(0.8) else 0,
        )

    def probe(self, classifier: Classifier) -> Probe:
        version = self.random.choice((4, 6))
        return Probe(
            self.end(classifier, version),
            self.end(classifier, version),
            self.random.choice((1, 6, 6, 17, 58, 132)),
            self.random.randrange(600),
            self.random.randrange(600),
        )


@pytest.mark.parametrize("pointed", [True, False])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 200, 512, 513, 1500])
def test_filters_lose_no_rule(size: int, pointed: bool) -> None:
    chance = Chance(size, pointed)
    classifier = Classifier()
    often = 1.0 if pointed else 0.05
    lines = [chance.line(at, chance.random.random() < often) for at in range(size)]
    classifier.put(0, lines)
    decided = set()
    for _ in range(300):
        probe = chance.probe(classifier)
        steps = classifier.explain(0, probe)
        held = [step for step in steps if not step.miss]
        verdict = classifier.match([0], probe)
        ended = [step.rule for step in held if step.actions & TERMINAL]
        expected = ended or [step.rule for step in held[:1]] or [2]
        assert verdict.rule == expected[0]
        actions = 0
        for step in held:
            actions |= step.actions
        assert verdict.actions == actions
        decided.add(verdict.rule)
    assert size == 1 or len(decided) > 1
