"""The agent as a process: the only package that builds the parts and connects them.

In: settings, a topology, and what the parts of `io` bring. Out: what the core answers,
handed to the parts of `io`. Never: a rule of its own about the datapath or a protocol.
Nothing is imported here: commands that ask a running agent start without building one.
"""
