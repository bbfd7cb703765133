"""Golden vectors of the Sandesh tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "vectors"


def vector_rows(name: str) -> list[dict[str, Any]]:
    """The lines of one file of tests/vectors."""
    with (VECTORS / name).open() as lines:
        return [json.loads(line) for line in lines]
