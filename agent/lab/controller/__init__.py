"""A controller for labs and tests: the least of a control node that agents can live from.

In come the XMPP streams of agents: subscriptions to their configuration and to VRFs, and
routes. Out go the configuration of a topology file, the routes of other agents, broadcast
trees and end markers, in the dialect of facts xmpp-ifmap.md. It is a process of its own
(`python -m agent.lab.controller`); `controller` is the core without sockets, `server` its
sockets, `messages` the commands that make it stop, delay, flap, withhold or repeat. It
speaks no BGP, so two of them share no routes, and it stores nothing.
"""
