"""Self-checks, as AutoAttack makes them: signs that the figures can't be trusted (arXiv 2003.01690, its README)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.attacks.threat_models import Family, Knowledge, Norm
from detector.evaluation.channels import all_columns
from detector.evaluation.results import SelfCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.evaluation.channels import Trials
    from detector.evaluation.material import Attacked, Material
    from detector.evaluation.results import AdaptiveCurve

_PROBES = 64
_FEW_ZEROS = 0.1  # of the images, whose gradient may vanish
_SLACK = 0.02  # of a success rate, that is no contradiction
_SAME = 1e-4
_MUST_WIN = 0.9


def self_checks(material: Material, trials: Trials, curves: Sequence[AdaptiveCurve]) -> list[SelfCheck]:
    """Look for every sign; each check says what it found."""
    checks = [_gradients(material), _steady(material), _same_scorer(material, trials), *_black_box(material)]
    return [*checks, *_monotone(material), *_must_win(curves)]


def _gradients(material: Material) -> SelfCheck:
    """Gradients that vanish make gradient attacks fail for the wrong reason."""
    rows = material.targets[:_PROBES]
    images = torch.from_numpy(material.benign.images[rows]).requires_grad_()
    labels = torch.from_numpy(material.labels[rows])
    loss = torch.nn.functional.cross_entropy(material.gradients.differentiable_logits(images), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, [images])
    vanished = float((gradient.flatten(1).abs().amax(1) == 0).double().mean())
    finding = f"the loss has no gradient at {vanished:.1%} of {len(rows)} images"
    return SelfCheck(name="gradients", passed=vanished <= _FEW_ZEROS, finding=finding)


def _steady(material: Material) -> SelfCheck:
    """A guard that answers differently each time would have to be attacked in expectation."""
    rows = slice(0, _PROBES)
    again = material.detector.score_canonical(material.benign.images[rows]).scores
    apart = float(np.abs(again - material.benign.detection.scores[rows]).max())
    return SelfCheck(
        name="no randomness", passed=apart <= _SAME, finding=f"scores of the same images differ by {apart:.2g} at most"
    )


def _same_scorer(material: Material, trials: Trials) -> SelfCheck:
    """The scorer fitted anew must give what the bundle's ONNX scorer gave through the detector."""
    columns = all_columns(material.benign.features)
    fitted = trials.fitted(columns).score(material.benign.features)
    apart = float(np.abs(fitted - material.benign.detection.scores).max())
    finding = f"scores evaluated and scores served differ by {apart:.2g} at most"
    return SelfCheck(name="the scorer that serves is the one evaluated", passed=apart <= _SAME, finding=finding)


def _black_box(material: Material) -> list[SelfCheck]:
    """An attack without gradients that beats those with them, at one budget, shows that the gradients mislead."""
    boxed = [a for a in material.attacked.values() if a.model.norm is Norm.LINF and a.model.budget is not None]
    checks = []
    for blind in (a for a in boxed if a.model.knowledge in {Knowledge.SCORES, Knowledge.DECISIONS}):
        sighted = [
            a
            for a in boxed
            if a.model.knowledge is Knowledge.WHITE_BOX
            and a.model.budget == blind.model.budget
            and a.model.family is not Family.FGSM
            and not a.model.targeted
        ]
        if not sighted:
            continue
        best = max(map(_success, sighted))
        finding = f"{blind.model.name} succeeds on {_success(blind):.0%}, white-box attacks of its budget on {best:.0%}"
        checks.append(
            SelfCheck(name="black-box below white-box", passed=_success(blind) <= best + _SLACK, finding=finding)
        )
    return checks


def _monotone(material: Material) -> list[SelfCheck]:
    """More budget must not succeed less often."""
    ladder = sorted(
        (
            a
            for a in material.attacked.values()
            if a.model.family is Family.PGD and a.model.norm is Norm.LINF and not a.model.targeted
        ),
        key=lambda a: a.model.budget or 0,
    )
    if not ladder:
        return []
    rates = [_success(a) for a in ladder]
    rising = all(after >= before - _SLACK for before, after in itertools.pairwise(rates))
    finding = ", ".join(f"{a.model.name} {_success(a):.0%}" for a in ladder)
    return [SelfCheck(name="success rises with the budget", passed=rising, finding=finding)]


def _must_win(curves: Sequence[AdaptiveCurve]) -> list[SelfCheck]:
    """An attacker who knows the guard and may do anything must win, or the attack is broken."""
    checks = []
    for curve in curves:
        last = curve.points[-1]
        if len(curve.points) < 2:  # noqa: PLR2004 - a curve
            continue
        finding = f"{curve.name} ({curve.configuration}): SR@5 {last.sr5:.0%} at {last.budget * 255:g}/255"
        checks.append(SelfCheck(name="unbounded attack wins", passed=last.sr5 >= _MUST_WIN, finding=finding))
    return checks


def _success(attacked: Attacked) -> float:
    return len(attacked.rows) / attacked.tried
