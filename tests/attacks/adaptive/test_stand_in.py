"""Stand-ins for the scorer: exact where that is possible, faithful where not, with gradients always."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from scipy.stats import spearmanr

from detector.attacks.adaptive.distilling import Network
from detector.attacks.adaptive.stand_in import ScoredFeatures, improved, soft_module, stand_in
from detector.scoring.fitted import FittedScorer, scorer_graph
from detector.scoring.one_class import fit_one_class
from detector.scoring.runner import INPUT, OUTPUT
from detector.scoring.supervised import fit_supervised

if TYPE_CHECKING:
    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.classifiers.base import Float32Array

FEATURES = 6
_DOUBT = 1


def _features(count: int, seed: int, shift: float = 0.0) -> Float32Array:
    values = np.random.default_rng(seed).standard_normal((count, FEATURES)).astype(np.float32)
    values[:, 0] += shift
    values[:, _DOUBT] = np.abs(values[:, _DOUBT])  # a loss
    return values


def _known(scorer: FittedScorer, seed: int = 5) -> ScoredFeatures:
    features = np.concatenate([_features(300, seed), _features(300, seed + 1, 3)])
    return ScoredFeatures(features, scorer.score(features))


@pytest.fixture(scope="module")
def fitted() -> FittedScorer:
    """With all its parts: trees, the tail, and a feature that counts directly."""
    return fit_supervised(
        _features(200, 0), {"one": _features(100, 1, 3), "other": _features(100, 2, -3)}, doubt=_DOUBT
    )


def _unreadable() -> FittedScorer:
    """The sum of the features' magnitudes: neither a distance nor trees."""
    nodes = [
        helper.make_node("Abs", [INPUT], ["sizes"]),
        helper.make_node("MatMul", ["sizes", "ones"], ["sum"]),
        helper.make_node("Squeeze", ["sum", "column"], [OUTPUT]),
    ]
    constants = [
        numpy_helper.from_array(np.ones((FEATURES, 1), np.float32), "ones"),
        helper.make_tensor("column", 7, [1], [1]),
    ]
    return FittedScorer("sum", scorer_graph(nodes, constants, FEATURES).SerializeToString())


def _answers(module: torch.nn.Module, features: Float32Array) -> Float32Array:
    with torch.no_grad():
        answers: Float32Array = module(torch.from_numpy(features)).numpy()
    return answers


def test_a_mahalanobis_distance_is_taken_as_it_is() -> None:
    scorer = fit_one_class(_features(100, 0))
    found = stand_in(scorer.model, _known(scorer))
    assert found.exact
    assert found.fidelity == pytest.approx(1)
    others = _features(200, 9, 2)
    logarithms = np.log(scorer.score(others))
    answers = _answers(found.module, others)
    assert np.corrcoef(answers, logarithms)[0, 1] == pytest.approx(1, abs=1e-5)
    assert improved(found, scorer.model, _known(scorer)) is found


def test_soft_trees_become_the_trees_as_their_branches_narrow(fitted: FittedScorer) -> None:
    known, others = _known(fitted), _features(300, 9, 1)
    logarithms = np.log(fitted.score(others))
    differences = []
    for width in (0.5, 0.05, 1e-6):
        module = soft_module(fitted.model, known, width)
        assert module is not None
        differences.append(float(np.abs(_answers(module.get_submodule("module"), others) - logarithms).mean()))
    assert differences == sorted(differences, reverse=True)
    assert differences[-1] < 1e-2


def test_a_scorer_of_a_version_without_a_weighted_sum_has_its_trees_alone(fitted: FittedScorer) -> None:
    model = onnx.load_from_string(fitted.model)
    (mean,) = (node for node in model.graph.node if node.op_type == "Mean")
    mean.input[:] = mean.input[:1]
    kept = [entry for entry in model.graph.initializer if not entry.name.startswith("linear.")]
    nodes = [node for node in model.graph.node if not any(name.startswith("linear.") for name in node.output)]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    older = FittedScorer(fitted.name, model.SerializeToString())
    others = _features(300, 9, 1)
    module = soft_module(older.model, _known(older), 1e-6)
    assert module is not None
    np.testing.assert_allclose(
        _answers(module.get_submodule("module"), others), np.log(older.score(others)), rtol=1e-2, atol=1e-2
    )
    assert np.abs(older.score(others) - fitted.score(others)).max() > 0.1


def test_trees_have_a_faithful_stand_in_whose_slope_is_the_difference_a_feature_makes(fitted: FittedScorer) -> None:
    known = _known(fitted)
    found = stand_in(fitted.model, known)
    assert not found.exact
    assert found.fidelity > 0.9
    points = torch.from_numpy(_features(50, 9, 1.5)).requires_grad_()
    (slopes,) = torch.autograd.grad(found.score(points).sum(), [points])
    steepest = slopes.abs().sum(0).argsort(descending=True)
    assert set(steepest[:2].tolist()) == {0, _DOUBT}  # what the attacks move, and what counts directly
    assert (slopes[:, [0, _DOUBT]] > 0).double().mean() > 0.9
    sharper = improved(found, fitted.model, known)
    assert sharper.fidelity > found.fidelity


def test_a_scorer_nobody_can_read_is_learnt_and_learnt_better_from_more() -> None:
    scorer = _unreadable()
    known = _known(scorer)
    found = stand_in(scorer.model, known)
    assert isinstance(found.module, Network)
    assert found.fidelity > 0.8
    far = _features(600, 20, 8)
    more = ScoredFeatures.of([known, ScoredFeatures(far, scorer.score(far))])
    better = improved(found, scorer.model, more)
    unseen = _features(200, 30, 8)
    truth = scorer.score(unseen)
    ranks = [spearmanr(_answers(each.module, unseen), truth).statistic for each in (found, better)]
    assert ranks[1] > ranks[0]
    assert improved(found, scorer.model, more).fidelity == better.fidelity  # the same seed, the same network


def test_the_guards_own_stand_ins_follow_it(guard: DifferentiableGuard, tree_guard: DifferentiableGuard) -> None:
    assert guard.stand_in.exact
    assert guard.fidelity == pytest.approx(1, abs=1e-4)
    assert tree_guard.fidelity > 0.5
    assert guard.refreshed(guard.known).stand_in is guard.stand_in
    assert tree_guard.refreshed(guard.known).fidelity > 0.5
