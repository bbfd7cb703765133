"""Read-only views of the flow and bridge tables that a datapath shares.

In: the path of a mapped table (from `vr_flow_table_data`, `vr_bridge_table_data`)
and the bytes that a datapath writes there while we read. Out: frozen rows, picked
indices, sums, an index for a key, the numbers of a whole table. `open` maps the file
read-only and is the only place of this package that touches a descriptor; everything
else takes any buffer.

Nothing in a table is trusted: indices are checked against the mapping, entries are
validated, and one that cannot be right is counted (`corrupt`, `torn`) and passed over.
This package never writes to a table and never follows the datapath's pointers.
"""

from agent.shm.bridge import BridgeEntry, BridgeFlag, BridgeStatistics, BridgeTable
from agent.shm.filter import FlowEnd, FlowFilter
from agent.shm.flow import FlowAction, FlowEntry, FlowFlag, FlowKey, FlowScan, FlowTable, TcpFlag
from agent.shm.geometry import Geometry, overflow_entries
from agent.shm.mac_audit import MacAudit
from agent.shm.reasons import FLOW_DROP_REASONS
from agent.shm.statistics import FlowCounts, FlowStatistics

__all__ = [
    "FLOW_DROP_REASONS",
    "BridgeEntry",
    "BridgeFlag",
    "BridgeStatistics",
    "BridgeTable",
    "FlowAction",
    "FlowCounts",
    "FlowEnd",
    "FlowEntry",
    "FlowFilter",
    "FlowFlag",
    "FlowKey",
    "FlowScan",
    "FlowStatistics",
    "FlowTable",
    "Geometry",
    "MacAudit",
    "TcpFlag",
    "overflow_entries",
]
