"""What holds for every peer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.evaluation.peers.activations import layer_activations
from detector.evaluation.peers.base import halves, in_chunks, originals
from detector.evaluation.peers.beyond import BeyondOwnFeatures
from detector.evaluation.peers.noise import NoiseConsistency
from detector.evaluation.peers.registry import available_peers, peers_without_attacks
from detector.metrics import auroc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import Peer
    from detector.evaluation.peers.registry import PeerFactory
    from tests.evaluation.peers.conftest import Material

NAMES = [make().name for make in available_peers()]
# Digits 8 pixels wide are no longer themselves when cropped and mirrored, and attacks drive few of their channels to
# extremes; `test_hidden_peers.py` shows what these two see.
BLIND_TO_DIGITS = {"beyond-own-features", "subset-scanning"}
EVERY = pytest.mark.parametrize("name", NAMES)
EVERY_KIND = pytest.mark.parametrize("make", available_peers(), ids=NAMES)


def test_peers_are_told_apart_by_name() -> None:
    assert len(set(NAMES)) == len(NAMES) == 12


def test_some_peers_learn_from_benign_images_alone() -> None:
    alone = {make().name for make in peers_without_attacks()}
    assert alone == {make().name for make in available_peers() if not make().needs_attacks}
    assert "mahalanobis" in alone
    assert "mahalanobis-supervised" not in alone


@EVERY
def test_scores_are_one_finite_number_an_image(name: str, fitted: dict[str, Peer], material: Material) -> None:
    scores = fitted[name].score(material.benign[:10])
    assert scores.shape == (10,)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 5


@EVERY
def test_an_image_is_scored_alike_in_any_company(name: str, fitted: dict[str, Peer], material: Material) -> None:
    together = fitted[name].score(material.benign[:20])
    apart = np.concatenate([fitted[name].score(material.benign[i : i + 1]) for i in range(17, 20)])
    np.testing.assert_allclose(apart, together[17:], rtol=1e-3, atol=1e-4)


@EVERY
def test_forwards_are_counted_right(name: str, fitted: dict[str, Peer], material: Material) -> None:
    before = material.counted.asked
    fitted[name].score(material.benign[:30])
    assert material.counted.asked - before == 30 * fitted[name].forwards_per_image


@EVERY
def test_images_are_left_as_they_were(name: str, fitted: dict[str, Peer], material: Material) -> None:
    images = material.benign[:5].copy()
    fitted[name].score(images)
    np.testing.assert_array_equal(images, material.benign[:5])


@EVERY_KIND
def test_a_second_fit_scores_the_same(make: PeerFactory, fitted: dict[str, Peer], material: Material) -> None:
    again = make()
    again.fit(material.data)
    np.testing.assert_array_equal(again.score(material.benign[:20]), fitted[again.name].score(material.benign[:20]))


@pytest.mark.parametrize("make", peers_without_attacks(), ids=lambda make: make().name)
def test_a_peer_that_needs_no_attacks_never_looks_at_them(
    make: PeerFactory, fitted: dict[str, Peer], material: Material
) -> None:
    alone = make()
    alone.fit(replace(material.data, attacked={}))
    np.testing.assert_array_equal(alone.score(material.benign[:20]), fitted[alone.name].score(material.benign[:20]))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BLIND_TO_DIGITS])
def test_hard_attacks_are_seen(name: str, fitted: dict[str, Peer], material: Material) -> None:
    assert len(material.attacked) > 60
    supervised = fitted[name].needs_attacks
    seen = auroc(fitted[name].score(material.benign), fitted[name].score(material.attacked))
    assert seen > (0.9 if supervised else 0.62)


def test_forwards_follow_the_options(material: Material) -> None:
    few = NoiseConsistency(draws=3), BeyondOwnFeatures(neighbours=7, nearest=2)
    for peer in few:
        peer.fit(material.data)
        before = material.counted.asked
        peer.score(material.benign[:30])
        assert material.counted.asked - before == 30 * peer.forwards_per_image
    assert [peer.forwards_per_image for peer in few] == [4, 8]


def test_hidden_layers_are_read_as_an_evaluation_loads_them(material: Material) -> None:
    layers = layer_activations(material.data.hidden, material.benign[:5])
    assert [layer.shape for layer in layers] == [(5, 24), (5, 48), (5, 48)]
    for layer, given in zip(layers, material.counted.hidden(material.benign[:5]), strict=True):
        np.testing.assert_array_equal(layer, given)
        assert layer.min() >= 0  # means of what a ReLU put out, not deviations mixed with them
        assert layer.std() > 0


@pytest.mark.parametrize(("copies", "largest"), [(1, 256), (1 << 14, 4), (1 << 30, 1)])
def test_chunks_shrink_with_what_an_image_takes(copies: int, largest: int) -> None:
    images = np.random.default_rng(0).random((600, 1, 8, 8), np.float32)[: 600 if copies == 1 else 9]
    sizes: list[int] = []

    def total(chunk: Float32Array) -> NDArray[np.float32]:
        sizes.append(len(chunk))
        return chunk.sum(axis=(1, 2, 3))

    np.testing.assert_array_equal(in_chunks(total, images, copies=copies), images.sum(axis=(1, 2, 3)))
    assert max(sizes) == largest


def test_originals_are_the_images_with_the_nearest_pixels() -> None:
    images = np.random.default_rng(0).random((40, 1, 8, 8), np.float32)
    attacked = np.clip(images[[31, 7, 7, 12]] + np.float32(0.03) * (-1) ** np.arange(8, dtype=np.float32), 0, 1)
    np.testing.assert_array_equal(originals(images, attacked), [7, 12, 31])
    np.testing.assert_array_equal(originals(images, np.random.default_rng(1).random((40, 1, 8, 8), np.float32)), [])


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_halves_are_disjoint_and_complete(count: int) -> None:
    first, second = halves(count, seed=3)
    assert len(first) - len(second) in {0, 1}
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(count))
