"""The shipped rules: read by promtool, tested by its cases for every alert, and in step with what the pages say."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commands import ROOT
from tests.support.prometheus import promtool
from tests.support.promql import documented_metrics, metrics_of

DEPLOY = ROOT / "deploy" / "prometheus"
RULES = sorted((DEPLOY / "rules").glob("*.yml"))
CASES = sorted((Path(__file__).parent / "prometheus").glob("*.yml"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
WINDOWS = ("5m", "30m", "1h", "6h", "3d")

Document = dict[str, Any]


@cache
def groups() -> dict[str, Document]:
    """All groups of rules, by their names."""
    return {group["name"]: group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]}


def rules() -> list[Document]:
    return [rule for group in groups().values() for rule in group["rules"]]


ALERTS: dict[str, Document] = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def test_promtool_reads_the_rules() -> None:
    found = promtool("check", "rules", *RULES)
    assert sum(int(count) for count in re.findall(r"(\d+) rules found", found)) == len(rules())


def test_promtool_reads_the_example_configuration() -> None:
    assert f"{len(RULES)} rule files found" in promtool("check", "config", DEPLOY / "prometheus.yml")


@pytest.mark.parametrize("case", CASES, ids=lambda path: str(path.stem))
def test_alerts_fire_when_they_should_and_only_then(case: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", case)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_cases_that_fire_and_that_do_not(alert: str) -> None:
    tests = [test for path in CASES for test in yaml.safe_load(path.read_text())["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == alert]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_urgent_it_is_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{alert.lower()}"
    assert len(re.sub(r"{{.*?}}", "a value", rule["annotations"]["summary"])) < 80  # one line on a pager


def test_every_alert_has_its_section_and_no_section_lacks_its_alert() -> None:
    sections = re.findall(r"^### (Isthmus\w+)$", OPERATIONS, re.MULTILINE)
    assert sections == list(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_section_says_how_urgent_it_is_and_what_to_do(alert: str) -> None:
    found = re.search(rf"^### {alert}$(.*?)(?=^##|\Z)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert found
    assert found[1].lstrip().startswith(f"*{ALERTS[alert]['labels']['severity']}*")
    assert "**Do:**" in found[1]


@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_is_recorded_alike(window: str) -> None:
    model = [{**rule, "expr": rule["expr"].replace("5m", window)} for rule in groups()["isthmus-5m"]["rules"]]
    model = [{**rule, "record": rule["record"].replace("5m", window)} for rule in model]
    assert groups()[f"isthmus-{window}"]["rules"] == model


def test_rules_name_only_metrics_that_are_documented_or_recorded() -> None:
    unknown = {
        name for rule in rules() for name in metrics_of(rule["expr"]) if name not in documented_metrics() | RECORDED
    }
    assert unknown == set()


def test_everything_recorded_is_used() -> None:
    used = {name for rule in rules() for name in metrics_of(rule["expr"])}
    assert RECORDED - used == set()


@pytest.mark.parametrize(
    ("alert", "chance"),
    [("IsthmusFlagRateFastBurn", 1e-5), ("IsthmusFlagRateBurn", 1e-4), ("IsthmusFlagRateSlowBurn", 1e-5)],
)
def test_flags_of_benign_traffic_pass_a_threshold_hardly_ever(alert: str, chance: float) -> None:
    """At the least number of flags expected at which an alert may fire, they being Poisson; more make it rarer."""
    factor = float(re.findall(r"job:isthmus_flag_burn:ratio\w+ > ([\d.]+)", ALERTS[alert]["expr"])[0])
    expected = float(re.findall(r">= (\d+)", ALERTS[alert]["expr"])[0])
    below = sum(
        math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))
        for count in range(int(factor * expected) + 1)
    )
    assert 1 - below < chance
