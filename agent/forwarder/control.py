"""What the handlers of one forwarder share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent._fast.forwarding import Datapath
from agent.forwarder import rundir
from agent.forwarder.ports import Ports
from agent.forwarder.records import Records
from agent.forwarder.sizes import Sizes
from agent.sandesh.vrouter import VrouterOps


def default_tunables(sizes: Sizes) -> VrouterOps:
    """The settable part of vrouter_ops at start."""
    return VrouterOps(
        vo_perfr=1,
        vo_perfs=1,
        vo_from_vm_mss_adj=1,
        vo_to_vm_mss_adj=1,
        vo_perfr2=1,
        vo_perfr3=1,
        vo_perfp=1,
        vo_flow_hold_limit=sizes.flow_hold_limit,
    )


@dataclass(slots=True)
class Control:
    """The data plane, its descriptors, the records and the tunables."""

    datapath: Datapath
    ports: Ports
    sizes: Sizes
    run_dir: Path
    flow_file: Path = field(init=False)
    bridge_file: Path = field(init=False)
    """Where the shared tables are."""
    records: Records = field(default_factory=Records)
    tunables: VrouterOps = field(init=False)

    def __post_init__(self) -> None:
        self.flow_file = self.run_dir / rundir.FLOW_TABLE
        self.bridge_file = self.run_dir / rundir.BRIDGE_TABLE
        self.tunables = default_tunables(self.sizes)
