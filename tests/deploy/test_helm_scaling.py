"""What scales replicas, and what it asks Prometheus."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deploy.chart import NAMESPACE, ROOT, SETS, only, render
from tests.support.prometheus import promtool
from tests.support.promql import documented_metrics, metrics_of

if TYPE_CHECKING:
    from pathlib import Path

# Of one replica, a minute apart: the engine is busy for 42 s of each, and 120 images wait for 0.05 s.
BUSY = {"isthmus_engine_seconds_sum": 42, "isthmus_queue_seconds_sum": 6, "isthmus_queue_seconds_count": 120}
IDLE = dict.fromkeys(BUSY, 0)


@pytest.mark.parametrize("name", SETS)
def test_replicas_are_whose_who_scales(name: str) -> None:
    manifests = render(SETS[name])
    kinds = {each["kind"] for each in manifests}
    scalers = kinds & {"HorizontalPodAutoscaler", "ScaledObject"}
    assert ("replicas" in only(manifests, "Deployment")["spec"]) == (not scalers)
    for kind in scalers:
        target = only(manifests, kind)["spec"]["scaleTargetRef"]["name"]
        assert target == only(manifests, "Deployment")["metadata"]["name"]


def _adapter() -> dict[str, str]:
    """The queries of the shipped rules, as prometheus-adapter asks them for every pod of a namespace."""
    rules = yaml.safe_load((ROOT / "deploy" / "helm" / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    filled = {"<<.LabelMatchers>>": f'namespace="{NAMESPACE}",pod=~"a|b"', "<<.GroupBy>>": "pod"}
    queries = {rule["name"]["as"]: rule["metricsQuery"] for rule in rules}
    return {
        name: re.sub("|".join(map(re.escape, filled)), lambda found: filled[found[0]], query)
        for name, query in queries.items()
    }


def _triggers() -> dict[str, str]:
    """The queries of KEDA's triggers."""
    scaled = only(render({"autoscaling": {"kind": "keda"}}), "ScaledObject")
    return {each["name"]: each["metadata"]["query"] for each in scaled["spec"]["triggers"]}


def test_the_autoscaler_reads_what_the_adapter_makes() -> None:
    scaler = only(render({"autoscaling": {"kind": "hpa", "engineUtilisation": 0.65}}), "HorizontalPodAutoscaler")
    metrics = {each["pods"]["metric"]["name"]: each["pods"]["target"] for each in scaler["spec"]["metrics"]}
    assert set(metrics) == set(_adapter())
    assert metrics["isthmus_engine_utilisation"] == {"type": "AverageValue", "averageValue": "650m"}


@pytest.mark.parametrize("query", [*_adapter().values(), *_triggers().values()])
def test_queries_name_metrics_that_there_are(query: str) -> None:
    assert metrics_of(query)
    assert metrics_of(query) <= documented_metrics()


def test_keda_asks_of_the_job_that_is_scraped() -> None:
    job = only(render({"autoscaling": {"kind": "keda"}}), "Service", "-metrics")["metadata"]["name"]
    for query in _triggers().values():
        assert set(re.findall(r"{(.*?)}", query)) == {f'namespace="{NAMESPACE}", job="{job}"'}


def test_queries_give_what_is_compared_with_the_thresholds(tmp_path: Path) -> None:
    """Replica `a` is busy, `b` has nothing to do, and other deployments are nobody's business."""
    labels = f'namespace="{NAMESPACE}",job="guard-isthmus-metrics"'
    series = [
        {"series": f'{name}{{{labels},pod="{pod}"}}', "values": f"0+{rate}x9"}
        for pod, rates in (("a", BUSY), ("b", IDLE))
        for name, rate in rates.items()
    ]
    series += [{"series": f'{name}{{namespace="other",job="other",pod="c"}}', "values": "0+60x9"} for name in BUSY]
    engine, waiting = BUSY["isthmus_engine_seconds_sum"] / 60, 6 / 120
    adapter, triggers = _adapter(), _triggers()
    expected = {
        adapter["isthmus_engine_utilisation"]: {'{pod="a"}': engine, '{pod="b"}': 0},
        adapter["isthmus_queue_seconds_mean"]: {'{pod="a"}': waiting, '{pod="b"}': 0},
        triggers["engine"]: {"{}": engine},
        triggers["queue"]: {"{}": waiting},
    }
    cases = [
        {
            "expr": f"round({query}, 1e-6)",
            "eval_time": "8m",
            "exp_samples": [{"labels": of, "value": value} for of, value in samples.items()],
        }
        for query, samples in expected.items()
    ]
    file = tmp_path / "cases.yml"
    file.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}]}))
    assert "SUCCESS" in promtool("test", "rules", file)
