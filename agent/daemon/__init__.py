"""The agent as a process: the only package that builds the parts and connects them.

In: settings, a topology, and what the parts of `io` bring. Out: what the core answers,
handed to the parts of `io`. Never: a rule of its own about the datapath or a protocol.
"""

from agent.daemon.configuration import Sources
from agent.daemon.daemon import Daemon, run

__all__ = ["Daemon", "Sources", "run"]
