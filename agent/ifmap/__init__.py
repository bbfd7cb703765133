"""The configuration graph (IFMap) of this host.

In: nodes and links, from a controller's config stanzas or from a topology file, in any
order, with sequence numbers; schema tables say which types, properties and links exist.
Out: the present nodes, their neighbours along a link, lookups by UUID, and after each
batch the set of what changed. Links may come before their nodes; what is unknown is kept
and counted. It never interprets a property, opens a file or a socket, or reads a clock.
"""

from agent.ifmap.graph import Change, Graph, Identity, Neighbours, NodeRef, uuid_of

__all__ = ["Change", "Graph", "Identity", "Neighbours", "NodeRef", "uuid_of"]
