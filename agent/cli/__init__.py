"""Console commands: thin shells over the public surfaces of the other packages.

In: arguments of a user or a script. Out: text as the original tools print it, or JSON
with `--json`; one clear line on standard error and a status when something is wrong.
Nothing here decides anything about the datapath, keeps state, or needs the agent.
"""
