"""Feeds damaged route stanzas to the compiled decoder.

Each case takes golden stanzas, damages them and reads them twice, as a controller's or as
an agent's: with the compiled decoder and with the reference in tests/reference. Both must
agree on every route, on how many items were left out, or that nothing can be read. The
decoders live through all cases and remember little, so that what is shared is put to the
proof too. Run alone: `python tests/fuzz/fuzz_route_stanza.py --cases 1000000 --seed 1`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from agent.errors import StanzaError
from agent.xmpp.routes import PublicationDecoder, RouteDecoder
from tests.fuzz.damage_xml import damaged
from tests.reference.route_stanza import Reader, Refused
from tests.unit.xmpp.stanza_vectors import AGENT_FILES, CONTROLLER_FILES, stanzas, vector

BOUNDS = ("nested too deeply", "more than")
"""What the reference does not know."""


def corpus(files: tuple[str, ...]) -> list[bytes]:
    """Golden stanzas, one by one and together as they belong together."""
    return [vector(number) for number in files] + [
        one for number in files for one in stanzas(number)
    ]


class Cases:
    """Both decoders of both directions, and what they made of the cases so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.received, self.said = corpus(CONTROLLER_FILES), corpus(AGENT_FILES)
        self.routes, self.route_oracle = RouteDecoder(64), Reader()
        self.publications, self.publication_oracle = PublicationDecoder(64), Reader(published=True)
        self.readable = self.updates = 0

    def received_case(self) -> None:
        """A controller's words."""
        data = damaged(self.rng.choice(self.received), self.received, self.rng)
        found = None
        try:
            found = self.routes.decode(data)
        except StanzaError as error:
            self._refused(error, data)
            if any(text in str(error) for text in BOUNDS):
                return
        try:
            expected = self.route_oracle.read(data)
        except Refused:
            assert found is None, data
            return
        assert found == expected, data
        assert self.routes.counters.skipped == self.route_oracle.skipped, data
        self.readable += 1
        self.updates += sum(len(batch.updates) for batch in expected)

    def said_case(self) -> None:
        """An agent's words."""
        data = damaged(self.rng.choice(self.said), self.said, self.rng)
        found = None
        try:
            found = self.publications.decode(data)
        except StanzaError as error:
            self._refused(error, data)
            if any(text in str(error) for text in BOUNDS):
                return
        try:
            expected = self.publication_oracle.read_published(data)
        except Refused:
            assert found is None, data
            return
        assert found == expected, data
        assert self.publications.counters.skipped == self.publication_oracle.skipped, data
        self.readable += 1
        self.updates += len(expected[0])

    @staticmethod
    def _refused(error: StanzaError, data: bytes) -> None:
        assert 0 <= error.offset <= len(data), data


def run(cases: int, seed: int) -> tuple[int, int]:
    """Runs the cases; returns how many were readable and how many routes they held."""
    made = Cases(random.Random(seed))
    for case in range(cases):
        (made.said_case if case % 3 == 2 else made.received_case)()
    assert made.routes.counters.remembered <= 64
    return made.readable, made.updates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.process_time()
    readable, routes = run(options.cases, options.seed)
    spent = time.process_time() - start
    print(
        f"{options.cases} cases, {readable} readable with {routes} routes, no fault, "
        f"{spent:.0f} s of CPU"
    )


if __name__ == "__main__":
    main()
