"""Answers of the HTTP port 8085: `Snh_*` requests as XML or JSON, and pages for people.

In come a request's name and its fields, and the parts of a running agent (`Node`); out come
answers in pieces, so that a long table neither fills memory nor keeps the loop. It never
changes what it reads, but for the few requests that are there to change something, and opens
nothing: `agent.io` serves it.
"""

from __future__ import annotations

from agent.introspect.request import Answer, Query, Request, Table

__all__ = ["Answer", "Query", "Request", "Table"]
