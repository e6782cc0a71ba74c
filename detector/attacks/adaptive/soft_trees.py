"""Boosted trees with soft branches: a differentiable copy of the supervised scorer, read from its own graph.

Every branch ``x <= threshold`` becomes a logistic in ``(threshold - x) / width``, and a leaf counts by the product of
the branches that lead to it; as the width goes to zero these are the trees again. To descend on them is to descend on
trees whose thresholds are jittered, so their flat steps and cliffs give way to slopes (compare Kantchelian et al.,
arXiv 1509.07892, on evading tree ensembles).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array

_TREES = "TreeEnsembleRegressor"


class SoftTrees(nn.Module):
    """float32 (N, features) to (N,): log-odds of soft trees.

    Args:
        node: The graph's TreeEnsembleRegressor, its branches BRANCH_LEQ alone.
        scale: float32 (features,): one unit of each feature.
        width: Of the branches, in units of `scale`.
    """

    def __init__(self, node: onnx.NodeProto, scale: Float32Array, width: float) -> None:
        super().__init__()
        read = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        features, thresholds, ways, values = _packed(read)
        self._features = torch.from_numpy(features)
        self._thresholds = torch.from_numpy(thresholds)
        self._ways = torch.from_numpy(ways)
        self._values = torch.from_numpy(values)
        self._widths = width * torch.from_numpy(scale)[self._features]
        self._baseline = float(sum(read.get("base_values", [0.0])))

    def forward(self, features: Tensor) -> Tensor:
        """Log-odds."""
        gaps = (self._thresholds - features[:, self._features]) / self._widths
        chances = functional.logsigmoid(torch.cat([gaps, -gaps], dim=2))
        leaves = torch.einsum("ntb,tbl->ntl", chances, self._ways).exp()
        return (leaves * self._values).sum((1, 2)) + self._baseline


def tree_node_of(scorer: bytes) -> onnx.NodeProto | None:
    """The trees of a graph such as that of `detector.scoring.supervised`; None where it has none.

    Args:
        scorer: ONNX graph.
    """
    return next((node for node in onnx.load_from_string(scorer).graph.node if node.op_type == _TREES), None)


def _packed(read: dict[str, Any]) -> tuple[NDArray[np.int64], Float32Array, Float32Array, Float32Array]:
    """Trees of equal size, made so by branches and leaves that do nothing.

    Returns:
        int64 (trees, branches), the feature each branch reads. float32 likewise, its threshold. float32 (trees,
        2 * branches, leaves): 1 where the way to a leaf takes a branch's true side, or (second half) its false side.
        float32 (trees, leaves), the leaves' values.
    """
    trees = np.asarray(read["nodes_treeids"])
    count = int(trees.max()) + 1
    is_leaf = np.array([mode == b"LEAF" for mode in read["nodes_modes"]])
    branches = max(1, int(np.bincount(trees[~is_leaf], minlength=count).max()))
    leaves = int(np.bincount(trees[is_leaf], minlength=count).max())
    features, thresholds = np.zeros((count, branches), np.int64), np.zeros((count, branches), np.float32)
    ways, values = np.zeros((count, 2 * branches, leaves), np.float32), np.zeros((count, leaves), np.float32)
    places = zip(read["target_treeids"], read["target_nodeids"], strict=True)
    weights = dict(zip(places, read["target_weights"], strict=True))
    columns = [read[f"nodes_{name}"] for name in ("nodeids", "featureids", "values", "truenodeids", "falsenodeids")]
    for tree in range(count):
        rows = np.flatnonzero(trees == tree)
        nodes = {columns[0][row]: (is_leaf[row], *(column[row] for column in columns[1:])) for row in rows}
        pending: list[tuple[int, list[int]]] = [(columns[0][rows[0]], [])]
        branch = leaf = 0
        while pending:
            at, way = pending.pop()
            ends, feature, threshold, below, above = nodes[at]
            if ends:
                ways[tree, way, leaf], values[tree, leaf] = 1, weights[tree, at]
                leaf += 1
                continue
            features[tree, branch], thresholds[tree, branch] = feature, threshold
            pending += [(below, [*way, branch]), (above, [*way, branches + branch])]
            branch += 1
    return features, thresholds, ways, values
