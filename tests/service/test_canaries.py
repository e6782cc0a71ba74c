from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import ClassifierMismatchError
from service.client import AsyncClient
from service.server import RunningServer
from service.testing import BrightnessScorer
from tests.service.support import WARM_UP_BATCHES, GatedScorer, StartServer, settings_for_tests
from tests.service.test_metrics import FLAT, Page, shows

if TYPE_CHECKING:
    from detector import Detection
    from detector.classifiers.base import Float32Array

OFTEN = 0.01


class AgeingScorer(BrightnessScorer):
    """A real scorer whose classifier turns into another one when told to.

    Attributes:
        factor: What its logits are multiplied with.
        shown: The mean of every image it was given.
    """

    def __init__(self) -> None:
        super().__init__()
        self.factor = 1.0
        self.shown: list[float] = []

    def score_canonical(self, images: Float32Array) -> Detection:
        self.shown.extend(images.mean(axis=(1, 2, 3)).tolist())
        found = super().score_canonical(images)
        return replace(found, profile=replace(found.profile, logits=found.profile.logits * np.float32(self.factor)))


def passed(page: Page) -> float:
    return page("isthmus_canary_checks_total", outcome="passed")


def failed(page: Page) -> float:
    return page("isthmus_canary_checks_total", outcome="failed")


async def test_all_canaries_take_turns(start_server: StartServer) -> None:
    scorer = AgeingScorer()
    server = await start_server(scorer, metrics_enabled=True, canary_interval=OFTEN)
    await shows(server, lambda page: passed(page) >= 1 + 6)
    assert {round(mean, 2) for mean in scorer.shown} >= {0.2, 0.5, 0.8}
    assert failed(await Page.of(server)) == 0


async def test_a_classifier_that_changes_is_found_out_and_goes_on_answering(start_server: StartServer) -> None:
    scorer = AgeingScorer()
    server = await start_server(scorer, metrics_enabled=True, canary_interval=OFTEN)
    scorer.factor = 1.5
    await shows(server, lambda page: failed(page) >= 2)
    async with AsyncClient(server.target) as client:
        await client.score(FLAT)
    scorer.factor = float("nan")
    before = failed(await Page.of(server))
    await shows(server, lambda page: failed(page) > before + 1)
    scorer.factor = 1.0
    before = passed(await Page.of(server))
    await shows(server, lambda page: passed(page) > before)


async def test_an_engine_that_fails_fails_the_check(start_server: StartServer) -> None:
    class Broken(GatedScorer):
        def score_canonical(self, images: Float32Array) -> Detection:
            if len(self.batches) >= WARM_UP_BATCHES:
                raise RuntimeError("no device")
            return super().score_canonical(images)

    server = await start_server(Broken(), metrics_enabled=True, canary_interval=OFTEN)
    await shows(server, lambda page: failed(page) >= 2)


async def test_no_interval_shows_none(start_server: StartServer) -> None:
    scorer = AgeingScorer()
    server = await start_server(scorer, metrics_enabled=True, canary_interval=0)
    async with AsyncClient(server.target) as client:
        await client.score(FLAT)
    assert passed(await Page.of(server)) == 1
    assert len(scorer.shown) == 1 + 64 + 1


async def test_what_is_refused_at_load_is_counted() -> None:
    def load(_: object) -> BrightnessScorer:
        raise ClassifierMismatchError("it is another one")

    server = RunningServer(settings_for_tests(metrics_enabled=True), load=load)
    await server.listen()
    try:
        with pytest.raises(ClassifierMismatchError):
            await server.make_ready()
        assert failed(await Page.of(server)) == 1
    finally:
        await server.stop()
