"""Every descriptor of the agent: sockets, netlink, files, HTTP, timers of the loop.

In: bytes and events of the outside world. Out: the same, handed to the sans-I/O core,
and the core's bytes handed to the world. Never: a decision about the datapath's state,
a blocking call on the loop, or a queue without a bound.
"""

from agent.io.packages import in_parts

in_parts("pyroute2", "uvicorn")  # messages about links; a server without its command line
