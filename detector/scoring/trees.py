"""Boosted trees as one ONNX node.

The converter kept for scikit-learn (skl2onnx 1.20.0) fails on histogram boosting with raw scores, and the boosting it
does convert takes minutes on a thousand features where histograms take seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto
    from sklearn.ensemble import HistGradientBoostingClassifier


def tree_node(trees: HistGradientBoostingClassifier, features: str, output: str) -> NodeProto:
    """The node ``features (N, F) -> output (N, 1)``, the trees' log-odds of the second class.

    Args:
        trees: Fitted on two classes and numbers alone (no categories, nothing missing).
        features: Name of the input.
        output: Name of the output.
    """
    columns: dict[str, list[Any]] = {}
    for number, (predictor,) in enumerate(trees._predictors):  # noqa: SLF001 - the only place the fitted trees are
        _append(columns, number, predictor.nodes)
    baseline = float(np.ravel(trees._baseline_prediction)[0])  # noqa: SLF001 - likewise
    return helper.make_node(
        "TreeEnsembleRegressor",
        [features],
        [output],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=[baseline],
        **columns,  # type: ignore[arg-type]  # the stub takes them all for `doc_string`
    )


def _append(columns: dict[str, list[Any]], tree: int, nodes: NDArray[Any]) -> None:
    """Add one tree to the node's parallel lists."""
    leaf = nodes["is_leaf"].astype(bool)
    ids = np.arange(len(nodes))
    rows = {
        "nodes_treeids": np.full(len(nodes), tree),
        "nodes_nodeids": ids,
        "nodes_featureids": np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        "nodes_values": np.where(leaf, 0, round_down(nodes["num_threshold"])),
        "nodes_truenodeids": np.where(leaf, 0, nodes["left"]).astype(np.int64),
        "nodes_falsenodeids": np.where(leaf, 0, nodes["right"]).astype(np.int64),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ"),
        "target_treeids": np.full(leaf.sum(), tree),
        "target_nodeids": ids[leaf],
        "target_ids": np.zeros(leaf.sum(), np.int64),
        "target_weights": nodes["value"][leaf].astype(np.float32),
    }
    for name, values in rows.items():
        columns.setdefault(name, []).extend(values.tolist())


def round_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 not above each value: a float32 is at most the one exactly where it is at most the other."""
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)
