from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.images import to_canonical
from detector.verdicts import Verdict
from service.client import AsyncClient, Client
from tests.service.support import StartServer, random_pixels
from tests.support.brightness import BrightnessScorer
from tests.support.pictures import encoded

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from service.results import DetectorDescription, ScoredImage
    from service.server import RunningServer

PIXELS = random_pixels(5, 8, 8, 3)


async def test_describe_tells_what_is_loaded_and_what_is_accepted(start_server: StartServer) -> None:
    server = await start_server(max_images=3, max_queue_images=9, max_image_bytes=1000, max_image_pixels=2000)
    async with AsyncClient(server.target) as client:
        found = await client.describe()
    bundle = BrightnessScorer().bundle
    assert found.labels == bundle.manifest.labels
    assert (found.height, found.width, found.channels) == (8, 8, 3)
    assert (found.suspect_rate, found.adversarial_rate) == (
        bundle.manifest.rates.suspect,
        bundle.manifest.rates.adversarial,
    )
    assert (found.max_images, found.max_image_bytes, found.max_image_pixels) == (3, 1000, 2000)
    assert found.paths == ("prototype[0]",)
    assert found.forwards_per_image == 5
    assert found.images_per_stratum == (0, 0)


@pytest.mark.parametrize("images", [PIXELS, PIXELS / 255, (PIXELS / 255).astype(np.float16), list(PIXELS)])
async def test_every_kind_of_array_gets_the_scorers_own_answers(client: AsyncClient, images: NDArray[Any]) -> None:
    exact = to_canonical(np.stack(list(images)), (3, 8, 8))
    expected = BrightnessScorer().score_canonical(exact)
    found = await client.score(images, include_logits=True, include_profile=True)
    assert [image.class_index for image in found] == expected.predicted.tolist()
    assert [image.verdict for image in found] == list(expected.verdicts)
    assert [image.stratum for image in found] == expected.strata.tolist()
    np.testing.assert_allclose([image.score for image in found], expected.scores, rtol=1e-6)
    np.testing.assert_allclose([image.p_value for image in found], expected.p_values, rtol=1e-6)
    np.testing.assert_allclose([image.barrier_height for image in found], expected.barrier_heights, rtol=1e-6)
    np.testing.assert_allclose([image.barrier_gap for image in found], expected.barrier_gaps, rtol=1e-6)
    np.testing.assert_allclose([image.logits for image in found], expected.logits, rtol=1e-6)
    np.testing.assert_allclose([i.profile[0].losses for i in found], expected.profile.losses[:, 0], rtol=1e-6)
    np.testing.assert_allclose([i.profile[0].margins for i in found], expected.profile.margins[:, 0], rtol=1e-6)
    assert found[0].profile[0].path == "prototype[0]"
    assert found[0].profile[0].alphas == (0.0, 0.25, 0.5, 0.75, 1.0)


async def test_probability_is_the_softmax_and_extras_come_only_when_asked_for(client: AsyncClient) -> None:
    (full,) = await client.score(PIXELS[0], include_logits=True)
    logits = np.array(full.logits)
    assert full.probability == pytest.approx(np.exp(logits).max() / np.exp(logits).sum(), rel=1e-5)
    (bare,) = await client.score(PIXELS[0])
    assert (bare.logits, bare.profile) == ((), ())
    assert bare.label == BrightnessScorer().bundle.manifest.labels[bare.class_index]


async def test_files_bytes_and_arrays_of_the_same_pixels_get_the_same_answer(
    client: AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(PIXELS[0]).save(path)
    assert await client.score(path) == await client.score(PIXELS[0])
    assert await client.score([str(path), path.read_bytes()]) == await client.score(PIXELS[[0, 0]])


async def test_noise_is_adversarial_and_flat_images_are_benign(client: AsyncClient) -> None:
    flat = np.full((8, 8, 3), 128, np.uint8)
    found = await client.score([flat, PIXELS[0]])
    assert [image.verdict for image in found] == [Verdict.BENIGN, Verdict.ADVERSARIAL]
    assert [image.stratum for image in found] == [0, 1]


async def test_what_passes_the_servers_limits_is_sent_in_parts(start_server: StartServer) -> None:
    server = await start_server(max_images=2)
    files = [encoded(image) for image in PIXELS]
    async with AsyncClient(server.target) as client:
        whole = BrightnessScorer().score_canonical(to_canonical(PIXELS, (3, 8, 8)))
        for images in (PIXELS, files):
            found = await client.score(images)
            np.testing.assert_allclose([image.score for image in found], whole.scores, rtol=1e-6)


async def test_parts_also_respect_the_message_size(start_server: StartServer) -> None:
    server = await start_server(max_message_bytes=1500)
    async with AsyncClient(server.target) as client:
        assert len(await client.score(np.concatenate([PIXELS] * 4))) == 20


async def test_grey_images_need_no_channel_axis(start_server: StartServer) -> None:
    server = await start_server(BrightnessScorer(ImageSpec(height=8, width=8, channel_order=ChannelOrder.GRAY)))
    async with AsyncClient(server.target) as client:
        (found,) = await client.score(PIXELS[0, :, :, 0])
    assert found.verdict is not None


async def test_the_blocking_client_gives_the_same_answers(server: RunningServer, client: AsyncClient) -> None:
    def call() -> tuple[list[ScoredImage], DetectorDescription]:
        with Client(server.target, timeout=20) as blocking:
            return blocking.score(PIXELS, include_profile=True), blocking.describe()

    found, description = await asyncio.to_thread(call)
    assert found == await client.score(PIXELS, include_profile=True)
    assert description == await client.describe()
