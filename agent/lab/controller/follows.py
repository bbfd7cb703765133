"""Along which links a control node walks from a node of a type (facts ifmap-schema.json).

What it reaches from an agent's virtual-router is what it sends to that agent. From an
attribute node it goes on along the attribute's own links.
"""

from __future__ import annotations

from collections.abc import Mapping

_TABLE = """
address-group address-group-tag
alias-ip alias-ip-pool-alias-ip
alias-ip-pool virtual-network-alias-ip-pool
application-policy-set application-policy-set-firewall-policy
    policy-management-application-policy-set
bgp-as-a-service bgpaas-bgp-router bgpaas-health-check bgpaas-control-node-zone
bgp-router instance-bgp-router physical-router-bgp-router bgp-router-control-node-zone
domain domain-namespace domain-virtual-DNS
firewall-policy firewall-policy-firewall-rule firewall-policy-security-logging-object
firewall-rule firewall-rule-tag firewall-rule-service-group firewall-rule-address-group
    firewall-rule-security-logging-object
floating-ip floating-ip-pool-floating-ip instance-ip-floating-ip
floating-ip-pool virtual-network-floating-ip-pool
forwarding-class forwarding-class-qos-queue
global-qos-config global-qos-config-forwarding-class global-qos-config-qos-queue
    global-qos-config-qos-config
global-system-config global-system-config-global-vrouter-config
    global-system-config-global-qos-config global-system-config-bgp-router
    qos-config-global-system-config
global-vrouter-config application-policy-set-global-vrouter-config
    global-vrouter-config-security-logging-object
host-based-service host-based-service-virtual-network
instance-ip instance-ip-virtual-network
logical-interface logical-interface-virtual-machine-interface
logical-router logical-router-virtual-network logical-router-interface
multicast-policy virtual-network-multicast-policy
network-ipam network-ipam-virtual-DNS
physical-interface physical-interface-logical-interface virtual-port-group-physical-interface
physical-router physical-router-physical-interface physical-router-logical-interface
    physical-router-virtual-network
port-tuple service-instance-port-tuple port-tuple-interface
project project-tag project-logical-router project-host-based-service
security-group security-group-access-control-list
security-logging-object virtual-network-security-logging-object
    virtual-machine-interface-security-logging-object
    global-vrouter-config-security-logging-object
    security-logging-object-network-policy security-logging-object-security-group
service-instance service-instance-service-template service-instance-port-tuple
service-template domain-service-template
sub-cluster bgp-router-sub-cluster
tag application-policy-set-tag
virtual-DNS virtual-DNS-virtual-DNS-record
virtual-machine virtual-machine-service-instance virtual-machine-interface-virtual-machine
    virtual-machine-tag
virtual-machine-interface virtual-machine-virtual-machine-interface
    virtual-machine-interface-sub-interface instance-ip-virtual-machine-interface
    virtual-machine-interface-virtual-network virtual-machine-interface-security-group
    floating-ip-virtual-machine-interface alias-ip-virtual-machine-interface
    customer-attachment-virtual-machine-interface virtual-machine-interface-routing-instance
    virtual-machine-interface-route-table subnet-virtual-machine-interface
    service-port-health-check bgpaas-virtual-machine-interface
    virtual-machine-interface-qos-config virtual-machine-interface-bridge-domain
    virtual-machine-interface-security-logging-object project-virtual-machine-interface
    port-tuple-interface virtual-machine-interface-tag virtual-machine-interface-bgp-router
virtual-network virtual-network-floating-ip-pool virtual-network-alias-ip-pool
    virtual-network-network-ipam virtual-network-access-control-list
    virtual-network-routing-instance virtual-network-qos-config virtual-network-bridge-domain
    virtual-network-security-logging-object virtual-network-tag
    virtual-network-provider-network virtual-network-multicast-policy vn-health-check
    host-based-service-virtual-network project-virtual-network
virtual-port-group virtual-port-group-virtual-machine-interface
    virtual-port-group-physical-interface
virtual-router physical-router-virtual-router virtual-router-virtual-machine
    virtual-router-network-ipam global-system-config-virtual-router
    provider-attachment-virtual-router virtual-router-virtual-machine-interface
    virtual-router-sub-cluster
"""


def _rows() -> Mapping[str, frozenset[str]]:
    rows = (line.split() for line in _TABLE.replace("\n    ", " ").splitlines() if line)
    return {kind: frozenset(links) for kind, *links in rows}


_FOLLOWS = _rows()


def follows(kind: str, metadata: str) -> bool:
    """Whether a link of `metadata` is walked from a node of the type `kind`."""
    return kind == metadata or metadata in _FOLLOWS.get(kind, frozenset())
