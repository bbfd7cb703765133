"""What the shell refuses before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.daemon.configuration import Sources
from agent.daemon.front import Front
from agent.errors import ConfigError

CONFIG = """
[DEFAULT]
xmpp_auth_enable = true
xmpp_ca_cert = {directory}/none.pem
[VIRTUAL-HOST-INTERFACE]
physical_interface = fabric0
[CONTROL-NODE]
servers = 10.0.0.250
"""


def test_tls_without_certificates_is_a_wrong_configuration(tmp_path: Path) -> None:
    """There is no fallback to plain."""
    config = tmp_path / "agent.conf"
    config.write_text(CONFIG.format(directory=tmp_path))
    sources = Sources(config, tmp_path)
    with pytest.raises(ConfigError, match=r"xmpp_ca_cert = .*none\.pem"):
        Front(*sources.load())
