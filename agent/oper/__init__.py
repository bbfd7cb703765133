"""From inputs to the desired state, by pure functions.

In: graph nodes and links, plugged ports, kernel links, settings, learned facts.
Out: rows that services and tools read, and desired datapath objects for ksync.
Never: I/O, clocks, callbacks, or state outside the incremental engine.
"""
