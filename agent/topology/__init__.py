"""The topology file: hosts, networks, policies and VMs of a lab or of a standalone host.

The file is YAML; `parse` takes its loaded content and gives rows, or a `TopologyError` that
says what is wrong and where. UUIDs and, where left out, MAC addresses derive from names, so
that the same file always means the same objects.
"""

from agent.topology.file import parse
from agent.topology.policy_rows import (
    DEFAULT_GROUP,
    LOCAL,
    AddressGroup,
    Firewall,
    Policies,
    PolicySet,
    RuleEnd,
    SecurityGroup,
    Service,
    TrafficRule,
)
from agent.topology.reader import TopologyError
from agent.topology.rows import (
    Controller,
    GracefulRestart,
    Host,
    Network,
    NetworkSubnet,
    Topology,
    Vm,
    uuid_of,
)

__all__ = [
    "DEFAULT_GROUP",
    "LOCAL",
    "AddressGroup",
    "Controller",
    "Firewall",
    "GracefulRestart",
    "Host",
    "Network",
    "NetworkSubnet",
    "Policies",
    "PolicySet",
    "RuleEnd",
    "SecurityGroup",
    "Service",
    "Topology",
    "TopologyError",
    "TrafficRule",
    "Vm",
    "parse",
    "uuid_of",
]
