from __future__ import annotations

from typing import Any

import pytest

from detector.errors import CalibrationError
from detector.profiles import MAX_BLUR_SIGMA, MAX_FORWARDS, PathKind, PathPlan, PathTarget, View

ONE = (PathTarget(PathKind.PROTOTYPE, 0),)
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    "alphas",
    [(), (0.0,), (-0.1, 0.5), (0.5, 0.5), (0.5, 0.4), (0.5, 1.01), (NAN,), (0.5, NAN), (NAN, 0.5), (INFINITY,)],
    ids=str,
)
def test_a_grid_that_does_not_rise_within_0_and_1_is_refused(alphas: tuple[float, ...]) -> None:
    with pytest.raises(CalibrationError, match=r"alphas must rise within \(0, 1\]"):
        PathPlan(ONE, alphas)


@pytest.mark.parametrize("sigma", [0.0, -1.0, NAN, INFINITY, MAX_BLUR_SIGMA * 1.01])
def test_a_blur_that_is_none_or_endless_is_refused(sigma: float) -> None:
    with pytest.raises(CalibrationError, match="blur_sigma must be positive"):
        PathPlan(ONE, (0.5,), sigma)


def test_a_plan_without_paths_is_refused() -> None:
    with pytest.raises(CalibrationError, match="at least one path"):
        PathPlan((), (0.5,))


def test_a_plan_without_end_is_refused() -> None:
    within = tuple((i + 1) / MAX_FORWARDS for i in range(MAX_FORWARDS - 1))
    assert PathPlan(ONE, within).forwards_per_image == MAX_FORWARDS
    refusal = f"cost {MAX_FORWARDS + 1} forwards per image, at most {MAX_FORWARDS}"
    with pytest.raises(CalibrationError, match=refusal):
        PathPlan(ONE, (*within, 1.0))
    with pytest.raises(CalibrationError, match=refusal):
        PathPlan(ONE, within, views=(View.MIRROR,))


@pytest.mark.parametrize("tapped", [(1,), (-1,), (0, 0), (0, 1), (1, 0), (0.5,)], ids=str)
def test_a_tapped_path_that_is_none_of_the_plan_or_named_out_of_order_is_refused(tapped: tuple[int, ...]) -> None:
    with pytest.raises(CalibrationError, match="tapped must name paths by rising positions in targets"):
        PathPlan(ONE, (0.5,), tapped=tapped)


def test_tapped_paths_in_falling_order_are_refused() -> None:
    two = (*ONE, PathTarget(PathKind.BLUR))
    assert PathPlan(two, (0.5,), tapped=(0, 1)).tapped_points
    with pytest.raises(CalibrationError, match=r"rising positions in targets, not \(1, 0\)"):
        PathPlan(two, (0.5,), tapped=(1, 0))


def test_a_view_asked_twice_is_refused() -> None:
    with pytest.raises(CalibrationError, match="views must differ"):
        PathPlan(ONE, (0.5,), views=(View.SHIFT, View.MIRROR, View.SHIFT))


def test_a_negative_prototype_is_refused() -> None:
    with pytest.raises(CalibrationError, match="must not be negative, not -1"):
        PathTarget(PathKind.PROTOTYPE, -1)


GOOD: dict[str, Any] = {
    "targets": [{"kind": "prototype", "index": 0}],
    "alphas": [0.5],
    "blur_sigma": 1,
    "tapped": [0],
    "views": ["shift"],
    "residuals": False,
}


@pytest.mark.parametrize(
    "change",
    [
        {"targets": None},
        {"targets": 3},
        {"targets": [{}]},
        {"targets": [{"kind": "shortcut", "index": 0}]},
        {"targets": [{"kind": "prototype", "index": "first"}]},
        {"targets": [{"kind": "prototype", "index": INFINITY}]},
        {"targets": [{"kind": "prototype", "index": -1}]},
        {"alphas": None},
        {"alphas": ["x"]},
        {"alphas": "0.5"},
        {"alphas": [[0.5]]},
        {"alphas": [10**400]},
        {"blur_sigma": None},
        {"blur_sigma": {}},
        {"tapped": None},
        {"tapped": ["x"]},
        {"tapped": [1]},
        {"tapped": [-1]},
        {"tapped": [INFINITY]},
        {"tapped": 0},
        {"views": None},
        {"views": ["sideways"]},
        {"views": ["shift", "shift"]},
        {"views": "shift"},
        {"views": [[]]},
        {"residuals": None},
        {"residuals": "no"},
        {"residuals": 1},
    ],
    ids=str,
)
def test_unreadable_json_is_refused(change: dict[str, Any]) -> None:
    assert PathPlan.from_json(GOOD)
    with pytest.raises(CalibrationError):
        PathPlan.from_json(GOOD | change)
    (field,) = change
    with pytest.raises(CalibrationError, match=field):
        PathPlan.from_json({name: value for name, value in GOOD.items() if name != field})
