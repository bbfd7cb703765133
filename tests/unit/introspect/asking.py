"""Asking the introspect application as clients do, without a socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import falcon.testing

from agent.introspect.app import Surroundings, build_app
from agent.io.bell import Bell
from agent.telemetry import Node


class Asker:
    """Requests to a node; `errors` are those of ours that they met."""

    def __init__(self, node: Node) -> None:
        self.errors: list[BaseException] = []
        around = Surroundings(time.monotonic, lambda: asyncio.sleep(0), self.errors.append, Bell)
        self._client = falcon.testing.TestClient(build_app(node, around))

    def get(self, path: str, **headers: str) -> Any:
        """The answer to a GET, whatever it is."""
        before, _, query = path.partition("?")
        return self._client.simulate_get(before, query_string=query, headers=headers)

    def request(self, path: str, query: Mapping[str, str]) -> Any:
        """The answer to a GET with these fields, which need not make sense."""
        escaped = quote(path, safe="/", errors="replace")
        text = urlencode(query, errors="replace")
        return self._client.simulate_get(escaped, query_string=text)

    def xml(self, request: str) -> ET.Element:
        """The document of a request that must succeed; `request` may have a query."""
        found = self.get(f"/Snh_{request}")
        assert found.status_code == 200, found.text
        assert found.headers["content-type"].startswith("text/xml")
        assert not self.errors
        return ET.fromstring(found.text)

    def json(self, request: str) -> list[Any]:
        """The messages of a request that must succeed, as JSON."""
        found = self.get(f"/json/{request}")
        assert found.status_code == 200, found.text
        assert isinstance(found.json, list)
        return found.json

    def rows(self, request: str, struct: str) -> list[ET.Element]:
        """The structs of a name anywhere in the answer."""
        return list(self.xml(request).iter(struct))


def texts(row: ET.Element) -> dict[str, str]:
    """The plain fields of a struct."""
    return {field.tag: field.text or "" for field in row if not len(field)}
