"""The dashboard is what its code says, Grafana's own types know every field of it, and Prometheus reads its queries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import dashboard as source
from tests.support.commands import ROOT
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
    assert source.OUT.read_text() == source.text(), "run: python deploy/grafana/dashboard.py"


def known(wanted: Any, found: Any, where: str = "dashboard") -> list[str]:
    """What Grafana's types dropped or changed of what was wanted; they add defaults, which is well."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        lost = [f"{where}.{key}" for key in wanted if key not in found]
        return lost + [
            one for key in wanted.keys() & found.keys() for one in known(wanted[key], found[key], f"{where}.{key}")
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [one for at, (left, right) in pairs for one in known(left, right, f"{where}[{at}]")]
    return [] if wanted == found else [f"{where}: {wanted!r} became {found!r}"]


def round_trip(document: dict[str, Any]) -> Any:
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(document)))


def test_grafana_knows_every_field() -> None:
    assert known(DASHBOARD, round_trip(DASHBOARD)) == []


def test_fields_that_grafana_does_not_know_would_be_found() -> None:
    misspelt = json.loads(json.dumps(DASHBOARD).replace('"legendFormat"', '"legend"').replace('"fillOpacity"', '"fil"'))
    lost = known(misspelt, round_trip(misspelt))
    assert {where.rpartition(".")[2] for where in lost} == {"legend", "fil"}


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
