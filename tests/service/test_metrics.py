from __future__ import annotations

import asyncio
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.request import urlopen

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from detector.errors import DeadlineError, InvalidInputError, OverloadedError
from service.client import AsyncClient
from service.metrics import MAX_CLASS_LABELS, GuardMetrics
from service.server import RunningServer
from tests.service.support import WARM_UP_BATCHES, GatedScorer, StartServer, random_pixels, settings_for_tests
from tests.support.brightness import BrightnessBundle, BrightnessScorer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLAT = np.full((8, 8, 3), 128, np.uint8)
NOISE = random_pixels(8, 8, 3)

Series = tuple[str, tuple[tuple[str, str], ...]]


async def shown(server: RunningServer) -> str:
    """The metrics page."""

    def read() -> str:
        with urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=20) as reply:
            return str(reply.read().decode())

    return await asyncio.to_thread(read)


class Page:
    """The metrics page at one moment."""

    def __init__(self, values: dict[Series, float]) -> None:
        self._values = values

    @classmethod
    async def of(cls, server: RunningServer) -> Page:
        families = text_string_to_metric_families(await shown(server))
        samples = (sample for family in families for sample in family.samples)
        return cls({(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples})

    def __call__(self, name: str, **labels: str) -> float:
        return self._values[name, tuple(sorted(labels.items()))]

    def labels(self, name: str, label: str) -> set[str]:
        return {dict(labels)[label] for found, labels in self._values if found == name}


async def shows(server: RunningServer, wanted: Callable[[Page], bool]) -> None:
    """Wait until the metrics page says what is wanted."""
    async with asyncio.timeout(20):
        while not wanted(await Page.of(server)):  # noqa: ASYNC110 - told over HTTP
            await asyncio.sleep(0.01)


@pytest.fixture
async def measured(start_server: StartServer) -> RunningServer:
    return await start_server(metrics_enabled=True)


def rpc(method: str, service: str = "isthmus.v1.AdversarialDetector", kind: str = "unary") -> dict[str, str]:
    return {"grpc_type": kind, "grpc_service": service, "grpc_method": method}


async def test_answers_are_counted_by_class_and_verdict(measured: RunningServer) -> None:
    async with AsyncClient(measured.target) as client:
        await client.score([FLAT, FLAT, NOISE])
    page = await Page.of(measured)
    assert page("isthmus_images_total") == 3
    assert page("isthmus_verdicts_total", predicted_class="grey", verdict="BENIGN") == 2
    assert page("isthmus_verdicts_total", predicted_class="grey", verdict="ADVERSARIAL") == 1
    assert page("isthmus_verdicts_total", predicted_class="light", verdict="SUSPECT") == 0
    assert page("isthmus_stratum_verdicts_total", stratum="0", verdict="BENIGN") == 2
    assert page("isthmus_stratum_verdicts_total", stratum="1", verdict="ADVERSARIAL") == 1
    assert page("isthmus_stratum_verdicts_total", stratum="1", verdict="SUSPECT") == 0
    assert page("isthmus_p_value_count") == page("isthmus_score_count") == 3
    assert page("isthmus_p_value_bucket", le="0.01") == 1
    assert page("isthmus_score_bucket", le="0.0") == 2
    assert page("isthmus_classifier_forwards_total") == 3 * 5
    assert page("isthmus_batch_images_sum") == 3
    assert page("isthmus_queue_images") == 0
    assert page("isthmus_engine_seconds_count") == page("isthmus_queue_seconds_count") == 1
    bundle = BrightnessScorer().bundle
    version = page.labels("isthmus_detector_info", "version").pop()
    assert page("isthmus_detector_info", bundle_digest=bundle.digest, scorer="steps", version=version) == 1
    assert page("process_resident_memory_bytes") > 0


async def test_what_is_promised_and_allowed_stands_beside_what_is(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    os.utime(tmp_path / "manifest.json", (1234, 1234))
    changes = {"bundle": tmp_path, "max_queue_images": 300, "latency_objective": 0.3}
    server = await start_server(metrics_enabled=True, **changes)
    async with AsyncClient(server.target) as client:
        await client.score(FLAT)
    page = await Page.of(server)
    rates = BrightnessScorer().bundle.manifest.rates
    assert page("isthmus_target_rate", verdict="SUSPECT") == rates.suspect
    assert page("isthmus_target_rate", verdict="ADVERSARIAL") == rates.adversarial
    assert page("isthmus_queue_limit_images") == 300
    assert page("isthmus_latency_objective_seconds") == 0.3
    assert page("grpc_server_handling_seconds_bucket", le="0.3", **rpc("Score")) == 1
    assert page("isthmus_bundle_written_timestamp_seconds") == 1234


async def test_drift_is_that_of_the_newest_p_values(start_server: StartServer) -> None:
    server = await start_server(metrics_enabled=True, drift_window_images=100)
    async with AsyncClient(server.target) as client:
        await client.score([FLAT])
        page = await Page.of(server)
        assert math.isnan(page("isthmus_p_value_drift"))
        assert page("isthmus_p_value_drift_images") == 1
        await client.score([NOISE] * 100)
    page = await Page.of(server)
    assert page("isthmus_p_value_drift") == pytest.approx(math.sqrt(100), rel=0.05)  # nothing is farther from uniform
    assert page("isthmus_p_value_drift_images") == 100


async def test_readiness_is_shown_from_the_first_moment_to_the_last() -> None:
    server = RunningServer(settings_for_tests(metrics_enabled=True, drain_delay=1.0), load=lambda _: BrightnessScorer())
    await server.listen()
    assert (await Page.of(server))("isthmus_ready") == 0
    await server.make_ready()
    assert (await Page.of(server))("isthmus_ready") == 1
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    assert (await Page.of(server))("isthmus_ready") == 0
    await stopping


async def test_calls_are_counted_under_the_standard_names(measured: RunningServer) -> None:
    async with AsyncClient(measured.target) as client:
        await client.score(FLAT)
        with pytest.raises(InvalidInputError):
            await client.score(b"text")
    async with grpc.aio.insecure_channel(measured.target) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        watch.cancel()
        await shows(measured, lambda page: page.labels("grpc_server_handled_total", "grpc_method") >= {"Watch"})
    page = await Page.of(measured)
    assert page("grpc_server_started_total", **rpc("Score")) == 2
    assert page("grpc_server_handled_total", grpc_code="OK", **rpc("Score")) == 1
    assert page("grpc_server_handled_total", grpc_code="INVALID_ARGUMENT", **rpc("Score")) == 1
    assert page("grpc_server_handling_seconds_count", **rpc("Score")) == 2
    assert page("grpc_server_handled_total", grpc_code="OK", **rpc("GetDetector")) == 1
    assert page("grpc_server_handled_total", grpc_code="OK", **rpc("Check", "grpc.health.v1.Health")) == 1
    assert (
        page(
            "grpc_server_handled_total", grpc_code="CANCELLED", **rpc("Watch", "grpc.health.v1.Health", "server_stream")
        )
        == 1
    )


async def test_unknown_methods_make_no_series(measured: RunningServer) -> None:
    async with grpc.aio.insecure_channel(measured.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/made.up/Name", lambda message: message)(b"")
    assert "Name" not in (await Page.of(measured)).labels("grpc_server_started_total", "grpc_method")


async def test_images_without_a_score_are_counted_by_reason(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer, metrics_enabled=True, max_images=4, max_queue_images=4, max_image_bytes=5000)
    async with AsyncClient(server.target) as client:
        await client.score([b"text", b"", bytes(6000)], report_per_image=True)
        with pytest.raises(InvalidInputError):
            await client.score([b"text", b"text"])
        with scorer.closed():
            first = asyncio.create_task(client.score(np.stack([FLAT] * 4)))
            await scorer.entered(WARM_UP_BATCHES + 1)
            assert (await Page.of(server))("isthmus_queue_images") == 4
            with pytest.raises(OverloadedError):
                await client.score(FLAT)
        await first
    page = await Page.of(server)
    assert page("isthmus_rejected_images_total", reason="invalid_input") == 2 + 2
    assert page("isthmus_rejected_images_total", reason="limit_exceeded") == 1
    assert page("isthmus_rejected_images_total", reason="overloaded") == 1
    assert page("isthmus_queue_images") == 0


async def test_calls_that_nobody_waits_for_are_told_apart(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer, metrics_enabled=True)
    async with AsyncClient(server.target) as patient, AsyncClient(server.target, timeout=1) as hasty:
        await hasty.describe()
        await patient.describe()
        with scorer.closed():
            first = asyncio.create_task(patient.score(FLAT))
            await scorer.entered(WARM_UP_BATCHES + 1)
            with pytest.raises(DeadlineError):
                await hasty.score([FLAT, FLAT])
            gone = asyncio.create_task(patient.score(FLAT))
            await shows(server, lambda page: page("grpc_server_started_total", **rpc("Score")) == 3)
            gone.cancel()
            await shows(server, lambda page: "CANCELLED" in page.labels("grpc_server_handled_total", "grpc_code"))
        await first
    page = await Page.of(server)
    for code in ("OK", "DEADLINE_EXCEEDED", "CANCELLED"):
        assert page("grpc_server_handled_total", grpc_code=code, **rpc("Score")) == 1
    assert page("isthmus_rejected_images_total", reason="cancelled") == 2 + 1
    assert page("isthmus_rejected_images_total", reason="internal") == 0
    assert page("isthmus_images_total") == 1
    assert page("isthmus_queue_images") == 0


async def test_concurrent_clients_share_batches(start_server: StartServer) -> None:
    scorer = GatedScorer()
    server = await start_server(scorer, metrics_enabled=True)
    async with AsyncClient(server.target) as client:
        await client.describe()
        with scorer.closed():
            tasks = [asyncio.create_task(client.score(FLAT)) for _ in range(41)]
            await scorer.entered(WARM_UP_BATCHES + 1)
            await shows(server, lambda page: page("isthmus_queue_images") == 41)
        await asyncio.gather(*tasks)
    page = await Page.of(server)
    assert page("isthmus_batch_images_sum") == 41
    assert page("isthmus_batch_images_count") <= 4  # the first images, and then all that waited
    assert page("isthmus_queue_seconds_count") == 41


def test_many_classes_share_a_label() -> None:
    scorer, registry = BrightnessScorer(), CollectorRegistry()
    labels = tuple(f"class {i}" for i in range(1000))
    bundle = BrightnessBundle(replace(scorer.bundle.manifest, labels=labels))
    metrics = GuardMetrics(registry, bundle, settings_for_tests(), written_at=0)
    dark = scorer.score_canonical(np.zeros((1, 3, 8, 8), np.float32))
    for index in (99, 100, 999):
        metrics.scored([replace(dark, predicted=np.array([index]), labels=(labels[index],))])
    found = {
        sample.labels["predicted_class"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "isthmus_verdicts_total" and sample.labels["verdict"] == "BENIGN"
    }
    assert len(found) == MAX_CLASS_LABELS + 1
    assert (found["class 99"], found["other"]) == (1, 2)
