"""The datapath's flow table as `flow` reads it: what the datapath says of it, and its entries."""

from __future__ import annotations

from agent.cli.datapath_client import DatapathClient
from agent.errors import UsageError
from agent.io.table_device import FLOW_DEVICE, table_path
from agent.sandesh.vrouter import FlowOp, SandeshOp, VrFlowTableData, VrouterOps
from agent.shm import FlowEntry, FlowStatistics, FlowTable

_NEXT_INDEX = slice(16, 20)
_NO_INDEX = 0xFFFFFFFF
_LONGEST_CHAIN = 4096


class Source:
    """Use as a context manager. The file is mapped anew when the datapath has started anew."""

    def __init__(self, client: DatapathClient) -> None:
        self._client = client
        self._view: FlowTable | None = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._view is not None:
            self._view.close()

    def table(self) -> VrFlowTableData:
        """What the datapath says of its table now."""
        request = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
        return self._client.get(request.encode(), VrFlowTableData)

    def view(self, table: VrFlowTableData) -> FlowTable:
        """The entries. UsageError when the file cannot be read."""
        if self._view is not None and self._view.replaced():
            self._view.close()
            self._view = None
        if self._view is None:
            limits = self._client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)
            self._view = _open(table, limits.vo_flow_entries)
        return self._view

    def sample(self) -> tuple[VrFlowTableData, FlowStatistics]:
        """Counters of the datapath and of the table."""
        table = self.table()
        return table, self.view(table).statistics()


def _open(table: VrFlowTableData, main_entries: int) -> FlowTable:
    try:
        path = table_path(table.ftable_file_path, table.ftable_dev, FLOW_DEVICE)
        return FlowTable.open(path, main_entries, table.ftable_size or None)
    except OSError as error:
        name = table.ftable_file_path or FLOW_DEVICE.path
        raise UsageError(f"cannot read {name}: {error.strerror}") from None


def chain(view: FlowTable, flow: FlowEntry) -> list[int]:
    """The entries behind this one in its bucket's chain, as far as it can be followed."""
    found: list[int] = []
    following = flow.next_index
    while following is not None and following < len(view) and len(found) < _LONGEST_CHAIN:
        found.append(following)
        number = int.from_bytes(view.raw(following)[_NEXT_INDEX], "little")
        following = None if number == _NO_INDEX else number
    return found


def reverse(view: FlowTable, flow: FlowEntry) -> FlowEntry | None:
    """The flow of the answers, if there is one."""
    return None if flow.rflow is None else view.entry(flow.rflow)
