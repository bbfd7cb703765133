"""The lab's own failure."""

from agent.errors import AgentError


class LabError(AgentError):
    """A lab, or something in it, did not do what was asked; the text is for its user."""
