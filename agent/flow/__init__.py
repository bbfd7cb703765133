"""Decisions on flows: what happens to a connection of which the first packet was trapped.

In: rows of `oper` (access lists, what ports say of their packets), the datapath's objects, and
trapped packets by the batch. Out: flow pairs, as requests to the datapath that are made and
taken back as a unit; what became of each, with the rules that decided.
Never: descriptors, clocks, or a Python object for each flow: packets, decisions and pairs stay
in the compiled kernels (`agent._fast.classifier`, `flow_world`, `flow_pairs`); what is here
feeds them, and handles what is rare.
"""

from agent.flow.engine import FlowEngine

__all__ = ["FlowEngine"]
