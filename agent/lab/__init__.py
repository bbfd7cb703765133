"""Hosts, networks and VMs of a topology file, on one machine, as real processes.

In comes a topology (agent.topology); out come namespaces with real links, per host a
forwarder and an agent, per VM a DHCP client, all inside one private sandbox. Ports are
plugged through the agent's port API, and every check uses real clients.

`launch` makes the sandbox, `init` is its first process, `supervisor` owns the lab inside
and serves the control socket, `connection` is the client's side of that. The lab never
touches a namespace, link, mount or process outside its sandbox, nor a file outside its
run directory, and it imports nothing of the daemon: it knows public surfaces only.
"""
