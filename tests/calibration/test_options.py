from __future__ import annotations

from dataclasses import replace

import pytest

from detector.calibration.options import CalibrationOptions
from detector.classifiers.base import ImageSpec
from detector.profiles import View
from detector.prototypes.options import SynthesisOptions

SPEC = ImageSpec(height=32, width=32)
DEFAULT = CalibrationOptions()


def test_the_default_costs_19_forwards() -> None:
    plan = DEFAULT.plan(SPEC, taps=True)
    assert [target.name for target in plan.targets] == [
        "prototype[0]",
        "prototype[1]",
        "runner_up_prototype[0]",
        "blur",
    ]
    assert plan.alphas == (0.04, 0.16, 0.36, 0.64)
    assert plan.views == (View.MIRROR, View.SHIFT)
    assert plan.forwards_per_image == 4 * 4 + 1 + 2 == 19


LAST = [  # paths walked, and the last of them
    (DEFAULT, "blur"),
    (replace(DEFAULT, runner_up_prototypes=0, prototypes=SynthesisOptions(per_class=1)), "blur"),
    (replace(DEFAULT, blur=False), "runner_up_prototype[0]"),
    (replace(DEFAULT, blur=False, runner_up_prototypes=0), "prototype[1]"),
]


@pytest.mark.parametrize(("options", "last"), LAST, ids=range(len(LAST)))
def test_taps_are_read_along_the_last_path_and_only_where_there_are_any(options: CalibrationOptions, last: str) -> None:
    with_taps, without = options.plan(SPEC, taps=True), options.plan(SPEC)
    assert [with_taps.targets[at].name for at in with_taps.tapped] == [last]
    assert replace(with_taps, tapped=()) == without
    assert without.tapped == ()
    assert with_taps.forwards_per_image == without.forwards_per_image


def test_views_cost_a_forward_each_and_can_be_left_out() -> None:
    without = replace(DEFAULT, views=False).plan(SPEC)
    assert without.views == ()
    assert DEFAULT.plan(SPEC).forwards_per_image == without.forwards_per_image + 2
    assert replace(DEFAULT, views=False).to_json()["views"] is False


@pytest.mark.parametrize("points", [1, 4, 8])
def test_points_are_denser_near_the_image_and_stop_short_of_the_target(points: int) -> None:
    alphas = replace(DEFAULT, points=points).plan(SPEC).alphas
    assert alphas == pytest.approx([((i + 1) / (points + 1)) ** 2 for i in range(points)], abs=1e-6)


@pytest.mark.parametrize(("side", "sigma"), [(8, 0.7), (32, 1.0), (128, 2.0), (512, 4.0)])
def test_the_blur_grows_with_the_root_of_the_shorter_side(side: int, sigma: float) -> None:
    assert DEFAULT.plan(ImageSpec(height=side, width=2 * side)).blur_sigma == pytest.approx(sigma)
    assert replace(DEFAULT, blur_sigma=3.0).plan(SPEC).blur_sigma == 3.0
