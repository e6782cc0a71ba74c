from __future__ import annotations

import pytest

from loadtest.shapes import Shape, ShapeName

SHAPE = Shape(users=10, seconds=100, steps=5, spike_every=20, spike_seconds=5, spike_factor=4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (ShapeName.CONSTANT, {0: 10, 50: 10, 99.9: 10}),
        (ShapeName.STEPS, {0: 2, 19.9: 2, 20: 4, 79.9: 8, 80: 10, 99.9: 10}),
        (ShapeName.SPIKES, {0: 10, 4: 10, 19.9: 10, 20: 40, 24.9: 40, 25: 10, 40: 40, 99.9: 10}),
        (ShapeName.SOAK, {0: 1, 5: 5, 10: 10, 50: 10, 99.9: 10}),
    ],
)
def test_users_over_time(name: ShapeName, expected: dict[float, int]) -> None:
    assert {time: SHAPE.users_at(name, time) for time in expected} == expected


@pytest.mark.parametrize("name", ShapeName)
def test_every_shape_ends_and_has_someone_until_then(name: ShapeName) -> None:
    small = Shape(users=1, seconds=30)
    assert all((small.users_at(name, time) or 0) >= 1 for time in range(30))
    assert small.users_at(name, 30) is None
