"""The alert rules and the dashboard that are shipped: they name what is exposed, and work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.telemetry.prometheus import FAMILIES, Kind

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yaml"
ALERTS_TEST = DEPLOY / "prometheus/alerts_test.yaml"
DASHBOARD = json.loads((DEPLOY / "grafana/vrouter-agent.json").read_text())
PROMTOOL = shutil.which("promtool")

LABELS = {family.name: set(family.labels) | {"instance", "job"} for family in FAMILIES}
LABELS |= {
    f"{family.name}_bucket": LABELS[family.name] | {"le"}
    for family in FAMILIES
    if family.kind is Kind.HISTOGRAM
}
OTHERS = {"up": {"instance", "job"}}
"""What Prometheus itself makes."""
NAME = re.compile(r"\b((?:vrouter|process)_[a-z0-9_]+|up)(?:\{([^}]*)\})?(?!\w*\()")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def named(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of an expression, each with the labels that it asks for."""
    for name, labels in NAME.findall(expression):
        yield name, set(re.findall(r"(\w+)\s*[=!]", labels))


def test_rules_and_panels_name_only_what_is_exposed_with_its_labels() -> None:
    known = LABELS | OTHERS
    found = [pair for expression in expressions() for pair in named(expression)]
    assert len(found) > 60
    for name, labels in found:
        assert name in known, name
        assert labels <= known[name], f"{name}: {labels - known[name]}"


def test_what_the_expressions_find_is_what_the_check_looks_at() -> None:
    (pair,) = named('sum(rate(vrouter_port_in_bytes_total{port="a", instance=~"b"}[5m]))')
    assert pair == ("vrouter_port_in_bytes_total", {"port", "instance"})


def test_rates_are_taken_of_counters_and_quantiles_of_histograms() -> None:
    kinds = {family.name: family.kind for family in FAMILIES}
    for expression in expressions():
        for name in re.findall(r"(?:rate|increase)\(\s*((?:vrouter|process)_\w+)", expression):
            assert name.endswith("_bucket") or kinds[name] is Kind.COUNTER, expression
        if "histogram_quantile" in expression:
            assert "_bucket" in expression


def test_each_rule_says_how_bad_it_is_and_what_it_is() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]


def test_each_rule_is_tested() -> None:
    text = ALERTS_TEST.read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in text] == []


def test_panels_have_ids_places_and_the_chosen_data_source() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = set()
    for panel in panels:
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & places, panel["title"]
        assert grid["x"] + grid["w"] <= 24
        places |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"


def test_the_document_names_the_files() -> None:
    text = (DEPLOY.parent / "docs/metrics.md").read_text()
    for path in (ALERTS, ALERTS_TEST, DEPLOY / "grafana/vrouter-agent.json"):
        assert str(path.relative_to(DEPLOY.parent)) in text


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (of Prometheus) is not on PATH")
def test_promtool_accepts_the_rules_and_their_tests() -> None:
    for command in (["check", "rules", str(ALERTS)], ["test", "rules", str(ALERTS_TEST)]):
        run = subprocess.run(
            [str(PROMTOOL), *command], capture_output=True, text=True, timeout=60, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
