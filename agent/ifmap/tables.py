"""The configuration graph's schema as text tables, read by schema.py.

A line that starts with a blank continues the one before. Members are `name:type`,
with `*` when the element repeats and `=default` where there is one. Content: facts
ifmap-schema.json (node types that the agent reads, with the properties that it reads).
"""

NODES = """
access-control-list perms access-control-list-entries:AclEntriesType id-perms:IdPermsType
    display-name:string
address-group plain address-group-prefix:SubnetListType id-perms:IdPermsType display-name:string
alias-ip plain alias-ip-address:string id-perms:IdPermsType display-name:string
alias-ip-pool plain id-perms:IdPermsType display-name:string
application-policy-set perms all-applications:bool=false id-perms:IdPermsType
    display-name:string
application-policy-set-firewall-policy attribute value:FirewallSequence
bgp-as-a-service plain bgpaas-shared:bool=false id-perms:IdPermsType display-name:string
bgp-router plain bgp-router-parameters:BgpRouterParams id-perms:IdPermsType display-name:string
bgpaas-control-node-zone attribute value:BGPaaSControlNodeZoneAttributes
bridge-domain perms isid:int mac-aging-time:int=300 mac-learning-enabled:bool=false
    id-perms:IdPermsType display-name:string
control-node-zone plain id-perms:IdPermsType display-name:string
customer-attachment plain id-perms:IdPermsType display-name:string
domain plain id-perms:IdPermsType display-name:string
firewall-policy perms id-perms:IdPermsType display-name:string
firewall-policy-firewall-rule attribute value:FirewallSequence
firewall-policy-security-logging-object attribute value:SloRateType
firewall-rule perms action-list:ActionListType direction:string
    endpoint-1:FirewallRuleEndpointType endpoint-2:FirewallRuleEndpointType
    match-tag-types:FirewallRuleMatchTagsTypeIdList match-tags:FirewallRuleMatchTagsType
    service:FirewallServiceType id-perms:IdPermsType display-name:string
firewall-rule-security-logging-object attribute value:SloRateType
floating-ip plain floating-ip-address:string floating-ip-fixed-ip-address:string
    floating-ip-port-mappings:PortMappings floating-ip-port-mappings-enable:bool=false
    floating-ip-traffic-direction:string=both id-perms:IdPermsType display-name:string
floating-ip-pool plain id-perms:IdPermsType display-name:string
forwarding-class perms forwarding-class-dscp:int forwarding-class-id:int=0
    forwarding-class-mpls-exp:int forwarding-class-vlan-priority:int id-perms:IdPermsType
    display-name:string
global-qos-config plain control-traffic-dscp:ControlTrafficDscpType id-perms:IdPermsType
    display-name:string
global-system-config plain bgpaas-parameters:BGPaaServiceParametersType
    fast-convergence-parameters:FastConvergenceParametersType
    graceful-restart-parameters:GracefulRestartParametersType igmp-enable:bool=false
    id-perms:IdPermsType display-name:string
global-vrouter-config plain ecmp-hashing-include-fields:EcmpHashingIncludeFields
    enable-security-logging:bool=true encapsulation-priorities:EncapsulationPrioritiesType
    encryption-mode:string=none encryption-tunnel-endpoints:EncryptionTunnelEndpointList
    flow-aging-timeout-list:FlowAgingTimeoutList flow-export-rate:int forwarding-mode:string
    global-max-vmi-flows:int=0 linklocal-services:LinklocalServicesTypes
    max-vm-flows-percent:int=0 port-translation-pools:PortTranslationPools
    vxlan-network-identifier-mode:string id-perms:IdPermsType display-name:string
host-based-service plain id-perms:IdPermsType display-name:string
host-based-service-virtual-network attribute value:ServiceVirtualNetworkType
instance-ip plain instance-ip-address:string instance-ip-local-ip:bool=false
    instance-ip-mode:string instance-ip-secondary:bool=false secondary-ip-tracking-ip:SubnetType
    service-health-check-ip:bool=false service-instance-ip:bool=false id-perms:IdPermsType
    display-name:string
interface-route-table plain interface-route-table-routes:RouteTableType id-perms:IdPermsType
    display-name:string
logical-interface perms logical-interface-vlan-tag:int id-perms:IdPermsType display-name:string
logical-router plain logical-router-type:string=snat-routing id-perms:IdPermsType
    display-name:string
logical-router-virtual-network attribute value:LogicalRouterVirtualNetworkType
multicast-policy perms multicast-source-groups:MulticastSourceGroups id-perms:IdPermsType
    display-name:string
namespace plain id-perms:IdPermsType display-name:string
network-ipam plain ipam-subnet-method:string ipam-subnets:IpamSubnets network-ipam-mgmt:IpamType
    id-perms:IdPermsType display-name:string
physical-interface plain id-perms:IdPermsType display-name:string
physical-router perms physical-router-dataplane-ip:string physical-router-management-ip:string
    physical-router-vendor-name:string id-perms:IdPermsType display-name:string
policy-management plain id-perms:IdPermsType display-name:string
port-tuple perms id-perms:IdPermsType display-name:string
project plain id-perms:IdPermsType display-name:string
provider-attachment plain id-perms:IdPermsType display-name:string
qos-config perms default-forwarding-class-id:int=0 dscp-entries:QosIdForwardingClassPairs
    mpls-exp-entries:QosIdForwardingClassPairs qos-config-type:string
    vlan-priority-entries:QosIdForwardingClassPairs id-perms:IdPermsType display-name:string
qos-queue perms qos-queue-identifier:int id-perms:IdPermsType display-name:string
routing-instance plain routing-instance-fabric-snat:bool=false
    routing-instance-is-default:bool=false id-perms:IdPermsType display-name:string
security-group perms security-group-id:int id-perms:IdPermsType display-name:string
security-logging-object perms security-logging-object-rate:int=100
    security-logging-object-rules:SecurityLoggingObjectRuleListType id-perms:IdPermsType
    display-name:string
service-group plain service-group-firewall-service-list:FirewallServiceGroupType
    id-perms:IdPermsType display-name:string
service-health-check perms service-health-check-properties:ServiceHealthCheckType
    id-perms:IdPermsType display-name:string
service-instance perms service-instance-bindings:KeyValuePairs
    service-instance-properties:ServiceInstanceType id-perms:IdPermsType display-name:string
service-template perms service-template-properties:ServiceTemplateType id-perms:IdPermsType
    display-name:string
sub-cluster plain id-perms:IdPermsType display-name:string
subnet plain subnet-ip-prefix:SubnetType id-perms:IdPermsType display-name:string
tag perms tag-id:string tag-type-name:string tag-value:string id-perms:IdPermsType
    display-name:string
virtual-DNS plain virtual-DNS-data:VirtualDnsType id-perms:IdPermsType display-name:string
virtual-DNS-record plain id-perms:IdPermsType display-name:string
virtual-ip plain id-perms:IdPermsType display-name:string
virtual-machine perms id-perms:IdPermsType display-name:string
virtual-machine-interface perms ecmp-hashing-include-fields:EcmpHashingIncludeFields
    igmp-enable:bool=false port-security-enabled:bool=true
    virtual-machine-interface-allowed-address-pairs:AllowedAddressPairs
    virtual-machine-interface-bindings:KeyValuePairs
    virtual-machine-interface-device-owner:string
    virtual-machine-interface-dhcp-option-list:DhcpOptionsListType
    virtual-machine-interface-disable-policy:bool=false
    virtual-machine-interface-fat-flow-protocols:FatFlowProtocols
    virtual-machine-interface-host-routes:RouteTableType
    virtual-machine-interface-mac-addresses:MacAddressesType
    virtual-machine-interface-properties:VirtualMachineInterfacePropertiesType
    vrf-assign-table:VrfAssignTableType id-perms:IdPermsType display-name:string
virtual-machine-interface-bridge-domain attribute value:BridgeDomainMembershipType
virtual-machine-interface-routing-instance attribute value:PolicyBasedForwardingRuleType
virtual-network perms ecmp-hashing-include-fields:EcmpHashingIncludeFields
    fabric-snat:bool=false flood-unknown-unicast:bool=false igmp-enable:bool=false
    layer2-control-word:bool=false mac-aging-time:int=300 mac-ip-learning-enable:bool=false
    mac-learning-enabled:bool=false pbb-etree-enable:bool=false pbb-evpn-enable:bool=false
    virtual-network-fat-flow-protocols:FatFlowProtocols virtual-network-network-id:int
    virtual-network-properties:VirtualNetworkType id-perms:IdPermsType display-name:string
virtual-network-network-ipam attribute value:VnSubnetsType
virtual-port-group plain id-perms:IdPermsType display-name:string
virtual-port-group-physical-interface attribute value:VpgInterfaceParametersType
virtual-router plain agent-stats-collector-interval:int agent-uve-default-interval:int
    agent-uve-incremental-interval:int virtual-router-tracebuffer-length:KeyValuePairs
    id-perms:IdPermsType display-name:string
virtual-router-network-ipam attribute value:VirtualRouterNetworkIpamType
"""

