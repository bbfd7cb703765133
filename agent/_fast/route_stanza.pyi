"""Types of the compiled reader of route stanzas; see route_stanza.pyx for what things do."""

from typing import Final

from agent.routes import RouteAttributes, RouteBatch, RouteFamily, RouteKey

MAX_STANZA: Final[int]

_Published = tuple[str, str, RouteFamily, RouteKey, RouteAttributes | None]

class RouteReader:
    skipped: Final[int]
    last_fault: Final[str]
    shared: Final[int]
    built: Final[int]
    remembered: Final[int]
    def __init__(self, capacity: int = 8192, *, published: bool = False) -> None: ...
    def read(self, data: bytes) -> list[RouteBatch]: ...
    def read_published(self, data: bytes) -> tuple[list[_Published], bool]: ...
