"""Operational state: what the datapath should look like, computed from the inputs.

In: the configuration graph, plugged ports, the host's links and settings, what services
learned from packets, and the numbers that the datapath already holds. Out: rows for the
services (`rows`) and desired objects for ksync, a batch at a time, with the difference to
the batch before. Functions are pure and read through a view that records what they read
(`incremental`); numbers live in `ids`; only `desired` knows messages.

It never does I/O, reads no clock, keeps no callbacks, and a bad configuration node gives an
inactive row with its reason, never an exception across the batch.
"""

from agent.oper.compiler import Compiler, Delta

__all__ = ["Compiler", "Delta"]
