from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector
from detector.bundle import read_bundle, write_bundle
from detector.errors import ClassifierMismatchError
from service.client import AsyncClient
from service.server import RunningServer
from tests.service.support import WARM_UP_BATCHES, GatedScorer, StartServer, settings_for_tests
from tests.service.test_metrics import FLAT, Page, shows
from tests.support.brightness import BrightnessScorer
from tests.support.flips import LOW_EXPONENT, SIGN, with_flipped_bit

if TYPE_CHECKING:
    from pathlib import Path

    from detector import Detection
    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array

OFTEN = 0.01
DEVIATION = "isthmus_canary_deviation_ratio"
TOLERATES_ALL = 1e6


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


async def test_the_largest_deviation_is_shown_whichever_canary_took_its_turn(start_server: StartServer) -> None:
    scorer = AgeingScorer()
    server = await start_server(scorer, metrics_enabled=True, canary_interval=OFTEN)
    assert (await Page.of(server))(DEVIATION) < 1e-3
    scorer.factor = 1.5
    await shows(server, lambda page: failed(page) >= 3)
    wanted = scorer.bundle.canaries.deviations(scorer.bundle.canaries.logits * np.float32(1.5)).max()
    assert (await Page.of(server))(DEVIATION) == pytest.approx(wanted, rel=1e-3)
    scorer.factor = float("nan")
    await shows(server, lambda page: page(DEVIATION) == float("inf"))
    scorer.factor = 1.0
    await shows(server, lambda page: page(DEVIATION) < 1e-3)


class FaultyMemory:
    """A real detector, of whose classifier one weight's bit can turn over while it runs. Implements `Scorer`."""

    def __init__(self, bundle: Bundle, bit: int) -> None:
        harmed = with_flipped_bit(bundle.graph, bit)
        self._sound = self._runs = Detector(bundle)
        self._harmed = Detector(
            replace(bundle, parts=replace(bundle.parts, classifier=harmed)), canary_tolerance=TOLERATES_ALL
        )
        self.bundle, self.canary_deviations = self._sound.bundle, self._sound.canary_deviations

    def flip(self) -> None:
        self._runs = self._harmed

    def classify_canonical(self, images: Float32Array) -> Float32Array:
        return self._runs.classify_canonical(images)

    def score_canonical(self, images: Float32Array) -> Detection:
        return self._runs.score_canonical(images)


@pytest.mark.parametrize("bit", [SIGN, LOW_EXPONENT])
async def test_a_bit_that_flips_while_it_runs_is_found_out(
    start_server: StartServer, digits_bundle: Path, bit: int
) -> None:
    scorer = FaultyMemory(read_bundle(digits_bundle), bit)
    server = await start_server(scorer, metrics_enabled=True, canary_interval=OFTEN)
    await shows(server, lambda page: passed(page) >= 1 + len(scorer.bundle.canaries))
    page = await Page.of(server)
    assert failed(page) == 0
    assert page(DEVIATION) < 0.25
    scorer.flip()
    await shows(server, lambda page: failed(page) >= 1)
    assert (await Page.of(server))(DEVIATION) > 1


@pytest.mark.parametrize("bit", [SIGN, LOW_EXPONENT])
async def test_a_bundle_with_a_flipped_bit_is_served_where_as_much_is_tolerated(
    digits_bundle: Path, tmp_path: Path, bit: int
) -> None:
    bundle = read_bundle(digits_bundle)
    parts = replace(bundle.parts, classifier=with_flipped_bit(bundle.graph, bit))
    write_bundle(tmp_path / "harmed", bundle.manifest, parts, attachments={})
    strict = RunningServer(settings_for_tests(bundle=tmp_path / "harmed", metrics_enabled=True))
    await strict.listen()
    try:
        with pytest.raises(ClassifierMismatchError, match="of 16 canaries"):
            await strict.make_ready()
        page = await Page.of(strict)
        assert failed(page) == 1
        assert page(DEVIATION) > 1
    finally:
        await strict.stop()
    settings = settings_for_tests(bundle=tmp_path / "harmed", metrics_enabled=True, canary_tolerance=TOLERATES_ALL)
    async with RunningServer(settings) as lenient:
        assert 0 < (await Page.of(lenient))(DEVIATION) < 1


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
