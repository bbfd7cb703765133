"""The page for people: what is plugged and why it does or does not forward, as HTML.

In come the parts of a running agent (`Node`) and what a browser asks for; out go Falcon
resources for the app of `agent.introspect` to mount: pages made on the server from Jinja2
templates, one style sheet, one small script, and the numbers that this script draws anew.
Pages work without the script, load nothing from elsewhere, and change nothing. What may be
long comes by the page, and is gathered and written in slices that leave the loop to others.
"""

from __future__ import annotations

from agent.introspect.pages.catalogue import routes
from agent.introspect.pages.resources import Resource

__all__ = ["Resource", "routes"]
