"""A question about a flow, asked of the agent that a recording plays again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from agent.daemon.replay import replay
from agent.daemon.until import Until
from agent.errors import UsageError
from agent.flow.question import parse


def explain(path: Path, until: Until | None, question: Mapping[str, str]) -> Mapping[str, Any]:
    """The answer as a live agent gives it. ConfigError, UsageError say what is wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asked = parse(question)
    try:
        with path.open("rb") as file:
            core = replay(file, until).core
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return core.flows.explain(asked)
