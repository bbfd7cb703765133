"""Kernel of sessions: which pairs of flows are told, and what passed since they last were."""

from enum import IntEnum
from struct import Struct

from agent._fast.flow_pairs import FlowPairs

ROW: Struct
"""One row: the keys of both directions (44 bytes each, as in the table), serial number, start
and end in milliseconds of the pairs' clock (end 0: it runs); bytes and packets of both
directions since it was last looked at, and all in all; what each counter of a sample stands for
(0.0: no sample); the pair's number, the vifs that it comes from and goes to (0xffffffff:
none), what is known of source and destination (numbers of the world's metas), the other
vrouter's address (0: none), the rules of policy and security group; VRF, flags, TCP flags of
both directions; action, the agent's reason, why it ended (ENDS), whether it is over, was not
seen before, is logged; tunnel (0 none, 1 MPLS over GRE, 2 MPLS over UDP, 3 VXLAN), bits of the
routes to source and destination (255: there is none)."""

ENDS: tuple[str, ...]
"""Why pairs end, by number."""

class Sampling(IntEnum):
    """What is told: nothing, what chance chooses below the bound and all above, everything."""

    NOTHING = 0
    SOME = 1
    ALL = 2

class SessionWalk:
    """Goes over pairs again and again and shows those that are to be told.

    `seed` is that of the chance; `rows` are the most that one step shows. It remembers what
    was told of each pair (48 bytes each), as long as anything is wanted.
    """

    pairs: FlowPairs

    def __init__(self, pairs: FlowPairs, *, seed: int, rows: int = 256) -> None: ...
    def choose(self, sampling: Sampling, bound: int = 0, *, logging: bool = False) -> None:
        """What is wanted from now on. Nothing at first.

        Below `bound` bytes since it was last looked at chance decides over a session, with a
        probability of (bytes + 1) / bound. `logging`: each new one is shown too, even if it is
        no sample, and always what `log` named.
        """

    def ended(self) -> bytes:
        """ROWs of sessions that ended. Call it until it gives fewer than `rows`, and before
        `running`: numbers of pairs are used again."""

    def running(self, budget: int = 16384) -> bytes:
        """ROWs of running sessions that counted on, out of the next `budget` pairs at most."""

    @property
    def midway(self) -> bool:
        """Whether `running` has not come to the last pair yet."""

    def log(self, number: int, serial: int) -> None:
        """Show all of this pair from now on; nothing happens when it is not there any more."""

    @property
    def counters(self) -> tuple[int, int, int]:
        """Samples, sessions that chance passed over, ended ones while nothing was wanted."""

    @property
    def memory(self) -> int:
        """Bytes allocated."""
