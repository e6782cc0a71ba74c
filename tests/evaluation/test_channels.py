from __future__ import annotations

from itertools import pairwise

from detector.evaluation.channels import WITHOUT_PROTOTYPES, channels
from detector.profiles import PathKind, PathPlan, PathTarget, View
from detector.scoring.features import feature_names

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
TAPS, RESIDUALS = 5, 7


def test_each_channel_adds_to_the_one_before_and_the_last_is_everything() -> None:
    *rising, _ = channels(PLAN, TAPS, RESIDUALS)
    for before, after in pairwise(rising):
        assert set(before.columns) < set(after.columns)
        assert before.forwards <= after.forwards
    assert rising[-1].columns.tolist() == list(range(len(feature_names(PLAN, TAPS, RESIDUALS))))
    assert rising[-1].forwards == PLAN.forwards_per_image


def test_prototype_paths_alone_read_the_image_and_those_paths() -> None:
    names = feature_names(PLAN, TAPS, RESIDUALS)
    alone = next(channel for channel in channels(PLAN, TAPS, RESIDUALS) if channel.name == "prototype paths alone")
    points = {names[column].split("@")[1] for column in alone.columns}
    assert points == {"image", "prototype[0]:0.25", "prototype[0]:0.75", "prototype[1]:0.25", "prototype[1]:0.75"}
    assert not any(names[column].startswith(("tap", "residual")) for column in alone.columns)
    assert alone.forwards == 5


def test_all_but_prototypes_is_the_rest_of_the_evidence_and_cheaper() -> None:
    names = feature_names(PLAN, TAPS, RESIDUALS)
    *_, without = channels(PLAN, TAPS, RESIDUALS)
    left = {names[column] for column in set(range(len(names))) - set(without.columns.tolist())}
    assert without.name == WITHOUT_PROTOTYPES
    assert left == {name for name in names if "prototype" in name}
    assert without.forwards == 1 + 2 + 2


def test_a_plan_of_one_path_has_one_channel() -> None:
    (only,) = channels(PathPlan((PathTarget(PathKind.BLUR),), (0.5,)), 0)
    assert only.name == "blur path alone"
    assert only.forwards == 2


def test_noise_residuals_come_last_and_cost_no_forward() -> None:
    *_, before, last, _ = channels(PLAN, TAPS, RESIDUALS)
    names = feature_names(PLAN, TAPS, RESIDUALS)
    assert last.name == "and noise residuals"
    assert last.forwards == before.forwards
    more = {names[column] for column in set(last.columns) - set(before.columns)}
    assert more == {f"residual[{i}]@image" for i in range(RESIDUALS)}
