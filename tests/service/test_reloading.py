from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from detector.errors import BundleIntegrityError
from service.client import AsyncClient
from service.server import RunningServer
from tests.service.support import WARM_UP_BATCHES, GatedScorer, random_pixels, settings_for_tests
from tests.service.test_metrics import Page, shows
from tests.support.brightness import BrightnessBundle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from service.settings import ServiceSettings

PIXELS = random_pixels(3, 8, 8, 3)


class Shelf:
    """Loads whatever lies in a folder: a scorer whose classes are named in its manifest, or an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scorers: list[GatedScorer] = []

    def put(self, text: str) -> None:
        (self.folder / "manifest.json").write_text(text)

    def load(self, settings: ServiceSettings) -> GatedScorer:
        text = (settings.bundle / "manifest.json").read_text()
        if text == "broken":
            raise BundleIntegrityError("scorer.onnx: altered")
        if text == "surprising":
            raise RuntimeError("nobody thought of this")
        scorer = GatedScorer()
        manifest = replace(scorer.bundle.manifest, provenance={"text": text})
        scorer.bundle = BrightnessBundle(manifest)
        self.scorers.append(scorer)
        return scorer


@asynccontextmanager
async def shelved(folder: Path, **changes: Any) -> AsyncIterator[tuple[Shelf, RunningServer, AsyncClient]]:
    shelf = Shelf(folder)
    shelf.put("first")
    settings = settings_for_tests(bundle=folder, metrics_enabled=True, **changes)
    async with RunningServer(settings, load=shelf.load) as server, AsyncClient(server.target, timeout=20) as client:
        await client.describe()
        yield shelf, server, client


def _digest(shelf: Shelf) -> str:
    return shelf.scorers[-1].bundle.digest


async def test_told_to_it_loads_the_new_bundle_and_says_so(tmp_path: Path) -> None:
    async with shelved(tmp_path) as (shelf, server, client):
        first = _digest(shelf)
        shelf.put("second")
        await asyncio.sleep(0.1)
        assert (await client.describe()).bundle_digest == first  # nobody looks unless told to
        server.reload()
        await shows(server, lambda page: page("isthmus_reloads_total", outcome="loaded") == 1)
        assert (await client.describe()).bundle_digest == _digest(shelf) != first
        assert shelf.scorers[1].batches == [1, 64]  # it was warmed up first
        page = await Page.of(server)
        assert page.labels("isthmus_detector_info", "bundle_digest") == {_digest(shelf)}
        assert page("isthmus_reloads_total", outcome="refused") == 0
        assert len(await client.score(PIXELS)) == 3


async def test_a_watched_folder_is_loaded_again_when_it_changes(tmp_path: Path) -> None:
    async with shelved(tmp_path, watch_interval=0.05) as (shelf, server, client):
        await asyncio.sleep(0.3)
        assert len(shelf.scorers) == 1
        shelf.put("second")
        await shows(server, lambda page: page("isthmus_reloads_total", outcome="loaded") == 1)
        (tmp_path / "manifest.json").unlink()  # as while it is being replaced
        await asyncio.sleep(0.2)
        shelf.put("third")
        await shows(server, lambda page: page("isthmus_reloads_total", outcome="loaded") == 2)
        assert (await client.describe()).bundle_digest == _digest(shelf)
        assert len(shelf.scorers) == 3


@pytest.mark.parametrize("bad", ["broken", "surprising"])
async def test_a_bad_bundle_changes_nothing(tmp_path: Path, bad: str) -> None:
    async with shelved(tmp_path, watch_interval=0.05) as (shelf, server, client):
        first = _digest(shelf)
        shelf.put(bad)
        await shows(server, lambda page: page("isthmus_reloads_total", outcome="refused") == 1)
        await asyncio.sleep(0.2)
        page = await Page.of(server)
        assert page("isthmus_reloads_total", outcome="refused") == 1  # one bad bundle is tried once
        assert (await client.describe()).bundle_digest == first
        assert len(await client.score(PIXELS)) == 3
        shelf.put("good")
        await shows(server, lambda page: page("isthmus_reloads_total", outcome="loaded") == 1)
        assert (await client.describe()).bundle_digest == _digest(shelf)


async def test_requests_in_hand_are_finished_by_the_old_and_new_ones_go_to_the_new(tmp_path: Path) -> None:
    async with shelved(tmp_path) as (shelf, server, client):
        old = shelf.scorers[0]
        with old.closed():
            in_hand = [asyncio.create_task(client.score(PIXELS)) for _ in range(4)]
            await old.entered(WARM_UP_BATCHES + 1)
            shelf.put("second")
            server.reload()
            await shows(server, lambda page: page("isthmus_reloads_total", outcome="loaded") == 1)
            assert len(await client.score(PIXELS)) == 3  # although the old engine stands still
            assert not any(task.done() for task in in_hand)
        assert [len(answer) for answer in await asyncio.gather(*in_hand)] == [3, 3, 3, 3]
        assert sum(shelf.scorers[1].batches[WARM_UP_BATCHES:]) == 3


async def test_under_load_no_request_fails_while_bundles_come_and_go(tmp_path: Path) -> None:
    answered, stopped = 0, False

    async def ask(client: AsyncClient) -> None:
        nonlocal answered
        while not stopped:
            assert len(await client.score(PIXELS)) == 3
            answered += 1

    async with shelved(tmp_path) as (shelf, server, client):
        asking = [asyncio.create_task(ask(client)) for _ in range(4)]
        for turn in range(1, 6):
            shelf.put(hashlib.sha256(bytes([turn])).hexdigest())
            server.reload()
            await shows(server, lambda page, turn=turn: page("isthmus_reloads_total", outcome="loaded") == turn)  # type: ignore[misc] # a default is bound now
        stopped = True
        await asyncio.gather(*asking)
        page = await Page.of(server)
        assert page("isthmus_images_total") == 3 * answered
    assert answered > 20


async def test_stopping_waits_for_a_guard_that_was_replaced(tmp_path: Path) -> None:
    async with shelved(tmp_path) as (shelf, server, client):
        old = shelf.scorers[0]
        with old.closed():
            in_hand = asyncio.create_task(client.score(PIXELS))
            await old.entered(WARM_UP_BATCHES + 1)
            shelf.put("second")
            server.reload()
            await shows(server, lambda page: page("isthmus_reloads_total", outcome="loaded") == 1)
            asyncio.get_running_loop().call_later(0.3, old._gate.set)
            await server.stop()
        assert len(await in_hand) == 3
