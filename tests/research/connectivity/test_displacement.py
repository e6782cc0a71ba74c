from __future__ import annotations

import numpy as np

from detector.paths.chains import Chains
from detector.paths.curves import LossCurves
from detector.research.connectivity.displacement import class_maps, displacements


def _image(*pixels: float) -> np.ndarray:
    return np.array(pixels, np.float32).reshape(1, 1, 2)


def test_what_a_first_bypass_changed_is_found_among_all_waypoints() -> None:
    """From (0, 0.2) to (1, 0.2), highest at 0.25: moved up to 0.6, and bypassed once more further on."""
    losses = np.array([[0, 2, 1, 1, 0], [0, 0, 0, 0, 0]], np.float32)
    start, end = _image(0, 0.2), _image(1, 0.2)
    through = np.stack([start, _image(0.25, 0.6), _image(0.5, 0.7), end])
    chains = Chains(
        LossCurves(np.linspace(0, 1, 5), losses),
        np.zeros((2, 3), np.float32),
        np.array([[1, 2, 3], [1, 1, 1]]),
        (through, np.stack([start, end])),
    )
    found = displacements(chains)
    assert found.rows.tolist() == [0]
    np.testing.assert_allclose(found.shares, [0.4], rtol=1e-5)
    np.testing.assert_allclose(found.largest, [0.4 / 0.25], rtol=1e-5)
    np.testing.assert_allclose(found.across, [0], atol=1e-6)
    np.testing.assert_allclose(found.changes[0, 0, 0], [0, 0.4], atol=1e-6)


def test_maps_are_means_of_each_class_that_has_a_path() -> None:
    changes = np.array([[[[2, -4]]], [[[0, 1]]], [[[3, 0]]]], np.float32)
    maps = class_maps(changes, np.array([1, 1, 0]), 3)
    np.testing.assert_allclose(maps[:, 0], np.array([[1, 0], [0.25, 1], [0, 0]]))
