"""Threat models: what an attacker may change, how much, and how the attack is run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Family(StrEnum):
    """Attack algorithm."""

    FGSM = "FGSM"
    PGD = "PGD"
    CW = "CW"


class Norm(StrEnum):
    """Norm of the perturbation, on pixels in [0, 1]."""

    LINF = "Linf"
    L2 = "L2"


@dataclass(frozen=True, kw_only=True)
class ThreatModel:
    """One attack with one budget; white-box, untargeted.

    Args:
        family: The algorithm.
        norm: What is bounded, or (CW) minimised.
        budget: Largest perturbation in that norm; for CW the wanted margin between logits instead, since it has no
            bound.
        steps: Gradient steps.
    """

    family: Family
    norm: Norm
    budget: float
    steps: int

    @property
    def name(self) -> str:
        """Such as ``PGD-Linf-8/255``, ``PGD-L2-0.5`` or ``CW-L2-k1``."""
        if self.family is Family.CW:
            amount = f"k{self.budget:g}"
        elif self.norm is Norm.LINF:
            amount = f"{self.budget * 255:g}/255"
        else:
            amount = f"{self.budget:g}"
        return f"{self.family.value}-{self.norm.value}-{amount}"

    def strengthened(self) -> ThreatModel:
        """The same attack with twice the budget."""
        return replace(self, budget=2 * self.budget)


def fgsm(levels: float) -> ThreatModel:
    """Fast gradient sign method; budget in 255ths (Goodfellow et al., arXiv 1412.6572)."""
    return ThreatModel(family=Family.FGSM, norm=Norm.LINF, budget=levels / 255, steps=1)


def pgd(levels: float, *, steps: int = 20) -> ThreatModel:
    """Projected gradient descent in Linf from a random start; budget in 255ths (Madry et al., arXiv 1706.06083)."""
    return ThreatModel(family=Family.PGD, norm=Norm.LINF, budget=levels / 255, steps=steps)


def pgd_l2(budget: float, *, steps: int = 20) -> ThreatModel:
    """Projected gradient descent in L2; budget is a Euclidean distance on pixels in [0, 1]."""
    return ThreatModel(family=Family.PGD, norm=Norm.L2, budget=budget, steps=steps)


def cw(confidence: float, *, steps: int = 40) -> ThreatModel:
    """Carlini and Wagner's smallest L2 perturbation with a wanted logit margin (arXiv 1608.04644)."""
    return ThreatModel(family=Family.CW, norm=Norm.L2, budget=confidence, steps=steps)


CALIBRATION_ATTACKS = (fgsm(4), fgsm(8), pgd(2), pgd(8), pgd_l2(0.5), cw(0.5))
"""What the supervised scorer is trained on: one-step and iterated, bounded and smallest, shallow and deep."""
