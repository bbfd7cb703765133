"""How commands ask a running agent over one of its HTTP ports. Imports little: they start fast."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from agent.cli.credentials import Credentials
from agent.errors import AgentError, UsageError

_INTROSPECT = 8085
AGENT = f"http://127.0.0.1:{_INTROSPECT}"
"""The introspect port of an agent on this host, unless its file names another."""
_MOST_ANSWER = 16 << 20
_MOST_LINE = 1 << 20
_DATA = b"data:"
_HEADERS = {"Accept": "application/json", "Connection": "close"}


class NoAnswerError(AgentError):
    """Nobody answers there, or not in time, or not as an agent would."""


class RefusedError(AgentError):
    """The agent answered that it will not; the text says why."""


class AgentClient:
    """One agent, by the URL of one of its ports; UsageError for what is no such URL.

    `port` is the one of a URL without; `timeout` seconds are waited for each answer.
    `credentials` are shown to the agent.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        credentials: Credentials | None = None,
        *,
        port: int = _INTROSPECT,
    ) -> None:
        where = urlsplit(url)
        try:
            port = where.port or port
        except ValueError:
            port = 0
        if where.scheme not in ("http", "https") or not where.hostname or not port:
            raise UsageError(f"--agent {url}: expected http://HOST:PORT or https://HOST:PORT")
        self.url = url
        self._host, self._port = where.hostname, port
        self._timeout = timeout
        self._tls = where.scheme == "https"
        self._credentials = credentials or Credentials()
        self._headers = {**_HEADERS, **self._credentials.headers()}

    def ask(self, path: str, method: str = "GET") -> dict[str, Any]:
        """The JSON object that `path` answers with. NoAnswerError, RefusedError."""
        with self._open(path, method, self._timeout) as answer:
            try:
                body = json.loads(answer.read(_MOST_ANSWER))
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._silent(error) from None
        if answer.status != http.client.OK or not isinstance(body, dict):
            raise self._refused(answer.status, body)
        return body

    def events(self, path: str) -> Iterator[dict[str, Any]]:
        """The JSON objects that `path` streams as server-sent events, until the agent ends it.

        NoAnswerError also when the agent falls silent for longer than the time-out.
        """
        with self._open(path, "GET", self._timeout) as answer:
            if answer.status != http.client.OK:
                try:
                    raise self._refused(answer.status, json.loads(answer.read(_MOST_LINE)))
                except ValueError:
                    raise self._refused(answer.status, "") from None
            try:
                while line := answer.readline(_MOST_LINE):
                    if line.startswith(_DATA):
                        yield json.loads(line.removeprefix(_DATA))
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._silent(error) from None

    def _open(self, path: str, method: str, timeout: float) -> http.client.HTTPResponse:
        connection = self._credentials.connection(self._host, self._port, timeout, tls=self._tls)
        try:
            connection.request(method, path, headers=self._headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> NoAnswerError:
        why = "it takes too long" if isinstance(error, TimeoutError) else str(error)
        return NoAnswerError(f"no answer of an agent at {self.url}: {why}")

    def _refused(self, status: int, body: Any) -> RefusedError:
        told = body.get("error", body) if isinstance(body, dict) else body
        return RefusedError(f"the agent at {self.url} answered {status}: {told}")
