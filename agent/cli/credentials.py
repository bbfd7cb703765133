"""What commands show an agent that wants to know who asks: a token, certificates.

Options name the files, or variables of the environment do, for callers whose arguments are
fixed. Imports little: commands start fast.
"""

from __future__ import annotations

import argparse
import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError, UsageError

_PREFIX = "VROUTER_AGENT_"
_FILES = {
    "token_file": "file with the bearer token to show",
    "cacert": "authorities of the agent's certificate, for https",
    "cert": "certificate to show, for https",
    "key": "its key; without, it is in the certificate's file",
}


def add_options(parser: argparse.ArgumentParser, *, underscores: bool = False) -> None:
    """`--token-file`, `--cacert`, `--cert` and `--key`; with underscores, `--agent_token_file`…"""
    for name, words in _FILES.items():
        option = f"--agent_{name}" if underscores else f"--{name.replace('_', '-')}"
        parser.add_argument(
            option,
            dest=f"agent_{name}",
            metavar="FILE",
            help=f"{words} (or the variable {_PREFIX}{name.upper()})",
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """Names of files, "" for none."""

    token_file: str = ""
    cacert: str = ""
    cert: str = ""
    key: str = ""

    @classmethod
    def of(
        cls, arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ
    ) -> Credentials:
        """Of the options that `add_options` added, else of the environment."""
        return cls(
            *(
                getattr(arguments, f"agent_{name}") or environ.get(_PREFIX + name.upper(), "")
                for name in _FILES
            )
        )

    @property
    def wants_tls(self) -> bool:
        """Whether there is something for TLS among them."""
        return bool(self.cacert or self.cert)

    def headers(self) -> dict[str, str]:
        """What a request carries. UsageError when the token's file cannot be used."""
        if not self.token_file:
            return {}
        from agent.io.secret_files import read_token

        try:
            token = read_token(Path(self.token_file), "token file")
        except ConfigError as error:
            raise UsageError(str(error)) from None
        return {"Authorization": f"Bearer {token.decode()}"}

    def connection(
        self, host: str, port: int, timeout: float, *, tls: bool
    ) -> http.client.HTTPConnection:
        """A connection that is not open yet; with TLS the agent's name is verified.

        UsageError when a file cannot be used. http.client.InvalidURL for what is no host.
        """
        if not tls:
            return http.client.HTTPConnection(host, port, timeout)
        import ssl

        context = ssl.create_default_context()
        try:
            if self.cacert:
                context = ssl.create_default_context(cafile=self.cacert)
            if self.cert:
                context.load_cert_chain(self.cert, self.key or None)
        except (OSError, ssl.SSLError) as error:
            names = ", ".join(filter(None, (self.cacert, self.cert, self.key)))
            raise UsageError(f"certificates {names}: {error}") from None
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
