"""What the option `--trace` names."""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import ConfigError, UsageError

Words = Mapping[str, str]
"""The fields of a request to follow something."""


class _Nowhere:
    """There are no ports before the agent has begun."""

    def vmi_by_uuid(self, uuid: object) -> None:
        return None


def wanted(text: str) -> Words:
    """What it names: ConfigError for what is none of its forms.

    `port=UUID`, `prefix=A/L` or `prefix=A/L,VRF`, `flow=SRC,DST,PROTO[,SPORT,DPORT]`.
    """
    from agent.telemetry.trace_subjects import parse  # with all that may be followed

    kind, _, rest = text.partition("=")
    values = rest.split(",")
    names = {
        "port": ("port",),
        "prefix": ("prefix", "vrf"),
        "flow": ("source", "destination", "protocol", "source_port", "destination_port"),
    }.get(kind, ())
    if not rest or not names or len(values) > len(names):
        forms = "port=UUID, prefix=A/L[,VRF] or flow=SRC,DST,PROTO[,SPORT,DPORT]"
        raise ConfigError(f"--trace {text}: expected {forms}")
    words = dict(zip(names, values, strict=False))
    try:
        parse(words, _Nowhere())
    except UsageError as error:
        raise ConfigError(f"--trace {text}: {error}") from None
    return words
