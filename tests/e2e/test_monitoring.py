"""A real Prometheus watches a real server by the shipped rules, while clean and then attacked images come."""

from __future__ import annotations

import json
import math
import re
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import pgd
from detector.calibration.attacking import attack_successfully
from detector.cli.demo_server import ServerProcess
from detector.embedded import SPEC
from detector.images import to_canonical, to_pixels
from service.client import Client
from tests.support.calibrating import digits_inputs
from tests.support.commands import ROOT
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.promql import dashboard_queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.classifiers.base import UInt8Array
    from detector.embedded import EmbeddedDefault

# So much faster does time pass than in the shipped rules: the hour of a fast burn is 24 seconds, its five minutes two.
FASTER = 150
SCRAPE_SECONDS, EVALUATE_SECONDS = 0.4, 0.5
PATIENCE = 30.0
CALL = 20  # images
# Of 255 levels. Weaker attacks end where digits are hard, and there the bundle's thresholds are those of hard digits.
ATTACK = pgd(96)
SHIPPED = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "isthmus.json").read_text())
# The classifier of this server is its own: what is elsewhere says nothing.
NOT_HERE = {"Calls upstream", "Time of calls upstream", "Circuit breaker"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def faster(duration: str) -> str:
    """A duration, or a range in brackets, in milliseconds of the test's time."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", duration).groups()  # type: ignore[union-attr] # else the test fails
    return f"{int(number) * UNITS[unit] * 1000 // FASTER}ms"


def scaled(group: dict[str, Any]) -> dict[str, Any]:
    """A shipped group with every range, `for` and `interval` shortened, and nothing else changed."""
    rules = [
        {key: faster(content) if key == "for" else content for key, content in rule.items()}
        | {"expr": re.sub(r"\[(\w+)\]", lambda found: f"[{faster(found[1])}]", rule["expr"])}
        for rule in group["rules"]
    ]
    return {key: faster(content) if key == "interval" else content for key, content in group.items()} | {"rules": rules}


def free_port() -> int:
    """A port that nobody listens on; Prometheus does not say which one it took of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def watching(server: ServerProcess, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus with the shipped configuration, but for its pace and its target's port."""
    shipped = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    for path in SHIPPED.glob(shipped["rule_files"][0]):
        groups = [scaled(group) for group in yaml.safe_load(path.read_text())["groups"]]
        (folder / path.name).write_text(yaml.safe_dump({"groups": groups}))
    (job,) = shipped["scrape_configs"]
    job["static_configs"] = [{"targets": [server.metrics_url.split("/")[2]]}]
    pace = {
        "scrape_interval": f"{SCRAPE_SECONDS * 1000:.0f}ms",
        "evaluation_interval": f"{EVALUATE_SECONDS * 1000:.0f}ms",
    }
    configuration = {
        "global": pace | {"scrape_timeout": pace["scrape_interval"]},
        "rule_files": [str(folder / "*.yml")],
        "scrape_configs": [job],
    }
    home = folder / "prometheus"
    home.mkdir()
    with running_prometheus(configuration, home, free_port()) as prometheus:
        yield prometheus


@pytest.fixture
def pixels(digits: EmbeddedDefault) -> dict[str, UInt8Array]:
    """Clean and attacked digits, none of which the detector has seen."""
    inputs, labels = digits_inputs(digits), digits.test.labels
    assert inputs.gradients is not None
    assert labels is not None
    target = AttackTarget(inputs.gradients, to_canonical(digits.test.pixels, SPEC.shape), labels)
    moved = attack_successfully(ATTACK, inputs.loaded.classifier, target, seed=1)
    return {"clean": digits.test.pixels, "attacked": to_pixels(moved.images)}


def send(client: Client, images: UInt8Array) -> None:
    for first in range(0, len(images), CALL):
        client.score(images[first : first + CALL])


def states(prometheus: Prometheus, start: str) -> dict[str, str]:
    """State and severity of the alerts whose names begin so."""
    return {
        name: f"{state} {labels['severity']}" for name, state, labels in prometheus.alerts() if name.startswith(start)
    }


def value(prometheus: Prometheus, query: str) -> float:
    """The largest value of a query's series; 0 where there is none."""
    return max((found for _, found in prometheus.query(query) if not math.isnan(found)), default=0.0)


def test_attacked_traffic_raises_the_alarm_and_clean_traffic_none(
    digits_bundle: Path, pixels: dict[str, UInt8Array], tmp_path: Path
) -> None:
    flags = ("--threads", "1", "--audit-log", str(tmp_path / "audit.jsonl"))
    with (
        ServerProcess(digits_bundle, tmp_path / "server.log", port=0, metrics_port=0, flags=flags) as server,
        watching(server, tmp_path) as prometheus,
        Client(server.address) as client,
    ):
        prometheus.until(lambda: value(prometheus, "isthmus_ready") == 1, PATIENCE)
        send(client, pixels["clean"])
        enough = 'job:isthmus_promised_flags:increase1h{verdict="ADVERSARIAL"}'
        prometheus.until(lambda: value(prometheus, enough) >= 2, PATIENCE)
        time.sleep(2 * EVALUATE_SECONDS)  # so that alerts have read it too
        assert 0 < value(prometheus, "job:isthmus_flag_burn:ratio1h") < 5
        assert states(prometheus, "IsthmusFlagRate") == {}
        prometheus.until(
            lambda: not states(prometheus, "IsthmusNoReplica") | states(prometheus, "IsthmusAbsent"), PATIENCE
        )

        _attacked_until_paged(prometheus, client, pixels["attacked"])
        assert states(prometheus, "IsthmusAvailability") == {}
        assert prometheus.faults() == []
        _dashboard_is_full(prometheus)

        assert server.stop() == 0
        prometheus.until(
            lambda: states(prometheus, "IsthmusNoReplica") == {"IsthmusNoReplica": "firing page"}, PATIENCE
        )


def _attacked_until_paged(prometheus: Prometheus, client: Client, attacked: UInt8Array) -> None:
    """Attacked images come, on and on, and soon somebody is paged."""
    deadline = time.monotonic() + PATIENCE
    while states(prometheus, "IsthmusFlagRateFastBurn") != {"IsthmusFlagRateFastBurn": "firing page"}:
        assert time.monotonic() < deadline, (prometheus.query("job:isthmus_flag_burn:ratio1h"), prometheus.faults())
        send(client, attacked)


def _dashboard_is_full(prometheus: Prometheus) -> None:
    """Every query of every panel has numbers to show, right after traffic."""
    panels = dashboard_queries(DASHBOARD, window="20s")

    def empty() -> set[str]:
        return {
            title
            for title, queries in panels.items()
            for query in queries
            if all(math.isnan(number) for _, number in prometheus.query(query))
        }

    prometheus.until(lambda: empty() == NOT_HERE, PATIENCE, empty)