LINKS = """
address-group-tag address-group tag
alias-ip-pool-alias-ip alias-ip-pool alias-ip
alias-ip-virtual-machine-interface alias-ip virtual-machine-interface
application-policy-set-firewall-policy application-policy-set firewall-policy attribute
application-policy-set-global-vrouter-config application-policy-set global-vrouter-config
application-policy-set-tag application-policy-set tag
bgp-router-control-node-zone bgp-router control-node-zone
bgp-router-sub-cluster bgp-router sub-cluster
bgpaas-bgp-router bgp-as-a-service bgp-router
bgpaas-control-node-zone bgp-as-a-service control-node-zone attribute
bgpaas-health-check bgp-as-a-service service-health-check
bgpaas-virtual-machine-interface bgp-as-a-service virtual-machine-interface
customer-attachment-virtual-machine-interface customer-attachment virtual-machine-interface
domain-namespace domain namespace
domain-service-template domain service-template
domain-virtual-DNS domain virtual-DNS
firewall-policy-firewall-rule firewall-policy firewall-rule attribute
firewall-policy-security-logging-object firewall-policy security-logging-object attribute
firewall-rule-address-group firewall-rule address-group
firewall-rule-security-logging-object firewall-rule security-logging-object attribute
firewall-rule-service-group firewall-rule service-group
firewall-rule-tag firewall-rule tag
floating-ip-pool-floating-ip floating-ip-pool floating-ip
floating-ip-virtual-machine-interface floating-ip virtual-machine-interface
forwarding-class-qos-queue forwarding-class qos-queue
global-qos-config-forwarding-class global-qos-config forwarding-class
global-qos-config-qos-config global-qos-config qos-config
global-qos-config-qos-queue global-qos-config qos-queue
global-system-config-bgp-router global-system-config bgp-router
global-system-config-global-qos-config global-system-config global-qos-config
global-system-config-global-vrouter-config global-system-config global-vrouter-config
global-system-config-virtual-router global-system-config virtual-router
global-vrouter-config-security-logging-object global-vrouter-config security-logging-object
host-based-service-virtual-network host-based-service virtual-network attribute
instance-bgp-router routing-instance bgp-router
instance-ip-floating-ip instance-ip floating-ip
instance-ip-virtual-machine-interface instance-ip virtual-machine-interface
instance-ip-virtual-network instance-ip virtual-network
logical-interface-virtual-machine-interface logical-interface virtual-machine-interface
logical-router-interface logical-router virtual-machine-interface
logical-router-virtual-network logical-router virtual-network attribute
network-ipam-virtual-DNS network-ipam virtual-DNS
physical-interface-logical-interface physical-interface logical-interface
physical-router-bgp-router physical-router bgp-router
physical-router-logical-interface physical-router logical-interface
physical-router-physical-interface physical-router physical-interface
physical-router-virtual-network physical-router virtual-network
physical-router-virtual-router physical-router virtual-router
policy-management-application-policy-set policy-management application-policy-set
port-tuple-interface virtual-machine-interface port-tuple
project-host-based-service project host-based-service
project-logical-router project logical-router
project-tag project tag
project-virtual-machine-interface project virtual-machine-interface
project-virtual-network project virtual-network
provider-attachment-virtual-router provider-attachment virtual-router
qos-config-global-system-config qos-config global-system-config
security-group-access-control-list security-group access-control-list
security-logging-object-network-policy security-logging-object network-policy attribute
security-logging-object-security-group security-logging-object security-group attribute
service-instance-port-tuple service-instance port-tuple
service-instance-service-template service-instance service-template
service-port-health-check virtual-machine-interface service-health-check
subnet-virtual-machine-interface subnet virtual-machine-interface
virtual-DNS-virtual-DNS-record virtual-DNS virtual-DNS-record
virtual-machine-interface-bgp-router virtual-machine-interface bgp-router
virtual-machine-interface-bridge-domain virtual-machine-interface bridge-domain attribute
virtual-machine-interface-qos-config virtual-machine-interface qos-config
virtual-machine-interface-route-table virtual-machine-interface interface-route-table
virtual-machine-interface-routing-instance virtual-machine-interface routing-instance attribute
virtual-machine-interface-security-group virtual-machine-interface security-group
virtual-machine-interface-security-logging-object virtual-machine-interface
    security-logging-object
virtual-machine-interface-sub-interface virtual-machine-interface virtual-machine-interface
virtual-machine-interface-tag virtual-machine-interface tag
virtual-machine-interface-virtual-machine virtual-machine-interface virtual-machine
virtual-machine-interface-virtual-network virtual-machine-interface virtual-network
virtual-machine-service-instance virtual-machine service-instance
virtual-machine-tag virtual-machine tag
virtual-machine-virtual-machine-interface virtual-machine virtual-machine-interface
virtual-network-access-control-list virtual-network access-control-list
virtual-network-alias-ip-pool virtual-network alias-ip-pool
virtual-network-bridge-domain virtual-network bridge-domain
virtual-network-floating-ip-pool virtual-network floating-ip-pool
virtual-network-multicast-policy virtual-network multicast-policy
virtual-network-network-ipam virtual-network network-ipam attribute
virtual-network-provider-network virtual-network virtual-network
virtual-network-qos-config virtual-network qos-config
virtual-network-routing-instance virtual-network routing-instance
virtual-network-security-logging-object virtual-network security-logging-object
virtual-network-tag virtual-network tag
virtual-port-group-physical-interface virtual-port-group physical-interface attribute
virtual-port-group-virtual-machine-interface virtual-port-group virtual-machine-interface
virtual-router-network-ipam virtual-router network-ipam attribute
virtual-router-sub-cluster virtual-router sub-cluster
virtual-router-virtual-machine virtual-router virtual-machine
virtual-router-virtual-machine-interface virtual-router virtual-machine-interface
vn-health-check virtual-network service-health-check
"""

