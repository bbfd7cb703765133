"""Routes per VRF: the paths of each controller by prefix, and the best of them.

In: batches of routes decoded from the controllers' stanzas, and where sessions begin and
end. Out: the routes whose best path changed, a bounded number at a time; longest-prefix
lookups for services and flows.
Never: I/O, clocks, an object of its own for each path, or an opinion on how a route is
forwarded: that, and the rank of this host's own routes, is `oper`'s.
"""

from agent._fast.lpm import NO_VALUE, PrefixTable
from agent.rib.rib import Counters, Rib
from agent.rib.table import Changes, Table, preference

__all__ = ["NO_VALUE", "Changes", "Counters", "PrefixTable", "Rib", "Table", "preference"]
