"""What can be asked: the lists of modules, and of each module's requests, as XML."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from agent.introspect.catalogue import modules as all_modules
from agent.introspect.forms import STYLE
from agent.sandesh.schema import schema


def modules() -> str:
    """Every module, with the page that lists its requests."""
    names = "".join(f'<module link="/{name}.xml">{name}</module>' for name in all_modules())
    return f"{STYLE}<modules>{names}</modules>"


def module(name: str) -> str | None:
    """The requests of a module, with their fields; None when there is no such module."""
    served = all_modules().get(name)
    if served is None:
        return None
    requests = "".join(_request(each.request) for each in served)
    return f"{STYLE}<requests module={quoteattr(name)}>{requests}</requests>"


def _request(name: str) -> str:
    fields = "".join(
        f'<field name="{field.name}" type={quoteattr(field.type)}/>'
        for field in schema()[name].fields
    )
    return f'<request name="{name}" link="/Snh_{name}">{fields}</request>'
