"""The configuration file as one table: section, option, kind, default, and what it is for.

In: the text of the INI file of the reference agent (facts oper-db.md section 7), so that an
operator keeps the one he has, and what the environment and the command line set in its place.
Out: checked `Settings`, or findings with their place. Never: a file is opened, or the
environment read. What the table does not know is warned of and otherwise passed over.
"""

from agent.settings.finding import Finding, Severity
from agent.settings.kinds import PciDevice, Server
from agent.settings.option import Option, Reload
from agent.settings.overrides import Override, of_environment, of_words, unknown_variables, variable
from agent.settings.reading import Examined, differing, examine, parse
from agent.settings.table import TABLE
from agent.settings.values import Settings

__all__ = [
    "TABLE",
    "Examined",
    "Finding",
    "Option",
    "Override",
    "PciDevice",
    "Reload",
    "Server",
    "Settings",
    "Severity",
    "differing",
    "examine",
    "of_environment",
    "of_words",
    "parse",
    "unknown_variables",
    "variable",
]
