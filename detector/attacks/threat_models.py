"""Threat models: what an attacker may change, how much, what he knows, and what the attack costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Family(StrEnum):
    """Attack algorithm."""

    FGSM = "FGSM"
    BIM = "BIM"
    PGD = "PGD"
    APGD_CE = "APGD-CE"
    APGD_DLR = "APGD-DLR"
    DEEP_FOOL = "DeepFool"
    CW = "CW"
    EAD = "EAD"
    FMN = "FMN"
    SQUARE = "Square"
    HOP_SKIP_JUMP = "HopSkipJump"
    SPATIAL = "Spatial"
    ONE_PIXEL = "OnePixel"
    PATCH = "Patch"
    SALT_AND_PEPPER = "SaltAndPepper"
    TRANSFER = "Transfer"
    UNCONSTRAINED = "Unconstrained"


class Kin(StrEnum):
    """Families so alike that they are left out of training together: to have seen one is nearly to have seen all."""

    ONE_STEP = "one-step"
    ITERATED = "iterated"
    MINIMUM_NORM = "minimum-norm"
    QUERY = "query"
    SPARSE = "sparse"
    SPATIAL = "spatial"
    TRANSFER = "transfer"
    UNCONSTRAINED = "unconstrained"


class Knowledge(StrEnum):
    """What the attacker has of the classifier."""

    WHITE_BOX = "white-box"
    """Its gradients."""
    SCORES = "scores"
    """Its answers, with logits."""
    DECISIONS = "decisions"
    """Its answers, the class alone."""
    NONE = "none"
    """Images like those it was trained on."""


class Norm(StrEnum):
    """Norm of the perturbation, on pixels in [0, 1]."""

    LINF = "Linf"
    L2 = "L2"
    L1 = "L1"
    L0 = "L0"
    """Number of pixels changed, all channels together."""
    NONE = "none"
    """Neither bounded nor minimised."""


SEARCHES = 3
"""Weights that CW and EAD try for each image, each for all their steps."""
CANDIDATES = 10
"""Classes, the labelled one included, between which DeepFool looks for the nearest boundary."""
POPULATION = 50
"""Candidates in each generation of the one-pixel attack."""
EVALUATIONS = 20
"""HopSkipJump's noisy copies in its first step; those of step t are sqrt(t) times as many."""


@dataclass(frozen=True)
class _Traits:
    """What all threat models of a family share; forwards and backwards are those of one step on one image."""

    kin: Kin
    knowledge: Knowledge
    forwards: float
    backwards: float


_GRADIENT = (Knowledge.WHITE_BOX, 1, 1)
_TRAITS = {
    Family.FGSM: _Traits(Kin.ONE_STEP, *_GRADIENT),
    Family.BIM: _Traits(Kin.ITERATED, *_GRADIENT),
    Family.PGD: _Traits(Kin.ITERATED, *_GRADIENT),
    Family.APGD_CE: _Traits(Kin.ITERATED, Knowledge.WHITE_BOX, 2, 1),
    Family.APGD_DLR: _Traits(Kin.ITERATED, Knowledge.WHITE_BOX, 2, 1),
    Family.DEEP_FOOL: _Traits(Kin.MINIMUM_NORM, Knowledge.WHITE_BOX, CANDIDATES - 1, CANDIDATES - 1),
    Family.CW: _Traits(Kin.MINIMUM_NORM, Knowledge.WHITE_BOX, SEARCHES, SEARCHES),
    Family.EAD: _Traits(Kin.MINIMUM_NORM, Knowledge.WHITE_BOX, 2 * SEARCHES, SEARCHES),
    Family.FMN: _Traits(Kin.MINIMUM_NORM, *_GRADIENT),
    Family.SQUARE: _Traits(Kin.QUERY, Knowledge.SCORES, 3, 0),
    # Noisy copies (their mean over ten steps), and the bisections back to the boundary.
    Family.HOP_SKIP_JUMP: _Traits(Kin.QUERY, Knowledge.DECISIONS, 2.25 * EVALUATIONS + 22, 0),
    Family.SPATIAL: _Traits(Kin.SPATIAL, Knowledge.DECISIONS, 1, 0),
    Family.ONE_PIXEL: _Traits(Kin.SPARSE, Knowledge.SCORES, POPULATION, 0),
    Family.PATCH: _Traits(Kin.SPARSE, *_GRADIENT),
    Family.SALT_AND_PEPPER: _Traits(Kin.SPARSE, Knowledge.DECISIONS, 1, 0),
    Family.TRANSFER: _Traits(Kin.TRANSFER, Knowledge.NONE, 1, 1),
    Family.UNCONSTRAINED: _Traits(Kin.UNCONSTRAINED, *_GRADIENT),
}


