"""The style sheet: text and borders that everybody can tell from what is behind them."""

from __future__ import annotations

import re

import pytest

from agent.introspect.pages.render import static

CSS = static("page.css").decode()
TEXT, BORDER = 4.5, 3.0
"""WCAG 2.2 AA: contrast of text, and of what a control or a line of a plot is known by."""
TEXTS = [
    ("text", "page"), ("text", "card"), ("quiet", "page"), ("quiet", "card"), ("link", "page"),
    ("link", "card"), ("button-text", "button"), ("head-text", "head"), ("head-quiet", "head"),
    ("good", "good-back"), ("busy", "busy-back"), ("bad", "bad-back"), ("idle", "idle-back"),
    ("bad", "card"),
]  # fmt: skip
BORDERS = [
    ("field", "card"), ("focus", "page"), ("focus", "card"), ("line1", "card"), ("line2", "card"),
    ("good", "card"), ("busy", "card"), ("bad", "card"), ("head-text", "head"),
]  # fmt: skip


def schemes() -> dict[str, dict[str, str]]:
    """The variables of the light and of the dark scheme."""
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    )
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    colours = schemes()[scheme]
    weak = {
        pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2)
        for pair in TEXTS
        if contrast(colours[pair[0]], colours[pair[1]]) < TEXT
    }
    assert weak == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_and_lines_can_be_seen(scheme: str) -> None:
    colours = schemes()[scheme]
    weak = [pair for pair in BORDERS if contrast(colours[pair[0]], colours[pair[1]]) < BORDER]
    assert weak == []


def test_both_schemes_have_every_colour_and_rules_use_no_other() -> None:
    both = schemes()
    assert both["light"].keys() == both["dark"].keys()
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", rules) == []
    assert set(re.findall(r"var\(--([\w-]+)\)", rules)) <= both["light"].keys()


def test_nothing_is_loaded_from_elsewhere() -> None:
    for name in ("page.css", "page.js"):
        text = static(name).decode()
        assert "http" not in text, name
        assert "@import" not in text, name
        assert "url(" not in text, name
