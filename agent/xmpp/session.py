"""The client's state machine as a table (facts xmpp-ifmap.md 2)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

HOLD_TIME = 90.0
"""Seconds without a byte after which a session is given up; configuration may change it."""
KEEPALIVES_A_HOLD_TIME = 3
PATIENCE = 4
"""Attempts after which a controller counts as timed out."""
KEEPALIVES_OF_A_GOOD_SESSION = 3
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 30.0


class State(Enum):
    """Where a session stands; the last four before ESTABLISHED are the steps of STARTTLS."""

    IDLE = "Idle"
    ACTIVE = "Active"
    CONNECT = "Connect"
    OPEN_SENT = "OpenSent"
    OPEN_CONFIRM = "OpenConfirm"
    STARTTLS_SENT = "OpenConfirm (starttls sent)"
    HANDSHAKE = "OpenConfirm (handshake)"
    SECURE_OPEN_SENT = "OpenConfirm (open sent)"
    ESTABLISHED = "Established"


class Input(Enum):
    """What can happen to a session."""

    START = auto()
    STOP = auto()
    CONNECT_TIMER = auto()
    HOLD_TIMER = auto()
    UP = auto()
    """The TCP connection stands."""
    DOWN = auto()
    """It could not be made, or is lost."""
    FAULT = auto()
    """The peer broke the protocol, or says good-bye."""
    HEADER = auto()
    FEATURES = auto()
    PROCEED = auto()
    SECURED = auto()
    """The TLS handshake succeeded."""


class Action(Enum):
    """What a transition asks for, in the order given."""

    BACK_OFF = auto()
    DIAL = auto()
    HANG_UP = auto()
    OPEN = auto()
    STARTTLS = auto()
    SECURE = auto()
    HOLD = auto()
    READY = auto()
    NOT_READY = auto()


_S, _I, _A = State, Input, Action
Step = tuple[State, tuple[Action, ...]]
Table = Mapping[tuple[State, Input], Step]

_RETRY: Step = (_S.ACTIVE, (_A.HANG_UP, _A.BACK_OFF))
_HALT: Step = (_S.IDLE, (_A.HANG_UP,))

_COMMON: Table = {
    (_S.IDLE, _I.START): (_S.ACTIVE, (_A.BACK_OFF,)),
    (_S.ACTIVE, _I.CONNECT_TIMER): (_S.CONNECT, (_A.DIAL,)),
    (_S.ACTIVE, _I.STOP): _HALT,
    (_S.CONNECT, _I.UP): (_S.OPEN_SENT, (_A.OPEN, _A.HOLD)),
    (_S.CONNECT, _I.CONNECT_TIMER): _RETRY,
    (_S.CONNECT, _I.DOWN): _RETRY,
    (_S.CONNECT, _I.STOP): _HALT,
    (_S.ESTABLISHED, _I.DOWN): (_S.ACTIVE, (_A.HANG_UP, _A.NOT_READY, _A.BACK_OFF)),
    (_S.ESTABLISHED, _I.FAULT): (_S.ACTIVE, (_A.HANG_UP, _A.NOT_READY, _A.BACK_OFF)),
    (_S.ESTABLISHED, _I.HOLD_TIMER): (_S.ACTIVE, (_A.HANG_UP, _A.NOT_READY, _A.BACK_OFF)),
    (_S.ESTABLISHED, _I.STOP): (_S.IDLE, (_A.HANG_UP, _A.NOT_READY)),
}
_OPENING = (
    _S.OPEN_SENT,
    _S.OPEN_CONFIRM,
    _S.STARTTLS_SENT,
    _S.HANDSHAKE,
    _S.SECURE_OPEN_SENT,
)
_FAILURES: Table = {
    (state, failure): _RETRY for state in _OPENING for failure in (_I.DOWN, _I.FAULT, _I.HOLD_TIMER)
} | {(state, _I.STOP): _HALT for state in _OPENING}

PLAIN: Table = {
    **_COMMON,
    **_FAILURES,
    (_S.OPEN_SENT, _I.HEADER): (_S.ESTABLISHED, (_A.READY, _A.HOLD)),
}
"""Without TLS the peer's header is all that an established session needs."""

TLS: Table = {
    **_COMMON,
    **_FAILURES,
    (_S.OPEN_SENT, _I.HEADER): (_S.OPEN_CONFIRM, (_A.HOLD,)),
    (_S.OPEN_CONFIRM, _I.FEATURES): (_S.STARTTLS_SENT, (_A.STARTTLS,)),
    (_S.STARTTLS_SENT, _I.PROCEED): (_S.HANDSHAKE, (_A.SECURE,)),
    (_S.HANDSHAKE, _I.SECURED): (_S.SECURE_OPEN_SENT, (_A.OPEN,)),
    (_S.SECURE_OPEN_SENT, _I.HEADER): (_S.ESTABLISHED, (_A.READY, _A.HOLD)),
}


def back_off(attempts: int, jitter: float) -> float:
    """Seconds to wait before (and at most during) a connect after `attempts` earlier ones.

    `jitter` from 0 to 1 spreads the delay by ten percent to either side.
    """
    delay = min(2.0 ** (min(attempts, 6) - 1), _LONGEST_DELAY) if attempts else _FIRST_DELAY
    return delay * (0.9 + 0.2 * jitter)
