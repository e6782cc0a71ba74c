"""The dashboard is what its code says, Grafana's own types hold it good, and Prometheus reads its queries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.grafana import dashboard as source
from tests.support.commands import ROOT
from tests.support.grafana import faults
from tests.support.prometheus import promtool
from tests.support.promql import dashboard_queries, documented_metrics, metrics_of

if TYPE_CHECKING:
    from pathlib import Path

GRAFANA = ROOT / "deploy" / "grafana"
RECORDING = ROOT / "deploy" / "prometheus" / "rules" / "recording.yml"
DASHBOARD: dict[str, Any] = json.loads(source.OUT.read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = dashboard_queries(DASHBOARD)


def test_the_file_is_what_the_code_writes() -> None:
    assert source.OUT.read_text() == source.text(), "run: python -m deploy.grafana.dashboard"


def test_grafana_knows_every_field_and_value() -> None:
    assert faults(DASHBOARD) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ('"legendFormat"', '"legend"', "targets[0].legend: not known"),
        ('"fillOpacity"', '"opacity"', "custom.opacity: not known"),
        ('"lineWidth": 1', '"lineWidth": "thin"', "line_width: Input should be a valid number"),
        ('"never"', '"seldom"', "show_points: Input should be 'auto', 'never' or 'always'"),
        ('"format": "heatmap"', '"format": "map"', "format_val: Input should be"),
    ],
)
def test_what_grafana_does_not_know_is_found(right: str, wrong: str, fault: str) -> None:
    found = faults(json.loads(json.dumps(DASHBOARD).replace(right, wrong)))
    assert any(fault in one for one in found), found[:5]


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    expressions = [expression for panel in QUERIES.values() for expression in panel]
    rules = [{"record": f"panel:{at}", "expr": expression} for at, expression in enumerate(expressions)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", tmp_path / "panels.yml")


@pytest.mark.parametrize("panel", QUERIES)
def test_panels_show_only_metrics_that_are_documented_or_recorded(panel: str) -> None:
    recorded = {rule["record"] for group in yaml.safe_load(RECORDING.read_text())["groups"] for rule in group["rules"]}
    for expression in QUERIES[panel]:
        assert metrics_of(expression) - recorded - documented_metrics() == set(), expression


def test_every_documented_metric_of_our_own_is_shown_or_recorded() -> None:
    rules = [rule for group in yaml.safe_load(RECORDING.read_text())["groups"] for rule in group["rules"]]
    expressions = [expression for panel in QUERIES.values() for expression in panel] + [rule["expr"] for rule in rules]
    used = {name for expression in expressions for name in metrics_of(expression)}
    parts = ("_bucket", "_sum", "_count")
    stems = {name.removesuffix(part) for name in used for part in ("", *parts)}
    ours = {name for name in documented_metrics() if name.startswith("isthmus_") and not name.endswith(parts)}
    assert ours - stems == set()


def test_panels_lie_side_by_side_and_have_names_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(panel["description"] for panel in PANELS if panel["type"] != "row")


def test_it_can_be_narrowed_down() -> None:
    names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "job", "instance"]
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in PANELS if panel["type"] != "row")


def test_what_is_provisioned_is_there() -> None:
    (source_of_data,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source_of_data["type"] == "prometheus"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/isthmus.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].endswith("/" + source.OUT.parent.name)
