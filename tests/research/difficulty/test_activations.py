"""Scores of hidden layers: known small answers, nobody its own neighbour, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detector.errors import AnalysisError
from detector.research.difficulty.activations import (
    Activations,
    class_distances,
    cluster_distances,
    prediction_depth,
    probes,
)
from detector.training.architectures import build_network
from detector.training.data import LabelledImages

_F = np.float32


def _images(count: int = 24) -> LabelledImages:
    generator = np.random.default_rng(0)
    return LabelledImages(generator.random((count, 3, 8, 8), _F), generator.integers(0, 3, count), 3)


def test_depth_is_the_first_layer_from_which_on_all_neighbours_agree() -> None:
    known_labels = np.repeat([0, 1], 3)
    apart = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]], _F)  # a layer that tells classes apart
    crossed = apart[::-1].copy()  # one that takes each for the other
    queries = np.array([[0.05]], _F)
    label = np.array([0])

    def depth(*layers: np.ndarray) -> float:
        return float(prediction_depth([queries] * len(layers), label, layers, known_labels)[0])

    assert depth(apart, apart, apart) == 0
    assert depth(crossed, apart, apart) == 1
    assert depth(apart, crossed, apart) == 2
    assert depth(apart, apart, crossed) == 3


def test_nobody_is_a_neighbour_of_its_own() -> None:
    """An example with a wrong label among its like: with itself to ask it would be known, for two of three votes."""
    values = np.array([[0.0], [0.0], [5.0]], _F)
    labels = np.array([1, 0, 1])
    alone = prediction_depth([values[:1]], labels[:1], [values[:2]], labels[:2], np.array([0]))
    assert alone.tolist() == [1]
    stranger = prediction_depth([values[:1]], np.array([0]), [values[:2]], labels[:2], np.array([0]))
    assert stranger.tolist() == [0]


def test_depth_agrees_with_sorting_all_distances() -> None:
    generator = np.random.default_rng(1)
    known, labels = generator.normal(size=(90, 5)).astype(_F), generator.integers(0, 3, 90)
    found = prediction_depth([known], labels, [known], labels, np.arange(90))
    for place in range(90):
        order = np.argsort(np.linalg.norm(known - known[place], axis=1))
        near = [row for row in order if row != place][:30]
        assert found[place] == float(np.bincount(labels[near], minlength=3).argmax() != labels[place])


def test_distances_are_those_to_means() -> None:
    known = np.array([[0, 0], [2, 0], [10, 10]], _F)
    found = class_distances(np.array([[1, 3], [10, 10]], _F), np.array([0, 1]), known, np.array([0, 0, 1]))
    np.testing.assert_allclose(found, [3, 0])
    with pytest.raises(AnalysisError, match="no training image of class 2"):
        class_distances(known[:1], np.array([2]), known, np.array([0, 0, 1]))


def test_clusters_are_found_and_no_more_than_there_are_points() -> None:
    blobs = np.repeat(np.arange(30.0)[:, None] * 100, 4, axis=0).astype(_F) + np.tile([[-1], [1], [-1], [1]], (30, 1))
    np.testing.assert_allclose(cluster_distances(blobs.astype(_F), blobs.astype(_F), 0), 1, atol=1e-4)
    same = np.ones((5, 2), _F)
    np.testing.assert_allclose(cluster_distances(same + 3, same, 0), np.sqrt(18), atol=1e-6)


def test_layers_are_those_behind_non_linearities_and_the_end() -> None:
    images = _images()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build_network("flatcnn-32-6", (3, 8, 8), 3).eval()
    found = Activations(module, images)
    assert [layer.shape[1] for layer in found.layers] == [32 * 5 * 5, 6 * 4 * 4, 3]
    np.testing.assert_allclose(found.layers[-1].sum(1), 1, atol=1e-6)
    layer = module[-1]
    with torch.no_grad():
        np.testing.assert_allclose(
            layer(torch.from_numpy(found.last)), module(torch.from_numpy(images.images)), atol=1e-5
        )
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in module.modules())


def test_probes_are_of_all_classes_alike() -> None:
    images = _images(60)
    rows = probes(images, 9, 0)
    assert np.bincount(images.labels[rows]).tolist() == [3, 3, 3]
    assert probes(images, 1000, 0).tolist() == list(range(60))


def test_one_known_image_gives_no_neighbours() -> None:
    with pytest.raises(AnalysisError, match="1 known images give no neighbours"):
        prediction_depth([np.ones((1, 1), _F)], np.array([0]), [np.ones((1, 1), _F)], np.array([0]))
