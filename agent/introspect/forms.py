"""The two forms of an answer: XML for introspect clients, JSON for everyone else.

An XML document with several messages has an element around them that is named after the first;
a JSON one always is an array of objects with one member each: the message's name and fields.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from agent.introspect.request import Values
from agent.sandesh import xml

STYLE = '<?xml-stylesheet type="text/xsl" href="/universal_parse.xsl"?>'


class Form(Protocol):
    """How rows, messages and documents are written. A field may be an `xml.Ready` list of rows."""

    content_type: str

    def row(self, struct: str, values: Values) -> str:
        """A struct that stands in a list."""
        ...

    def held(self, row: str) -> Any:
        """The row as a member of an `xml.Ready` list."""
        ...

    def message(self, name: str, values: Values, *, more: bool) -> str:
        """A message; `more`: another one follows."""
        ...

    def opening(self, first: str, *, several: bool) -> str:
        """What comes before the messages, the first of which has that name."""
        ...

    separator: str

    def closing(self, first: str, *, several: bool) -> str:
        """What comes after them."""
        ...


class Xml:
    """Facts introspect-client.md, "HTTP" and "XML of a message"."""

    content_type = "text/xml; charset=utf-8"
    separator = ""

    def row(self, struct: str, values: Values) -> str:
        return xml.struct(struct, values)

    def held(self, row: str) -> str:
        return row

    def message(self, name: str, values: Values, *, more: bool) -> str:
        return xml.message(name, values, more=more)

    def opening(self, first: str, *, several: bool) -> str:
        return f'{STYLE}<__{first}_list type="slist">' if several else STYLE

    def closing(self, first: str, *, several: bool) -> str:
        return f"</__{first}_list>" if several else ""


class Json:
    """`[{"ItfResp": {"itf_list": […], "more": false}}]`"""

    content_type = "application/json; charset=utf-8"
    separator = ",\n"

    def row(self, struct: str, values: Values) -> str:
        return _text(xml.plain(struct, values))

    def held(self, row: str) -> msgspec.Raw:
        return msgspec.Raw(row.encode())

    def message(self, name: str, values: Values, *, more: bool) -> str:
        return _text({name: xml.plain(name, values) | {"more": more}})

    def opening(self, first: str, *, several: bool) -> str:
        return "["

    def closing(self, first: str, *, several: bool) -> str:
        return "]\n"


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


XML, JSON = Xml(), Json()
