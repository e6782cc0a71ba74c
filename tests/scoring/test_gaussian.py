from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from detector.scoring.fitted import scorer_graph
from detector.scoring.gaussian import MOST_DIRECTIONS, fit_gaussian, usual_distances
from detector.scoring.runner import INPUT

WIDE = 3 * MOST_DIRECTIONS


def _wide(count: int, seed: int, strong: int = 20) -> np.ndarray:
    """Many features, whose variance lies along a few directions."""
    mixing = np.random.default_rng(9).standard_normal((strong, WIDE))
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, strong)) @ mixing + 0.3 * rng.standard_normal((count, WIDE))
    return values.astype(np.float32)


@pytest.mark.parametrize("width", [8, WIDE])
def test_the_graph_gives_the_distances(width: int) -> None:
    gaussian = fit_gaussian(_wide(300, 0)[:, :width])
    others = _wide(50, 1)[:, :width]
    nodes, constants = gaussian.nodes(INPUT, "score")
    model = scorer_graph(nodes, constants, width)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {INPUT: others})
    np.testing.assert_allclose(found[:, 0], gaussian.distances(others), rtol=1e-3)


@pytest.mark.parametrize(("count", "directions"), [(600, MOST_DIRECTIONS), (300, MOST_DIRECTIONS), (25, 24)])
def test_directions_are_orthonormal_and_bounded_in_number(count: int, directions: int) -> None:
    gaussian = fit_gaussian(_wide(count, 0))
    assert gaussian.directions.shape == (WIDE, directions)
    np.testing.assert_allclose(gaussian.directions.T @ gaussian.directions, np.eye(directions), atol=1e-6)
    assert (np.diff(gaussian.weights) >= 0).all()  # the largest variance first, so the smallest weight


def test_an_image_off_the_usual_directions_is_further_away_than_one_far_along_them() -> None:
    gaussian = fit_gaussian(_wide(600, 0))
    usual = _wide(1, 1)[0]
    along = usual + gaussian.directions[:, 0] / gaussian.inverse_scale
    off = np.random.default_rng(2).standard_normal(WIDE)
    off -= gaussian.directions @ (gaussian.directions.T @ off)
    beside = usual + off / np.linalg.norm(off) / gaussian.inverse_scale
    near, far = gaussian.distances(np.stack([along, beside]).astype(np.float32))
    assert far > near


def test_a_feature_that_never_varied_counts_when_it_does() -> None:
    benign = _wide(300, 0)
    benign[:, 7] = 5
    odd = benign[:1].copy()
    odd[0, 7] = 8
    assert fit_gaussian(benign).distances(odd) > fit_gaussian(benign).distances(benign[:1])


def test_distances_of_left_out_images_are_those_of_new_ones() -> None:
    benign = _wide(400, 0)
    usual, new = usual_distances(benign), fit_gaussian(benign).distances(_wide(2000, 1))
    own = fit_gaussian(benign).distances(benign)
    assert np.median(own) < np.median(usual)  # an image that was fitted lies too near
    assert np.median(usual) == pytest.approx(np.median(new), rel=0.1)
