"""The trees' own ONNX export against scikit-learn's predictions, where it is hardest to be right: on the thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, checker, helper
from sklearn.ensemble import HistGradientBoostingClassifier

from detector.scoring.trees import round_down, tree_node

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

FEATURES = 9
ROWS = 1000
LARGEST, SMALLEST = np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal


def _rows(seed: int) -> Float32Array:
    """Features of very different scales; the last takes few values, so that many rows are equal."""
    values = np.random.default_rng(seed).standard_normal((ROWS, FEATURES)) * np.logspace(-20, 20, FEATURES)
    values[:, -1] = np.rint(values[:, -1] / 1e20)
    return values.astype(np.float32)


def _fitted(**options: float) -> HistGradientBoostingClassifier:
    rows = _rows(0)
    odd = np.sign(rows[:, 0]) * np.sign(rows[:, 4]) + rows[:, -1] + np.random.default_rng(1).standard_normal(ROWS)
    settings = {"max_iter": 60, "max_leaf_nodes": 15, "max_bins": 63, "early_stopping": False, "random_state": 0}
    return HistGradientBoostingClassifier(**(settings | options)).fit(rows, odd > 0.5)


def _exported(trees: HistGradientBoostingClassifier, rows: Float32Array) -> Float32Array:
    """What ONNX Runtime makes of the exported trees: (N,)."""
    graph = helper.make_graph(
        [tree_node(trees, "rows", "odds")],
        "trees",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info("odds", TensorProto.FLOAT, ["batch", 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (odds,) = session.run(None, {"rows": rows})
    return np.asarray(odds, np.float32)[:, 0]


@pytest.fixture(scope="module")
def trees() -> HistGradientBoostingClassifier:
    return _fitted()


def _thresholds(trees: HistGradientBoostingClassifier) -> list[tuple[int, float]]:
    """Every split: feature, and the largest number that goes left."""
    return [
        (int(node["feature_idx"]), float(node["num_threshold"]))
        for (predictor,) in trees._predictors
        for node in predictor.nodes
        if not node["is_leaf"]
    ]


def _same(trees: HistGradientBoostingClassifier, rows: Float32Array) -> None:
    wanted: NDArray[np.float64] = trees.decision_function(rows)
    assert np.ptp(wanted) > 1
    np.testing.assert_allclose(_exported(trees, rows), wanted, rtol=0, atol=1e-5)


def test_random_rows(trees: HistGradientBoostingClassifier) -> None:
    _same(trees, _rows(7))


def test_rows_on_the_thresholds_and_the_next_numbers_to_either_side(trees: HistGradientBoostingClassifier) -> None:
    rng = np.random.default_rng(2)
    splits = _thresholds(trees)
    assert {feature for feature, _ in splits} >= {0, 4, FEATURES - 1}
    rows = _rows(8)
    for row in rows:  # every feature of every row lies on one of its thresholds, or next to it
        for feature in range(FEATURES):
            own = [threshold for split, threshold in splits if split == feature] or [0.0]
            value = np.float32(own[rng.integers(len(own))])
            row[feature] = (value, np.nextafter(value, -LARGEST), np.nextafter(value, LARGEST))[rng.integers(3)]
    _same(trees, rows)


@pytest.mark.parametrize("extreme", [LARGEST, -LARGEST, SMALLEST, -SMALLEST, 0.0, -0.0, np.inf, -np.inf])
def test_huge_and_tiny_numbers(trees: HistGradientBoostingClassifier, extreme: float) -> None:
    rows = _rows(9)
    rows[np.random.default_rng(3).random(rows.shape) < 0.3] = extreme
    _same(trees, rows)


@pytest.mark.parametrize(
    "options", [{"max_iter": 1}, {"max_leaf_nodes": 2}, {"max_bins": 255, "max_leaf_nodes": 127}, {"max_iter": 400}]
)
def test_trees_of_every_size(options: dict[str, int | float]) -> None:
    fitted = _fitted(**options)
    rows = _rows(11)
    np.testing.assert_allclose(_exported(fitted, rows), fitted.decision_function(rows), rtol=0, atol=2e-5)


def test_trees_that_never_split_give_the_odds_alone() -> None:
    rows = np.zeros((40, FEATURES), np.float32)
    fitted = HistGradientBoostingClassifier(max_iter=3, early_stopping=False).fit(rows, np.arange(40) < 30)
    np.testing.assert_allclose(_exported(fitted, rows), np.log(3), rtol=1e-6)


@pytest.mark.parametrize("value", [0.1, -0.1, 1 / 3, 1e-45, -1e-46, 1e-46, 3.4e38, -3.4e38, 16777217.0, 2.0])
def test_rounding_down_changes_no_comparison_with_a_float32(value: float) -> None:
    (rounded,) = round_down(np.array([value]))
    assert rounded.dtype == np.float32
    assert float(rounded) <= value < float(np.nextafter(rounded, np.float32(np.inf)))


def test_rounding_down_random_numbers_changes_no_comparison() -> None:
    rng = np.random.default_rng(5)
    thresholds = rng.standard_normal(4000) * 10.0 ** rng.integers(-30, 30, 4000)
    rounded = round_down(thresholds)
    assert (rounded.astype(float) != thresholds).any()
    near = thresholds.astype(np.float32)
    for numbers in (near, np.nextafter(near, LARGEST), np.nextafter(near, -LARGEST)):
        np.testing.assert_array_equal(numbers <= rounded, numbers.astype(float) <= thresholds)
