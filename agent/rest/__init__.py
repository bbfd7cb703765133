"""The port REST API without its sockets: HTTP requests in, plugged ports out.

In: requests of nova, the CNI and `vrouter-port-control` (a Falcon ASGI application),
the text of stored port files, and a read-only view of the operational rows.
Out: answers; changes of the plugged ports, drained by the daemon; file actions that
the shell in `agent.io` carries out.
Never: opens a socket or a file, reads a clock, or waits for configuration: a port is
accepted as soon as its members are valid, whatever the controller knows of it.

`PortStore` is the state, `build_app` the HTTP face over a `Backend`.
"""

from agent.rest.app import build_app
from agent.rest.backend import Backend
from agent.rest.body import Rejected
from agent.rest.files import FileAction, RemoveFile, StoredFile, WriteFile
from agent.rest.ports import Change, PortStore, Row
from agent.rest.view import OperationalView, VmiConfig

__all__ = [
    "Backend",
    "Change",
    "FileAction",
    "OperationalView",
    "PortStore",
    "Rejected",
    "RemoveFile",
    "Row",
    "StoredFile",
    "VmiConfig",
    "WriteFile",
    "build_app",
]
