"""Requests that change the datapath, for the tools that have them."""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError
from agent.sandesh.vrouter import Message
from agent.values import Mac


def order(client: DatapathClient, *messages: Message) -> list[Message]:
    """Have changes made, one after the other; the objects that came with the last answer.

    DatapathError with the code of the first one that the datapath refuses.
    """
    objects: list[object] = []
    for message in messages:
        code, objects = client.request(message.encode())
        if code < 0:
            raise DatapathError(-code, message.NAME)
    return [found for found in objects if isinstance(found, Message)]


def done(options: argparse.Namespace, what: dict[str, Any]) -> None:
    """Tell programs what was done; people see that nothing went wrong."""
    if options.json:
        tool.print_json(what)


def mac(text: str) -> Mac:
    """An argument that is a MAC address."""
    try:
        return Mac.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
