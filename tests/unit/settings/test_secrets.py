"""Secrets of a configuration file: in no message, in no copy that is handed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.settings import TABLE, Override, examine, parse
from agent.settings.secrets import HIDDEN, is_secret, without_secrets

SECRET = "hunter2-hunter2"
TEXT = f"""\
[DEFAULT]
log_level = SYS_DEBUG  # metadata_proxy_secret is below
[METADATA]
metadata_proxy_secret = {SECRET}
metadata_proxy_port = 8097
# metadata_proxy_secret={SECRET}
[KEYSTONE]
admin_password: {SECRET}
  {SECRET} goes on
admin_user = admin
[METADATA-2]
Metadata_Proxy_Secret\t=\t{SECRET}\r
empty_secret =
"""


def test_nothing_secret_is_left_and_nothing_else_is_changed() -> None:
    hidden = without_secrets(TEXT)
    assert "hunter2" not in hidden
    assert hidden.count(HIDDEN) == 4
    assert len(hidden.splitlines()) == len(TEXT.splitlines())
    for line in ("log_level = SYS_DEBUG  # metadata_proxy_secret is below", "admin_user = admin",
                 "metadata_proxy_port = 8097", "empty_secret ="):  # fmt: skip
        assert line in hidden.splitlines()
    assert without_secrets(hidden) == hidden


def test_the_table_says_what_is_secret() -> None:
    assert is_secret("metadata_proxy_secret")
    assert {option.name for option in TABLE if option.secret} >= {"metadata_proxy_secret"}
    assert not any(is_secret(option.name) for option in TABLE if not option.secret)


def test_settings_are_the_same_but_for_secrets() -> None:
    text = TEXT.replace("[METADATA-2]", "[OTHER]").replace(f"  {SECRET} goes on\n", "")
    text = text.replace("admin_password:", "admin_password =")
    before, after = parse(text), parse(without_secrets(text))
    for option in TABLE:
        if not option.secret:
            assert before.raw(option) == after.raw(option)


@given(st.text(alphabet="[]=: \n\t#;abSECRETsecret", max_size=60))
def test_any_text_keeps_its_lines(text: str) -> None:
    assert len(without_secrets(text).splitlines()) == len(text.splitlines())


@given(value=st.text(alphabet="abc123!$%&=:;", min_size=1))
def test_what_is_read_as_secret_is_hidden(value: str) -> None:
    text = f"[METADATA]\nmetadata_proxy_secret = {value}\n"
    for one, wanted in ((text, value), (without_secrets(text), HIDDEN)):
        settings = parse(one)
        assert settings.get("METADATA", "metadata_proxy_secret", str) == wanted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"[METADATA]\nmetadata_proxy_secret {SECRET}\n", "line 2"),
        (f"{SECRET}\n", "line 1"),
        (f"[METADATA]\nmetadata_proxy_secret = {SECRET}\n{SECRET}\n", "line 3"),
    ],
)
def test_files_that_cannot_be_read_are_not_quoted(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text)
    assert line in str(raised.value)
    assert SECRET not in str(raised.value)


def test_no_finding_tells_a_secret() -> None:
    override = Override("METADATA", "metadata_proxy_secret", SECRET, "the environment")
    examined = examine(TEXT.replace("8097", "none"), "file", [override])
    assert any(one.option == "metadata_proxy_port" for one in examined.findings)
    assert SECRET not in repr([one.record() for one in examined.findings])
