"""The embedded userspace datapath: `vrouter-forwarder`, a process of its own.

In: Sandesh requests on DIR/dpdk_netlink (several clients), frames from taps, veths and
the fabric interface, pkt0 datagrams from the agent, link events of the host. Out:
replies, frames, trapped packets on DIR/dpdk_pkt0, the shared tables DIR/flow.shmem and
DIR/bridge.shmem. What it does with them: facts datapath-behaviour.md.

The compiled data plane (`agent._fast.forwarding`) moves packets on its own thread; the
modules here are the control side. It shares no state with the agent but sockets and
shared memory, never reads the agent's configuration, and keeps forwarding when the
agent goes away.
"""
