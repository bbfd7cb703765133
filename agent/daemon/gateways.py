"""Which simple gateways there are: those of the file, and those posted over the port API."""

from __future__ import annotations

from collections.abc import Iterable

from agent.inputs import SimpleGateway
from agent.oper.compiler import Compiler


class Gateways:
    """One gateway an interface; a posted one stands before the file's while it is there."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._configured: dict[str, SimpleGateway] = {}
        self._posted: dict[str, SimpleGateway] = {}

    def configure(self, gateways: Iterable[SimpleGateway]) -> None:
        """The file has these gateways, in place of those it had."""
        before, self._configured = self._configured, {one.interface: one for one in gateways}
        for interface in dict.fromkeys((*before, *self._configured)):
            self._follow(interface)

    def post(self, gateway: SimpleGateway) -> None:
        """POST /gateway."""
        self._posted[gateway.interface] = gateway
        self._follow(gateway.interface)

    def delete(self, interface: str) -> None:
        """DELETE /gateway."""
        self._posted.pop(interface, None)
        self._follow(interface)

    def _follow(self, interface: str) -> None:
        found = self._posted.get(interface) or self._configured.get(interface)
        if found is None:
            self._compiler.remove_gateway(interface)
        else:
            self._compiler.put_gateway(found)
