"""From a page's parts to an HTTP answer: Jinja2 templates, and headers that keep it to itself."""

from __future__ import annotations

from importlib.resources import files

from falcon.asgi import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from agent.introspect.pages.shown import Shown
from agent.introspect.slices import sliced
from agent.telemetry import Node

HTML = "text/html; charset=utf-8"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NAVIGATION = (
    ("/", "Overview"),
    ("/ports", "Ports"),
    ("/networks", "Networks"),
    ("/vrfs", "VRFs"),
    ("/flows", "Flows"),
    ("/access-lists", "Policy"),
    ("/datapath", "Datapath"),
    ("/controllers", "Controllers"),
    ("/topology", "Topology"),
    ("/explain", "Explain"),
)
STATIC = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def environment() -> Environment:
    """The templates of this package. Whatever they are given is escaped."""
    made = Environment(
        loader=PackageLoader("agent.introspect.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["navigation"] = NAVIGATION
    return made


def static(name: str) -> bytes:
    """A file that is served as it is."""
    return (files("agent.introspect.pages") / "static" / name).read_bytes()


class Renderer:
    """Writes pages of a node; the templates are read once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._environment = environment()

    async def render(self, shown: Shown, place: str, query: str = "") -> str:
        """The HTML of a page at the path `place`; `query` stays in the search box."""
        template = self._environment.get_template(shown.template)
        node = self._node
        pieces = template.generate(
            page=shown, place=place, query=query, host=node.host, version=node.version
        )
        return "".join([piece async for piece in sliced(pieces)])


def headers(resp: Response, *, keep: bool = False) -> None:
    """What goes with every answer; `keep`: the browser may keep it for some minutes."""
    resp.set_headers(_HEADERS)
    resp.set_header("Cache-Control", "max-age=300" if keep else "no-store")
