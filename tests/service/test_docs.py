"""The pages under docs/ say all there is to say, and nothing that is not so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from isthmus.v1 import detector_pb2 as pb
from service.canaries import CanaryMetrics
from service.metrics import AuditMetrics, GuardMetrics, ReloadMetrics, RpcMetrics, new_registry, show_readiness
from service.settings import CONFIG_VARIABLE, ENV_PREFIX, ServiceSettings
from service.upstream_metrics import UpstreamMetrics
from tests.service.support import ROOT, settings_for_tests
from tests.service.test_metrics import shown
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor

    from tests.service.support import StartServer

API = (ROOT / "docs" / "api.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()

FILE = pb.DESCRIPTOR
INFO_LABELS = ("bundle_digest", "version", "scorer")
SERVICE = FILE.services_by_name["AdversarialDetector"]


def rows(page: str) -> dict[str, list[str]]:
    """The cells of all tables' rows, by their first cell."""
    lines = (re.split(r"(?<!\\)\|", line)[1:-1] for line in page.splitlines() if line.startswith("| `"))
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


def section(title: str) -> str:
    """A section of the API page."""
    found = re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", API, re.MULTILINE | re.DOTALL)
    assert found, f"docs/api.md has no section '### {title}'"
    return found[1]


@pytest.mark.parametrize("method", [method.name for method in SERVICE.methods])
def test_every_method_is_documented(method: str) -> None:
    assert section(method).strip()


@pytest.mark.parametrize("message", FILE.message_types_by_name.values(), ids=lambda message: str(message.name))
def test_every_message_is_documented_field_by_field(message: Descriptor) -> None:
    assert list(rows(section(message.name))) == [field.name for field in message.fields]


@pytest.mark.parametrize("enum", FILE.enum_types_by_name.values(), ids=lambda enum: str(enum.name))
def test_every_enum_is_documented_value_by_value(enum: EnumDescriptor) -> None:
    assert list(rows(section(enum.name))) == [value.name for value in enum.values]


def test_every_setting_is_documented_as_it_is() -> None:
    documented = rows(SETTINGS)
    assert documented.keys() == ServiceSettings.model_fields.keys()
    for name, field in ServiceSettings.model_fields.items():
        default = "must be set" if field.is_required() else f"`{as_toml(field.default)}`"
        row = [f"`{ENV_PREFIX}{name.upper()}`", default, field.description]
        assert documented[name] == row, f"| `{name}` | {' | '.join(map(str, row))} |"
    assert CONFIG_VARIABLE in SETTINGS


def as_toml(default: object) -> str:
    """A default as TOML would have it."""
    if default is None:
        return "unset"
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    registry = new_registry()
    RpcMetrics(registry, latency_objective=1)
    GuardMetrics(registry, BrightnessScorer().bundle, settings_for_tests(), written_at=0)
    show_readiness(registry, lambda: True)
    ReloadMetrics(registry)
    AuditMetrics(registry)
    UpstreamMetrics(registry, CanaryMetrics(registry))
    found = {}
    for collector in registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):  # the other one is the process's own
            (family,) = collector.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = INFO_LABELS if family.type == "info" else collector._labelnames
            found[name] = [family.type, ", ".join(f"`{label}`" for label in labels)]
    assert {name: cells[:2] for name, cells in rows(METRICS).items()} == found


async def test_a_running_server_shows_what_is_documented_and_nothing_else(start_server: StartServer) -> None:
    server = await start_server(metrics_enabled=True)
    families = text_string_to_metric_families(await shown(server))
    own = {family.name for family in families if not family.name.startswith("process_")}
    documented = {name.removesuffix("_total") for name in rows(METRICS) if not name.startswith("isthmus_upstream_")}
    info = {"isthmus_detector_info"}  # the text format has an information as a gauge of this name
    assert own - info == documented - {"isthmus_detector"}
    assert info <= own


def test_metrics_named_in_prose_exist() -> None:
    named = set(re.findall(r"\bisthmus_[a-z_]+", METRICS))
    known = set(rows(METRICS)) | {"isthmus_detector_info", "isthmus_p_value_bucket", "isthmus_p_value_count"}
    assert named <= known
