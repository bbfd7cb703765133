"""How many objects of each kind a forwarder has room for.

Defaults are the reference datapath's (facts datapath-behaviour.md section 9).
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import ConfigError
from agent.shm.geometry import BUCKET_SIZE, overflow_entries

MAX_VIFS_OVER_VRFS = 259
"""256 interfaces beside one for each VRF, and three of the datapath's own."""
_TABLE_LIMIT = 1 << 32
"""A table's size travels as u32 bytes."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Limits of one forwarder process. ConfigError from `check` says which is wrong."""

    interfaces: int = 4355
    vrfs: int = 4096
    nexthops: int = 524_288
    labels: int = 5120
    mirrors: int = 255
    flow_entries: int = 524_288
    flow_overflow: int = -1
    bridge_entries: int = 262_144
    bridge_overflow: int = -1
    flow_hold_limit: int = 8192
    qos_maps: int = 4096
    forwarding_classes: int = 256

    @property
    def flow_overflow_entries(self) -> int:
        """Overflow entries of the flow table; -1 asks for the 20 % rule."""
        if self.flow_overflow >= 0:
            return self.flow_overflow
        return overflow_entries(self.flow_entries)

    @property
    def bridge_overflow_entries(self) -> int:
        """Overflow entries of the bridge table; -1 asks for the 20 % rule."""
        if self.bridge_overflow >= 0:
            return self.bridge_overflow
        return overflow_entries(self.bridge_entries)

    def check(self) -> None:
        """Raise ConfigError for a number that cannot be used."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name.replace('_', ' ')}: {value} is not in {low} to {high}")
        for name in ("flow_entries", "bridge_entries"):
            if getattr(self, name) % BUCKET_SIZE:
                raise ConfigError(
                    f"{name.replace('_', ' ')}: {getattr(self, name)} is not a multiple of 4"
                )
        flow_bytes = 256 * (self.flow_entries + self.flow_overflow_entries)
        if flow_bytes >= _TABLE_LIMIT:
            raise ConfigError(
                f"flow entries: {self.flow_entries} with {self.flow_overflow_entries} of overflow "
                f"take {flow_bytes} bytes, and a table's size is told in 32 bits: fewer than "
                f"{_TABLE_LIMIT // 256} entries in all fit"
            )


_RANGES = (
    ("interfaces", 4, 32_767),
    ("vrfs", 1, 65_535),
    ("nexthops", 1, 1 << 24),
    ("labels", 16, 1 << 20),
    ("mirrors", 1, 255),
    ("flow_entries", 4, 1 << 24),
    ("flow_overflow", -1, 1 << 24),
    ("bridge_entries", 4, 1 << 24),
    ("bridge_overflow", -1, 1 << 24),
    ("flow_hold_limit", 1, 1 << 20),
)