@dataclass(frozen=True, kw_only=True)
class ThreatModel:
    """One attack with one budget.

    Args:
        family: The algorithm.
        norm: What is bounded, or minimised where there is no budget.
        budget: Largest perturbation in that norm; pixels for one-pixel, share of the image's area for patch, degrees
            for spatial. None: the attack looks for the smallest, or has no bound.
        steps: Gradient steps, queries, tries or generations, as the family has it.
        confidence: Wanted lead, in logits, of the wrong class over the true one (CW, EAD).
        targeted: Whether it goes for a class drawn at random, not for any wrong one.
    """

    family: Family
    norm: Norm
    budget: float | None
    steps: int
    confidence: float = 0.0
    targeted: bool = False

    @property
    def name(self) -> str:
        """Such as ``PGD-Linf-8/255``, ``PGD-L2-0.5``, ``CW-L2-k1`` or ``PGD-Linf-4/255-targeted``."""
        parts = [self.family.value]
        if self.norm is not Norm.NONE:
            parts.append(self.norm.value)
        if self.budget is not None:
            parts.append(_amount(self.family, self.norm, self.budget))
        if self.family in {Family.CW, Family.EAD}:
            parts.append(f"k{self.confidence:g}")
        if self.targeted:
            parts.append("targeted")
        return "-".join(parts)

    @property
    def kin(self) -> Kin:
        """What is left out of training together with it."""
        return _TRAITS[self.family].kin

    @property
    def knowledge(self) -> Knowledge:
        """What the attacker has of the classifier."""
        return _TRAITS[self.family].knowledge

    @property
    def forwards(self) -> int:
        """Forward passes for one image, as the library runs it: an estimate, and for searches that end early a bound.

        Those that only judge the result are not counted; a transfer attack's are those of the surrogate.
        """
        return round(_TRAITS[self.family].forwards * self.steps)

    @property
    def backwards(self) -> int:
        """Backward passes for one image, counted as `forwards` are."""
        return round(_TRAITS[self.family].backwards * self.steps)

    def affordable(self, work: int, *, least: int, most: int) -> int:
        """How many images it can be run on for so much work.

        Args:
            work: Forward passes on all images; a backward pass counts as two.
            least: Images it is run on however costly it is.
            most: Images it is run on however cheap it is.
        """
        return min(most, max(least, work // max(1, self.forwards + 2 * self.backwards)))

    def strengthened(self) -> ThreatModel:
        """The same attack with twice the budget; an attack without one is returned as it is."""
        return self if self.budget is None else replace(self, budget=2 * self.budget)


def _amount(family: Family, norm: Norm, budget: float) -> str:
    if family is Family.ONE_PIXEL:
        return f"{budget:g}px"
    if family is Family.PATCH:
        return f"{100 * budget:g}%"
    if family is Family.SPATIAL:
        return f"{budget:g}deg"
    return f"{budget * 255:g}/255" if norm is Norm.LINF else f"{budget:g}"


def describe(model: ThreatModel) -> dict[str, str]:
    """A row of the table of threat models, in words: name, norm, budget, knowledge, kin and cost of one image."""
    if model.budget is not None:
        budget = _amount(model.family, model.norm, model.budget)
    else:
        budget = "none" if model.norm is Norm.NONE else "smallest found"
    return {
        "name": model.name,
        "norm": model.norm.value,
        "budget": budget,
        "knowledge": model.knowledge.value,
        "kin": model.kin.value,
        "cost": f"{model.forwards} forwards, {model.backwards} backwards",
    }


def fgsm(levels: float) -> ThreatModel:
    """Fast gradient sign method; budget in 255ths (Goodfellow et al., arXiv 1412.6572)."""
    return ThreatModel(family=Family.FGSM, norm=Norm.LINF, budget=levels / 255, steps=1)


def bim(levels: float, *, steps: int = 10) -> ThreatModel:
    """Basic iterative method, PGD from the image itself; budget in 255ths (Kurakin et al., arXiv 1607.02533)."""
    return ThreatModel(family=Family.BIM, norm=Norm.LINF, budget=levels / 255, steps=steps)


def pgd(levels: float, *, steps: int = 20) -> ThreatModel:
    """Projected gradient descent in Linf from a random start; budget in 255ths (Madry et al., arXiv 1706.06083)."""
    return ThreatModel(family=Family.PGD, norm=Norm.LINF, budget=levels / 255, steps=steps)


def pgd_l2(budget: float, *, steps: int = 20) -> ThreatModel:
    """Projected gradient descent in L2; budget is a Euclidean distance on pixels in [0, 1]."""
    return ThreatModel(family=Family.PGD, norm=Norm.L2, budget=budget, steps=steps)


def targeted_pgd(levels: float, *, steps: int = 40) -> ThreatModel:
    """Projected gradient descent in Linf towards a class drawn at random; budget in 255ths."""
    return ThreatModel(family=Family.PGD, norm=Norm.LINF, budget=levels / 255, steps=steps, targeted=True)


def apgd_ce(levels: float, *, steps: int = 30) -> ThreatModel:
    """Auto-PGD on the cross-entropy, of AutoAttack; budget in 255ths (Croce and Hein, arXiv 2003.01690, Sec. 3)."""
    return ThreatModel(family=Family.APGD_CE, norm=Norm.LINF, budget=levels / 255, steps=steps)


def apgd_dlr(levels: float, *, steps: int = 30) -> ThreatModel:
    """Auto-PGD on the difference-of-logits ratio, of AutoAttack; budget in 255ths (arXiv 2003.01690, Sec. 4)."""
    return ThreatModel(family=Family.APGD_DLR, norm=Norm.LINF, budget=levels / 255, steps=steps)


def deep_fool(*, steps: int = 30) -> ThreatModel:
    """Nearest boundary in L2 by linearising, step by step (Moosavi-Dezfooli et al., arXiv 1511.04599)."""
    return ThreatModel(family=Family.DEEP_FOOL, norm=Norm.L2, budget=None, steps=steps)


def cw(confidence: float, *, steps: int = 40) -> ThreatModel:
    """Carlini and Wagner's smallest L2 perturbation with a wanted logit margin (arXiv 1608.04644, Sec. V)."""
    return ThreatModel(family=Family.CW, norm=Norm.L2, budget=None, steps=steps, confidence=confidence)


def ead(confidence: float, *, steps: int = 40) -> ThreatModel:
    """Smallest elastic-net (L1 and squared L2) perturbation with a wanted logit margin (arXiv 1709.04114)."""
    return ThreatModel(family=Family.EAD, norm=Norm.L1, budget=None, steps=steps, confidence=confidence)


def fmn(*, steps: int = 50) -> ThreatModel:
    """Fast minimum-norm in Linf (Pintor et al., arXiv 2102.12827).

    It stands where AutoAttack has FAB, which no kept library has: both look for the nearest point of the boundary.
    """
    return ThreatModel(family=Family.FMN, norm=Norm.LINF, budget=None, steps=steps)


def square(levels: float, *, queries: int = 500) -> ThreatModel:
    """Random search by squares, of AutoAttack; budget in 255ths (Andriushchenko et al., arXiv 1912.00049)."""
    return ThreatModel(family=Family.SQUARE, norm=Norm.LINF, budget=levels / 255, steps=queries)


def hop_skip_jump(*, steps: int = 10) -> ThreatModel:
    """Walk along the boundary by decisions alone, in L2 (Chen et al., arXiv 1904.02144)."""
    return ThreatModel(family=Family.HOP_SKIP_JUMP, norm=Norm.L2, budget=None, steps=steps)


def spatial(degrees: float = 30, *, tries: int = 60) -> ThreatModel:
    """Random rotations up to `degrees`, with shifts up to a tenth of the image (Engstrom et al., arXiv 1712.02779)."""
    return ThreatModel(family=Family.SPATIAL, norm=Norm.NONE, budget=degrees, steps=tries)


def one_pixel(pixels: int = 5, *, generations: int = 30) -> ThreatModel:
    """A few pixels, by differential evolution (Su et al., arXiv 1710.08864)."""
    return ThreatModel(family=Family.ONE_PIXEL, norm=Norm.L0, budget=pixels, steps=generations)


def patch(area: float = 1 / 16, *, steps: int = 40) -> ThreatModel:
    """PGD without a bound inside a square at a random place; `area` is its share of the image, 8 x 8 of 32 x 32.

    After Brown et al. (arXiv 1712.09665), but made for each image, which is the stronger attack.
    """
    return ThreatModel(family=Family.PATCH, norm=Norm.L0, budget=area, steps=steps)


def salt_and_pepper(*, steps: int = 200) -> ThreatModel:
    """Fewest random black and white pixels (as in Rauber et al., Foolbox, arXiv 1707.04131)."""
    return ThreatModel(family=Family.SALT_AND_PEPPER, norm=Norm.L0, budget=None, steps=steps)


def transfer(levels: float, *, steps: int = 20) -> ThreatModel:
    """PGD in Linf on a surrogate the attacker trained himself; budget in 255ths (Papernot et al., arXiv 1602.02697)."""
    return ThreatModel(family=Family.TRANSFER, norm=Norm.LINF, budget=levels / 255, steps=steps)


def unconstrained(*, steps: int = 200) -> ThreatModel:
    """The path-loss paper's own attack, towards a class drawn at random (arXiv 2409.05800; see `unconstrained.py`)."""
    return ThreatModel(family=Family.UNCONSTRAINED, norm=Norm.NONE, budget=None, steps=steps, targeted=True)


THREAT_MODELS = (
    fgsm(4),
    fgsm(8),
    bim(4),
    pgd(1),
    pgd(2),
    pgd(4),
    pgd(8),
    pgd_l2(0.5),
    pgd_l2(1.0),
    targeted_pgd(4),
    targeted_pgd(8),
    apgd_ce(8),
    apgd_dlr(4),
    apgd_dlr(8),
    deep_fool(),
    cw(0.5),
    cw(5),
    ead(0.5),
    fmn(),
    square(8),
    hop_skip_jump(),
    spatial(),
    one_pixel(),
    patch(),
    salt_and_pepper(),
    transfer(8),
    transfer(16),
    unconstrained(),
)
"""What a detector is judged by: budgets are those of photographs, small or not; digits need more."""

CALIBRATION_ATTACKS = (
    fgsm(4),
    fgsm(8),
    pgd(1),
    pgd(2),
    pgd(8),
    pgd_l2(0.5),
    cw(0.5),
    fmn(),
    square(8, queries=300),
    spatial(),
    patch(),
    unconstrained(steps=100),
)
"""What the supervised scorer is trained on: something of every kin but transfer, shallow and deep."""