STRUCTURES = """
AclEntriesType dynamic:bool acl-rule:AclRuleType*
AclRuleType match-condition:MatchConditionType action-list:ActionListType rule-uuid:string
    direction:string
ActionListType simple-action:string gateway-name:string apply-service:string*
    service-properties:ServicePropertiesType mirror-to:MirrorActionType
    assign-routing-instance:string log:bool=false alert:bool=false qos-action:string
    host-based-service:bool=false
AddressFamilies family:string*
AddressType subnet:SubnetType virtual-network:string security-group:string network-policy:string
    subnet-list:SubnetType*
AllocationPoolType start:string end:string vrouter-specific-pool:bool
AllowedAddressPair ip:SubnetType mac:string address-mode:string
AllowedAddressPairs allowed-address-pair:AllowedAddressPair*
AuthenticationData key-type:string key-items:AuthenticationKeyItem
AuthenticationKeyItem key-id:int key:string
BGPaaSControlNodeZoneAttributes bgpaas-control-node-zone-type:string
BGPaaServiceParametersType port-start:int=50000 port-end:int=50512
BgpRouterParams admin-down:bool=false vendor:string cluster-id:int autonomous-system:int
    identifier:string address:string port:int=179 source-port:int hold-time:int=0
    address-families:AddressFamilies auth-data:AuthenticationData local-autonomous-system:int
    router-type:string gateway-address:string ipv6-gateway-address:string
BridgeDomainMembershipType vlan-tag:int
CommunityAttributes community-attribute:string*
ControlTrafficDscpType control:int analytics:int dns:int
DhcpOptionType dhcp-option-name:string dhcp-option-value:string dhcp-option-value-bytes:string
DhcpOptionsListType dhcp-option:DhcpOptionType*
DnsSoaRecordType negative-cache-ttl-seconds:int
EcmpHashingIncludeFields hashing-configured:bool=false source-ip:bool=true
    destination-ip:bool=true ip-protocol:bool=true source-port:bool=true
    destination-port:bool=true
EncapsulationPrioritiesType encapsulation:string*
EncryptionTunnelEndpoint tunnel-remote-ip-address:string
EncryptionTunnelEndpointList endpoint:EncryptionTunnelEndpoint*
FastConvergenceParametersType enable:bool=false nh-reachability-check:bool=false
    xmpp-hold-time:int=90
FatFlowProtocols fat-flow-protocol:ProtocolType*
FirewallRuleEndpointType subnet:SubnetType virtual-network:string address-group:string
    tags:string* tag-ids:uint64* any:bool
FirewallRuleMatchTagsType tag-list:string*
FirewallRuleMatchTagsTypeIdList tag-type:int*
FirewallSequence sequence:string
FirewallServiceGroupType firewall-service:FirewallServiceType*
FirewallServiceType protocol:string protocol-id:int src-ports:PortType dst-ports:PortType
FlowAgingTimeout protocol:string port:int timeout-in-seconds:int
FlowAgingTimeoutList flow-aging-timeout:FlowAgingTimeout*
GracefulRestartParametersType enable:bool=false restart-time:int=300
    long-lived-restart-time:int=300 end-of-rib-timeout:int=300 bgp-helper-enable:bool=false
    xmpp-helper-enable:bool=false
IdPermsType permissions:PermType uuid:UuidType enable:bool created:string last-modified:string
    description:string user-visible:bool=true creator:string
InterfaceMirrorType traffic-direction:string mirror-to:MirrorActionType
IpAddressesType ip-address:string*
IpamDnsAddressType tenant-dns-server-address:IpAddressesType virtual-dns-server-name:string
IpamSubnetType subnet:SubnetType default-gateway:string dns-server-address:string
    subnet-uuid:string enable-dhcp:bool=true dns-nameservers:string*
    allocation-pools:AllocationPoolType* addr_from_start:bool
    dhcp-option-list:DhcpOptionsListType host-routes:RouteTableType subnet-name:string
    alloc-unit:int=1 created:string last-modified:string subscriber-tag:string vlan-tag:int
    dhcp-relay-server:string*
IpamSubnets subnets:IpamSubnetType*
IpamType ipam-method:string ipam-dns-method:string ipam-dns-server:IpamDnsAddressType
    dhcp-option-list:DhcpOptionsListType cidr-block:SubnetType host-routes:RouteTableType
KeyValuePair key:string value:string
KeyValuePairs key-value-pair:KeyValuePair*
LinklocalServiceEntryType linklocal-service-name:string linklocal-service-ip:string
    linklocal-service-port:int ip-fabric-DNS-service-name:string ip-fabric-service-port:int
    ip-fabric-service-ip:string*
LinklocalServicesTypes linklocal-service-entry:LinklocalServiceEntryType*
LogicalRouterVirtualNetworkType logical-router-virtual-network-type:string=ExternalGateway
MacAddressesType mac-address:string*
MatchConditionType protocol:string src-address:AddressType src-port:PortType
    dst-address:AddressType dst-port:PortType ethertype:string
MirrorActionType analyzer-name:string encapsulation:string analyzer-ip-address:string
    analyzer-mac-address:string routing-instance:string udp-port:int juniper-header:bool=true
    nh-mode:string static-nh-header:StaticMirrorNhType nic-assisted-mirroring:bool=false
    nic-assisted-mirroring-vlan:int
MulticastSourceGroup source-address:string group-address:string action:string
MulticastSourceGroups multicast-source-group:MulticastSourceGroup*
PermType owner:string owner-access:int group:string group-access:int other-access:int
PolicyBasedForwardingRuleType direction:string vlan-tag:int src-mac:string dst-mac:string
    mpls-label:int service-chain-address:string ipv6-service-chain-address:string
    protocol:string
PortMap protocol:string src-port:int dst-port:int
PortMappings port-mappings:PortMap*
PortTranslationPool protocol:string port-range:PortType port-count:int
PortTranslationPools port-translation-pool:PortTranslationPool*
PortType start-port:int=0 end-port:int=65535
ProtocolType protocol:string port:int ignore-address:string source-prefix:SubnetType
    source-aggregate-prefix-length:int destination-prefix:SubnetType
    destination-aggregate-prefix-length:int
QosIdForwardingClassPair key:int forwarding-class-id:int
QosIdForwardingClassPairs qos-id-forwarding-class-pair:QosIdForwardingClassPair*
RouteTableType route:RouteType*
RouteType prefix:string next-hop:string next-hop-type:string
    community-attributes:CommunityAttributes
SecurityLoggingObjectRuleEntryType rule-uuid:string rate:int=100
SecurityLoggingObjectRuleListType rule:SecurityLoggingObjectRuleEntryType*
ServiceHealthCheckType enabled:bool=false health-check-type:string monitor-type:string delay:int
    delayUsecs:int=0 timeout:int timeoutUsecs:int=0 max-retries:int http-method:string
    url-path:string expected-codes:string target-ip-all:bool=false
    target-ip-list:IpAddressesType
ServiceInstanceInterfaceType virtual-network:string ip-address:string
    static-routes:RouteTableType allowed-address-pairs:AllowedAddressPairs
ServiceInstanceType auto-policy:bool=false availability-zone:string
    management-virtual-network:string left-virtual-network:string left-ip-address:string
    right-virtual-network:string right-ip-address:string
    interface-list:ServiceInstanceInterfaceType* scale-out:ServiceScaleOutType ha-mode:string
    virtual-router-id:string service-virtualization-type:string
ServicePropertiesType retain-as-path:bool=false
ServiceScaleOutType max-instances:int=1 auto-scale:bool=false
ServiceTemplateInterfaceType service-interface-type:string shared-ip:bool=false
    static-route-enable:bool=false
ServiceTemplateType version:int=1 service-mode:string service-type:string image-name:string
    service-scaling:bool=false interface-type:ServiceTemplateInterfaceType* flavor:string
    ordered-interfaces:bool=false service-virtualization-type:string
    availability-zone-enable:bool=false vrouter-instance-type:string instance-data:string
ServiceVirtualNetworkType virtual-network-type:string
SloRateType rate:int=-1
StaticMirrorNhType vtep-dst-ip-address:string vtep-dst-mac-address:string vni:int
SubnetListType subnet:SubnetType*
SubnetType ip-prefix:string ip-prefix-len:int
UuidType uuid-mslong:uint64 uuid-lslong:uint64
VirtualDnsType domain-name:string dynamic-records-from-client:bool record-order:string=random
    default-ttl-seconds:int next-virtual-DNS:string floating-ip-record:string
    external-visible:bool=false reverse-resolution:bool=false soa-record:DnsSoaRecordType
VirtualMachineInterfacePropertiesType service-interface-type:string
    interface-mirror:InterfaceMirrorType local-preference:int sub-interface-vlan-tag:int
    max-flows:int=0
VirtualNetworkType allow-transit:bool network-id:int vxlan-network-identifier:int
    forwarding-mode:string rpf:string mirror-destination:bool=false max-flows:int=0 mtu:int
VirtualRouterNetworkIpamType allocation-pools:AllocationPoolType* subnet:SubnetType*
VnSubnetsType ipam-subnets:IpamSubnetType* host-routes:RouteTableType
VpgInterfaceParametersType ae-num:int
VrfAssignRuleType match-condition:MatchConditionType vlan-tag:int routing-instance:string
    ignore-acl:bool
VrfAssignTableType vrf-assign-rule:VrfAssignRuleType*
"""
