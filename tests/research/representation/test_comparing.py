"""Networks side by side: matrices of layers, and the distance of whole paths."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.representation.comparing import layer_distances, path_distance, same_layer
from detector.research.representation.path import RepresentationPath
from detector.research.representation.spaces.angular_cka import AngularCKA
from tests.research.representation.material import activations, one_hot

SPACE = AngularCKA()
TARGET = SPACE.point(one_hot(5))


def _path(*seeds: int) -> RepresentationPath:
    return RepresentationPath(
        tuple(map(str, range(len(seeds)))), tuple(SPACE.point(activations(seed)) for seed in seeds), TARGET
    )


def test_every_layer_is_compared_with_every_layer() -> None:
    one, other = _path(0, 1, 2), _path(0, 3)
    found = layer_distances(one, other, SPACE)
    assert found.shape == (3, 2)
    assert found[2, 1] == pytest.approx(SPACE.distance(one.points[2], other.points[1]))
    assert found[0, 0] == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(same_layer(layer_distances(one, one, SPACE)), np.zeros(3))


def test_a_path_is_at_no_distance_from_itself_however_often_it_stops() -> None:
    path, stopping = _path(0, 1, 2), _path(0, 1, 1, 1, 2)
    assert path_distance(layer_distances(path, stopping, SPACE)) == pytest.approx(0, abs=1e-12)
    assert path_distance(layer_distances(path, _path(2, 1, 0), SPACE)) > 0.1


def test_the_distance_of_paths_is_the_mean_along_the_cheapest_way() -> None:
    assert path_distance(np.array([[1.0, 9.0], [9.0, 3.0]])) == 2
    assert path_distance(np.array([[1.0, 9.0, 9.0], [9.0, 2.0, 3.0]])) == 2
    assert path_distance(np.array([[1.0], [2.0], [6.0]])) == 3
    distances = np.random.default_rng(0).random((4, 6))
    assert path_distance(distances) == pytest.approx(path_distance(distances.T))


def test_networks_of_other_depths_have_no_common_layers() -> None:
    with pytest.raises(AnalysisError, match="3 and 2 layers"):
        same_layer(layer_distances(_path(0, 1, 2), _path(0, 1), SPACE))
    with pytest.raises(AnalysisError, match="no layer"):
        path_distance(np.empty((0, 2)))
    other = RepresentationPath(
        ("a", "b"),
        tuple(SPACE.point(activations(seed, inputs=20)) for seed in (0, 1)),
        SPACE.point(one_hot(5, inputs=20)),
    )
    with pytest.raises(AnalysisError, match="not of the same inputs"):
        layer_distances(_path(0, 1), other, SPACE)
