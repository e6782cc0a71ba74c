"""A server whose classifier runs in another process: killed, silent, replaced, and not there yet."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import onnx
import pytest
from grpc_health.v1 import health_pb2
from onnx import numpy_helper

from detector import Detector
from detector.errors import IsthmusError, ServiceFailedError, UpstreamUnavailableError
from isthmus.v1 import detector_pb2 as pb
from service.client import AsyncClient
from service.server import RunningServer
from service.status import DETAILS_KEY
from tests.service.processes import serving
from tests.service.support import score_method, settings_for_tests
from tests.service.test_metrics import Page, shows
from tests.service.test_server import health
from tests.support.oip_server import OipServer
from tests.support.remote import digits_model, oip_process, remote_bundle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from detector.embedded import EmbeddedDefault

QUICK = {"upstream_timeout": 5.0, "upstream_retries": 1, "upstream_breaker_failures": 3, "upstream_breaker_rest": 0.5}
PROGRAM = """
import asyncio
from service.server import serve
from service.settings import load_settings
asyncio.run(serve(load_settings(bundle={bundle!r}, port=0, metrics_enabled=False, drain_delay=0, max_batch_images=4)))
"""
OPEN, CLOSED = 2, 0
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def guarding(bundle: Path, **changes: Any) -> AsyncIterator[tuple[RunningServer, AsyncClient]]:
    """A server of a bundle, which loads it as it would in earnest."""
    settings = settings_for_tests(bundle=bundle, metrics_enabled=True, max_batch_images=8, **QUICK | changes)
    async with RunningServer(settings) as server, AsyncClient(server.target, timeout=30) as client:
        await client.describe()
        yield server, client


def _breaker(page: Page) -> float:
    return page("isthmus_upstream_breaker_state")


class Load:
    """Callers who ask again and again, and write down what they get."""

    def __init__(self, client: AsyncClient, pixels: Any, callers: int = 6) -> None:
        self._client, self._pixels = client, pixels
        self.scores: list[list[float]] = []
        self.errors: list[IsthmusError] = []
        self._stopped = False
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(callers)]

    async def _ask(self) -> None:
        while not self._stopped:
            try:
                self.scores.append([image.score for image in await self._client.score(self._pixels)])
            except IsthmusError as error:
                self.errors.append(error)
                await asyncio.sleep(0.02)

    async def until(self, answers: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.scores) + answers
        async with asyncio.timeout(60):
            while len(self.scores) < wanted:  # noqa: ASYNC110 - told by the callers
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)


async def test_a_killed_classifier_is_told_at_once_and_back_again_it_is_asked_again(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    pixels = digits.test.pixels[:3]
    expected = Detector.load(digits_bundle, threads=1).score(pixels).scores
    with oip_process(digits.classifier_file) as process:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(process.target))
        async with guarding(bundle) as (server, client):
            load = Load(client, pixels)
            await load.until(20)
            assert not load.errors
            await asyncio.to_thread(process.kill)
            await shows(server, lambda page: _breaker(page) == OPEN)
            started = time.monotonic()
            with pytest.raises(UpstreamUnavailableError) as refusal:
                await client.score(pixels)
            assert time.monotonic() - started < 2  # a second of luck for a slow machine, not the time-out
            assert 0 < refusal.value.retry_after <= QUICK["upstream_breaker_rest"] + 0.1
            assert await health(server.target) == SERVING  # the service is there, and says what is not
            await asyncio.to_thread(process.start)
            await shows(server, lambda page: _breaker(page) == CLOSED)
            await load.until(20)
            await load.stop()
            page = await Page.of(server)
    assert {type(error) for error in load.errors} == {UpstreamUnavailableError}
    assert {str(error) for error in load.errors} == {
        "the classifier behind this service is unavailable; try again later"
    }
    np.testing.assert_allclose(load.scores, np.broadcast_to(expected, (len(load.scores), 3)), rtol=1e-4, atol=1e-4)
    assert page("isthmus_upstream_calls_total", outcome="unavailable") >= 3
    assert page("isthmus_upstream_calls_total", outcome="ok") >= 40
    assert page("isthmus_upstream_calls_total", outcome="failed") == 0
    assert page("isthmus_upstream_retries_total") >= 1
    assert page("isthmus_rejected_images_total", reason="upstream_unavailable") == 3 * (len(load.errors) + 1)


def _other_model(digits: EmbeddedDefault, path: Path) -> Path:
    """A network of the same shape that answers differently."""
    model = onnx.load_from_string(digits.classifier_file.read_bytes())
    largest = max(model.graph.initializer, key=lambda tensor: numpy_helper.to_array(tensor).size)
    largest.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(largest), largest.name))
    path.write_bytes(model.SerializeToString())
    return path


async def test_another_classifier_that_comes_back_in_its_place_is_not_believed(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    pixels = digits.test.pixels[:3]
    other = _other_model(digits, tmp_path / "other.onnx")
    with oip_process(digits.classifier_file) as process:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(process.target))
        async with guarding(bundle) as (server, client):
            expected = [image.score for image in await client.score(pixels)]
            process.kill()
            await _fails_until_open(server, client, pixels)
            process.start(other)
            for _ in range(3):
                await asyncio.sleep(QUICK["upstream_breaker_rest"] + 0.1)
                with pytest.raises(UpstreamUnavailableError):
                    await client.score(pixels)
            assert (await Page.of(server))("isthmus_canary_checks_total", outcome="failed") >= 3
            process.kill()
            process.start()
            await shows_answers(client, pixels)
            found = [image.score for image in await client.score(pixels)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


async def _fails_until_open(server: RunningServer, client: AsyncClient, pixels: Any) -> None:
    async with asyncio.timeout(30):
        while _breaker(await Page.of(server)) != OPEN:
            with pytest.raises(UpstreamUnavailableError):
                await client.score(pixels)


async def shows_answers(client: AsyncClient, pixels: Any) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(30):
        while True:
            try:
                await client.score(pixels)
            except UpstreamUnavailableError as error:
                await asyncio.sleep(error.retry_after)
            else:
                return


async def test_a_slow_classifier_costs_a_caller_the_time_out_and_no_more(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    with OipServer(digits.classifier_file) as upstream:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(upstream.target))
        async with guarding(bundle, upstream_timeout=0.5, upstream_breaker_failures=2) as (server, client):
            await client.score(digits.test.pixels[:1])
            upstream.delay = 3.0
            for _ in range(2):
                started = time.monotonic()
                with pytest.raises(UpstreamUnavailableError):
                    await client.score(digits.test.pixels[:1])
                assert time.monotonic() - started < 2.5
            assert _breaker(await Page.of(server)) == OPEN
            upstream.delay = 0.0
            await shows_answers(client, digits.test.pixels[:1])
            assert _breaker(await Page.of(server)) == CLOSED


async def test_a_bad_answer_is_an_error_of_the_service_and_tells_nothing(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    with OipServer(digits.classifier_file) as upstream:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(upstream.target))
        async with guarding(bundle) as (server, client):
            upstream.alter = lambda response: response.outputs[0].shape.append(1)
            upstream.failures.append((grpc.StatusCode.INTERNAL, "secret: out of memory"))
            for _ in range(2):
                with pytest.raises(ServiceFailedError, match=r"internal error [0-9a-f]{32}; ") as failure:
                    await client.score(digits.test.pixels[:1])
                assert "secret" not in str(failure.value)
                assert upstream.target not in str(failure.value)
                upstream.alter = lambda response: response.Clear()
            page = await Page.of(server)
            assert (_breaker(page), page("isthmus_upstream_calls_total", outcome="failed")) == (CLOSED, 2)


async def test_the_status_holds_a_hint_when_to_try_again_and_not_where_the_classifier_is(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    with OipServer(digits.classifier_file) as upstream:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(upstream.target))
        async with guarding(bundle) as (server, _):
            upstream.stop()
            tensor = pb.ImageTensor(
                data=bytes(64), shape=[1, 8, 8, 1], pixel_type=pb.PIXEL_TYPE_UINT8, layout=pb.LAYOUT_NHWC
            )
            async with grpc.aio.insecure_channel(server.target) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await score_method(channel)(pb.ScoreRequest(tensor=tensor).SerializeToString())
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    details = dict(refusal.value.trailing_metadata())[DETAILS_KEY]
    assert b"google.rpc.RetryInfo" in details
    assert b"UPSTREAM_UNAVAILABLE" in details
    assert b"127.0.0.1" not in details


async def test_it_waits_for_a_classifier_that_is_not_there_yet(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    with oip_process(digits.classifier_file) as process:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(process.target))
        process.kill()
        async with serving(PROGRAM.format(bundle=str(bundle))) as served:
            address = (await served.until("loading"))["address"]
            waiting = await served.until("waiting for the classifier")
            assert process.target in waiting["reason"]
            assert await health(address) == NOT_SERVING
            process.start()
            await served.until("listening")
            assert await health(address) == SERVING
            async with AsyncClient(address) as client:
                assert len(await client.score(digits.test.pixels[:2])) == 2
            served.process.send_signal(signal.SIGTERM)
            await served.until("stopped")
            assert await asyncio.wait_for(served.process.wait(), 20) == 0


async def test_waiting_for_a_classifier_it_can_be_stopped(digits_bundle: Path, tmp_path: Path) -> None:
    bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model("127.0.0.1:9"))
    async with serving(PROGRAM.format(bundle=str(bundle))) as served:
        await served.until("waiting for the classifier")
        served.process.send_signal(signal.SIGTERM)
        await served.until("stopped")
        assert await asyncio.wait_for(served.process.wait(), 20) == 0


@pytest.mark.parametrize("wrong", ["classifier", "model"])
async def test_it_does_not_start_with_a_wrong_classifier(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path, wrong: str
) -> None:
    file = _other_model(digits, tmp_path / "other.onnx") if wrong == "classifier" else digits.classifier_file
    with OipServer(file) as upstream:
        model = digits_model(upstream.target, model="resnet" if wrong == "model" else "digits")
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", model)
        error, text = (
            ("ClassifierMismatchError", "calibrate again") if wrong == "classifier" else ("ClassifierError", "resnet")
        )
        with pytest.raises(IsthmusError, match=text) as refusal:
            async with guarding(bundle):
                pass
    assert type(refusal.value).__name__ == error


async def test_a_reload_to_a_classifier_that_is_away_leaves_the_old_one(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    with OipServer(digits.classifier_file) as upstream:
        bundle = remote_bundle(digits_bundle, tmp_path / "remote", digits_model(upstream.target))
        async with guarding(bundle) as (server, client):
            remote_bundle(digits_bundle, bundle, digits_model("127.0.0.1:9"))
            server.reload()
            await shows(server, lambda page: page("isthmus_reloads_total", outcome="refused") == 1)
            assert len(await client.score(digits.test.pixels[:2])) == 2
            remote_bundle(digits_bundle, bundle, digits_model(upstream.target, batch=3))
            server.reload()
            await shows(server, lambda page: page("isthmus_reloads_total", outcome="loaded") == 1)
            upstream.batches.clear()
            assert len(await client.score(digits.test.pixels[:2])) == 2
            assert max(upstream.batches) == 3
