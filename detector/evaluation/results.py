"""What an evaluation found: plain values, ready for JSON, from which the report is drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.evaluation.difficulty import DifficultyResult
    from detector.evaluation.pair_barriers import PairBarriers
    from detector.metrics import Estimate, RealisedRate

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Detected:
    """How well one scorer tells one attack's successes from benign images.

    Args:
        auroc: With its 95 % interval.
        tpr_suspect: Attacked images whose p-value is at most the SUSPECT rate (5 % unless told otherwise), 0..1.
        tpr_adversarial: The same at the ADVERSARIAL rate (1 %).
    """

    auroc: Estimate
    tpr_suspect: float
    tpr_adversarial: float


@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """One attack on the test images.

    Args:
        name: Of the threat model.
        kin: What is left out of training together with it.
        knowledge: What the attacker uses.
        norm: Of the perturbation.
        attacked: Correctly classified images attacked.
        successful: Of them, those misclassified after rounding to uint8; only they count below.
        included: With the attacks of calibration in training, its own kin among them.
        left_out: With its kin left out of training; None where the scorer learns from no attack.
        worst_class: The class (of the image, before the attack) with the lowest rate of detection at SUSPECT among
            those with at least ten successes, and that rate; None without such a class.
        scores: Of the successes.
        p_values: Of the successes.
    """

    name: str
    kin: str
    knowledge: str
    norm: str
    attacked: int
    successful: int
    included: Detected
    left_out: Detected | None
    worst_class: tuple[str, float] | None
    scores: Sequence[float]
    p_values: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class ScorerResult:
    """A peer, or the guard with only some of its evidence, on the same images under the same protocol.

    Args:
        name: Such as ``feature squeezing`` or ``prototype paths alone``.
        source: Paper or library of a peer; empty for the guard's own.
        needs_attacks: Whether it learns from attacked images.
        forwards_per_image: Its cost.
        milliseconds_per_image: Measured in this run, on this machine.
        attacks: Per attack.
        left_out: Per attack, its kin left out of training; empty where it learns from no attack.
        false_positives: Realised on benign test images at the SUSPECT rate.
    """

    name: str
    source: str
    needs_attacks: bool
    forwards_per_image: float
    milliseconds_per_image: float
    attacks: Mapping[str, Detected]
    left_out: Mapping[str, Detected]
    false_positives: RealisedRate


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """What was chosen for the guard by measurement, and the guard without.

    Args:
        decisions: Each as `TuningDecision.to_json` writes it.
        missing: What could not be decided, and why.
        untuned: The guard with all its defaults, on the same images under the same protocol.
    """

    decisions: Sequence[Mapping[str, Any]]
    missing: Sequence[str]
    untuned: ScorerResult


@dataclass(frozen=True, kw_only=True)
class Control:
    """Images nobody attacked: how often are they flagged?

    Args:
        name: Such as ``misclassified`` or ``JPEG, quality 50``.
        accuracy: Of the classifier on them, 0..1; None where they have no label it knows.
        suspect: Realised rate at the SUSPECT rate.
        adversarial: Realised rate at the ADVERSARIAL rate.
    """

    name: str
    accuracy: float | None
    suspect: RealisedRate
    adversarial: RealisedRate


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One predicted class: benign images flagged, and attacked ones (all attacks together) by their true class."""

    label: str
    false_positives: RealisedRate
    true_positives: RealisedRate | None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One budget of an adaptive attack.

    Args:
        budget: Largest perturbation, in the attack's norm, on pixels in [0, 1].
        fooled: Images misclassified, detected or not, 0..1.
        sr5: Images misclassified and not flagged at a false-positive rate of 5 %, 0..1.
        sr50: The same at 50 %.
    """

    budget: float
    fooled: float
    sr5: float
    sr50: float


@dataclass(frozen=True, kw_only=True)
class AdaptiveCurve:
    """An attack that knows the guard, over rising budgets up to where it must win.

    Args:
        name: Of the attack.
        configuration: Of the guard that is attacked, such as ``default``.
        images: Attacked, all correctly classified and not flagged before.
        steps: Gradient steps, or queries.
        points: By rising budget.
        note: What the attacker knows and does, in a sentence.
    """

    name: str
    configuration: str
    images: int
    steps: int
    points: Sequence[CurvePoint]
    note: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image with its walk.

    Args:
        kind: ``hit``, ``miss`` or ``false alarm``.
        title: What it is, such as ``PGD-Linf-8/255: cat taken for dog``.
        png: The image, a PNG file in base64.
        score: Nats.
        p_value: In (0, 1].
        alphas: Grid points.
        losses: Per path: its name and the loss at every grid point, nats.
    """

    kind: str
    title: str
    png: str
    score: float
    p_value: float
    alphas: Sequence[float]
    losses: Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class SelfCheck:
    """A sign that would make the figures untrustworthy, looked for: name, whether all is well, and what was found."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True, kw_only=True)
class TramerCheck:
    """Tramer's reduction (arXiv 2107.11630): what detection at a radius implies about robustness at half of it.

    Args:
        radius: Linf.
        robust_with_rejection: Share of benign images classified correctly, accepted, and not brought to an accepted
            misclassification within the radius by any attack of this run.
        implied_robust_at_half: The accuracy at radius / 2 that a classifier built from this guard would have, were the
            first number true.
        note: How to read the two.
    """

    radius: float
    robust_with_rejection: float
    implied_robust_at_half: float
    note: str


@dataclass(frozen=True, kw_only=True)
class EvaluationResults:
    """Everything an evaluation found.

    Args:
        facts: What was evaluated, on what, when it comes to it: classifier, images, seed, options, versions.
        suspect_rate: Target of SUSPECT.
        adversarial_rate: Target of ADVERSARIAL.
        accuracy: Of the classifier on the benign test images.
        forwards_per_image: The guard's cost.
        milliseconds_per_image: Of the guard, measured in this run.
        benign_scores: Of the benign test images.
        benign_p_values: Of the same.
        attacks: One row per attack.
        all_attacks_detected: Share of the images any attack moved, all of whose successful attacks are flagged at
            SUSPECT; None where no attack moved any.
        robust_accuracy: Share of benign test images attacked that are neither flagged themselves nor brought to an
            unflagged misclassification by any attack here that does not know the guard.
        channels: The guard with ever more evidence, prototype paths alone first.
        peers: Other detectors.
        tuning: What was chosen by measurement, and what the guard is without; None where nothing was to be chosen.
        controls: Images nobody attacked.
        classes: One row per class.
        difficulty: False alarms and detection by difficulty.
        barriers: On straight paths between two images, by what the two are.
        adaptive: Attacks that know the guard.
        tramer: The half-radius check.
        checks: Self-checks.
        examples: Images with their walks.
        limits: What the guard does not do, in plain words, each from a figure above.
    """

    facts: Mapping[str, Any]
    suspect_rate: float
    adversarial_rate: float
    accuracy: float
    forwards_per_image: float
    milliseconds_per_image: float
    benign_scores: Sequence[float]
    benign_p_values: Sequence[float]
    attacks: Sequence[AttackResult]
    all_attacks_detected: RealisedRate | None
    robust_accuracy: RealisedRate
    channels: Sequence[ScorerResult]
    peers: Sequence[ScorerResult]
    controls: Sequence[Control]
    classes: Sequence[ClassRow]
    tuning: TuningResult | None = None
    difficulty: Sequence[DifficultyResult] = ()
    barriers: Sequence[PairBarriers] = ()
    adaptive: Sequence[AdaptiveCurve] = ()
    tramer: TramerCheck | None = None
    checks: Sequence[SelfCheck] = ()
    examples: Sequence[Example] = ()
    limits: Sequence[str] = field(default=())

    def to_json(self) -> str:
        """Stable JSON: fields as named here, and `schema_version`."""
        fields = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(fields, indent=1, sort_keys=True, allow_nan=False) + "\n"
