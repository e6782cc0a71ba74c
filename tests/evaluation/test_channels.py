from __future__ import annotations

from itertools import pairwise

from detector.evaluation.channels import (
    CHEAPER,
    IMAGE_ALONE,
    IMAGE_AND_VIEW,
    RESIDUALS_ALONE,
    WITHOUT_PROTOTYPES,
    WITHOUT_TAPS,
    Channel,
    channels,
)
from detector.profiles import PathKind, PathPlan, PathTarget, View
from detector.scoring.features import feature_names
from detector.scoring.hidden_paths import hidden_path_names

PLAN = PathPlan(
    (
        PathTarget(PathKind.PROTOTYPE, 0),
        PathTarget(PathKind.PROTOTYPE, 1),
        PathTarget(PathKind.RUNNER_UP_PROTOTYPE),
        PathTarget(PathKind.BLUR),
    ),
    (0.25, 0.75),
    tapped=(3,),
    views=tuple(View),
    residuals=True,
)
TAPS, RESIDUALS, LAYERS = 5, 7, 2
NAMES = feature_names(PLAN, TAPS, RESIDUALS, LAYERS)


def _steps() -> list[Channel]:
    return [channel for channel in channels(PLAN, TAPS, RESIDUALS, LAYERS) if channel.name not in CHEAPER]


def _cheaper() -> dict[str, Channel]:
    return {channel.name: channel for channel in channels(PLAN, TAPS, RESIDUALS, LAYERS) if channel.name in CHEAPER}


def _read(channel: Channel) -> set[str]:
    return {NAMES[column] for column in channel.columns}


def test_each_channel_adds_to_the_one_before_and_the_last_is_everything() -> None:
    rising = _steps()
    for before, after in pairwise(rising):
        assert set(before.columns) < set(after.columns)
        assert before.forwards <= after.forwards
    assert rising[-1].columns.tolist() == list(range(len(NAMES)))
    assert rising[-1].forwards == PLAN.forwards_per_image


def test_prototype_paths_alone_read_the_image_and_those_paths() -> None:
    alone = next(
        channel for channel in channels(PLAN, TAPS, RESIDUALS, LAYERS) if channel.name == "prototype paths alone"
    )
    points = {name.split("@")[1] for name in _read(alone)}
    assert points == {"image", "prototype[0]:0.25", "prototype[0]:0.75", "prototype[1]:0.25", "prototype[1]:0.75"}
    assert not any(name.startswith(("tap", "residual", "hidden")) for name in _read(alone))
    assert alone.forwards == 5


def test_all_but_prototypes_is_the_rest_of_the_evidence_and_cheaper() -> None:
    without = _cheaper()[WITHOUT_PROTOTYPES]
    assert set(NAMES) - _read(without) == {name for name in NAMES if "prototype" in name}
    assert without.forwards == 1 + 2 + 2


def test_a_plan_of_one_path_has_one_channel() -> None:
    path, image = channels(PathPlan((PathTarget(PathKind.BLUR),), (0.5,)), 0)
    assert (path.name, path.forwards) == ("blur path alone", 2)
    assert (image.name, image.forwards) == (IMAGE_ALONE, 1)


def test_noise_residuals_and_hidden_paths_come_last_and_cost_no_forward() -> None:
    *_, before, residuals, last = _steps()
    assert (residuals.name, last.name) == ("and noise residuals", "and hidden paths")
    assert last.forwards == residuals.forwards == before.forwards
    assert _read(residuals) - _read(before) == {f"residual[{i}]@image" for i in range(RESIDUALS)}
    assert _read(last) - _read(residuals) == set(hidden_path_names(PLAN, LAYERS))


def test_hidden_paths_in_the_place_of_taps_are_all_but_the_taps_numbers() -> None:
    without = _cheaper()[WITHOUT_TAPS]
    assert set(NAMES) - _read(without) == {name for name in NAMES if name.startswith("tap[")}
    assert without.forwards == PLAN.forwards_per_image
    assert not any(channel.name == WITHOUT_TAPS for channel in channels(PLAN, TAPS, RESIDUALS))


def test_what_is_read_without_any_path_costs_as_many_forwards_as_it_has_looks() -> None:
    cheaper = _cheaper()
    at_image = {name for name in NAMES if name.endswith("@image")}
    assert _read(cheaper[IMAGE_ALONE]) == at_image
    assert _read(cheaper[IMAGE_AND_VIEW]) == at_image | {name for name in NAMES if name.endswith("@mirror")}
    assert _read(cheaper[RESIDUALS_ALONE]) == {name for name in NAMES if name.startswith("residual")}
    assert [cheaper[name].forwards for name in (IMAGE_AND_VIEW, IMAGE_ALONE, RESIDUALS_ALONE)] == [2, 1, 0]
