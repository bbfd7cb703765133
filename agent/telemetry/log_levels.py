"""What is logged, to be asked and changed while the agent runs; `agent.io.logs` follows it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from agent.errors import UsageError

LEVELS: Mapping[str, int] = {
    "SYS_EMERG": logging.CRITICAL,
    "SYS_ALERT": logging.CRITICAL,
    "SYS_CRIT": logging.CRITICAL,
    "SYS_ERR": logging.ERROR,
    "SYS_WARN": logging.WARNING,
    "SYS_NOTICE": logging.INFO,
    "SYS_INFO": logging.INFO,
    "SYS_DEBUG": logging.DEBUG,
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}
"""The reference agent's names of levels (facts oper-db.md section 7) beside the usual ones."""
DEFAULT = "SYS_NOTICE"
ROOT = "agent"


def level(word: str) -> str:
    """A level as it is shown; UsageError for what is none."""
    name = word.strip().upper()
    if name not in LEVELS:
        raise UsageError(f"{word}: expected one of {', '.join(LEVELS)}")
    return name


def module(word: str) -> str:
    """A module's name as loggers have it: `xmpp` and `agent.xmpp` are `agent.xmpp`."""
    name = word.strip().strip(".")
    return name if name == ROOT or name.startswith(f"{ROOT}.") else f"{ROOT}.{name}"


class LogLevels:
    """The level of everything, of modules apart, and of what category alone is logged.

    A module's level holds for all below it too. With a `category` (a module) only what comes
    from there is logged, and errors of all. `enabled` False: errors only. `known` tells whether
    there is such a module. `changed` is called after each change.
    """

    def __init__(
        self,
        changed: Callable[[LogLevels], None] = lambda _: None,
        known: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.level = DEFAULT
        self.modules: dict[str, str] = {}
        self.category = ""
        self.enabled = True
        self._changed = changed
        self._known = known

    def set(self, where: str, word: str) -> None:
        """The level of a module, or of everything for "" or `agent`. UsageError."""
        name = level(word)
        if module(where) == ROOT or not where.strip():
            self.level = name
        else:
            self.modules[self._module(where)] = name
        self._changed(self)

    def unset(self, where: str) -> None:
        """A module has the level of all others again."""
        self.modules.pop(module(where), None)
        self._changed(self)

    def only(self, category: str) -> None:
        """Log this module alone, and errors; "" for everything. UsageError."""
        self.category = self._module(category) if category.strip() else ""
        self._changed(self)

    def enable(self, on: bool) -> None:
        """Log, or nothing but errors."""
        self.enabled = on
        self._changed(self)

    def begin(self, word: str, modules: Mapping[str, str], category: str) -> None:
        """As the configuration file says; what was changed since is forgotten. UsageError."""
        wanted = {self._module(where): level(name) for where, name in modules.items()}
        self.level, self.modules = level(word), wanted
        self.enabled = True
        self.only(category)

    def _module(self, word: str) -> str:
        name = module(word)
        if not self._known(name):
            raise UsageError(f"{word}: there is no such module; expected one such as xmpp, io.xmpp")
        return name

    def record(self) -> dict[str, object]:
        """For JSON."""
        return {
            "enabled": self.enabled,
            "level": self.level,
            "category": self.category,
            "modules": dict(self.modules),
        }
