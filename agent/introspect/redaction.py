"""What is not shown of configuration: keys and passwords that controllers send along."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
_KEYS = "key-items"
"""Keys by which BGP sessions are known (IF-MAP's AuthenticationData), each a `key` with an id."""
_SECRET = re.compile(r"secret|passw|credential|private-key", re.IGNORECASE)


def shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The members with `(hidden)` for those that are secret, at any depth."""
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> Any:
    if _SECRET.search(name):
        return HIDDEN
    if name == _KEYS:
        return [_key(one) for one in (value if isinstance(value, list | tuple) else [value])]
    if isinstance(value, Mapping):
        return shown(value)
    if isinstance(value, list | tuple):
        return [_value("", one) for one in value]
    return value


def _key(item: Any) -> Any:
    return {**item, "key": HIDDEN} if isinstance(item, Mapping) else HIDDEN
