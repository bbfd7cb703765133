"""Routes per VRF: prefixes, their paths and the best of them.

In: local routes, and batches of routes decoded from the controllers' stanzas.
Out: one desired route for each change; longest-prefix lookups for services and flows.
Never: I/O, clocks, or a Python object for each route that is only looked up.

Today it holds the lookup table; paths and their order come with the controllers.
"""

from agent._fast.lpm import NO_VALUE, PrefixTable

__all__ = ["NO_VALUE", "PrefixTable"]
