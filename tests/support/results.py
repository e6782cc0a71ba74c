"""An evaluation's results as they come, made up from seeded random numbers."""

from __future__ import annotations

import base64
from typing import Final

import numpy as np

from detector.evaluation.difficulty import LABELLED, DifficultyResult, Placed, difficulty_rows
from detector.evaluation.results import (
    AdaptiveCurve,
    AttackResult,
    ClassRow,
    Control,
    CurvePoint,
    Detected,
    EvaluationResults,
    Example,
    ScorerResult,
    SelfCheck,
    TramerCheck,
)
from detector.metrics import auroc_estimate, realised_rate
from detector.strata import Strata
from detector.verdicts import TargetRates
from tests.support.pictures import encoded, picture

BENIGN: Final = 1000
CLASSES: Final = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ATTACKS: Final = {
    "FGSM-Linf-4/255": ("one step", 1.7),
    "FGSM-Linf-8/255": ("one step", 2.0),
    "BIM-Linf-8/255": ("iterated Linf", 3.4),
    "PGD-Linf-1/255": ("iterated Linf", 2.0),
    "PGD-Linf-2/255": ("iterated Linf", 2.6),
    "PGD-Linf-8/255": ("iterated Linf", 4.0),
    "PGD-targeted-Linf-8/255": ("iterated Linf", 3.6),
    "AutoPGD-DLR-Linf-8/255": ("iterated Linf", 3.1),
    "PGD-L2-0.5": ("iterated L2", 3.0),
    "DeepFool-L2": ("smallest", 2.7),
    "CW-L2-k0.5": ("smallest", 2.3),
    "CW-L2-k10": ("smallest", 3.2),
    "EAD-L1": ("smallest", 2.5),
    "Square-Linf-8/255": ("score-based", 1.6),
    "HopSkipJump-L2": ("decision-based", 2.6),
    "Spatial": ("spatial", 1.5),
    "OnePixel-L0-5": ("sparse", 1.9),
    "Patch-5x5": ("patch", 3.1),
    "Transfer-PGD-Linf-8/255": ("transfer", 2.2),
}
"""Name: kin, and how far scores lie above benign ones, in their standard deviations."""
PEERS: Final = {
    "max softmax": ("Hendrycks and Gimpel, arXiv 1610.02136", False, 1, 0.3),
    "margin": ("", False, 1, 0.32),
    "feature squeezing": ("Xu et al., arXiv 1704.01155", False, 4, 0.6),
    "Mahalanobis": ("Lee et al., arXiv 1807.03888", True, 1, 0.62),
    "LID": ("Ma et al., arXiv 1801.02613", True, 1, 0.58),
    "BinaryInputDetector": ("adversarial-robustness-toolbox", True, 1, 0.66),
    "BEYOND": ("He et al., arXiv 2209.00005", False, 51, 0.8),
    "noise consistency": ("", False, 17, 0.55),
}
CHANNELS: Final = {
    "prototype paths alone": (16, 0.66),
    "+ runner-up prototypes": (24, 0.74),
    "+ own blur": (32, 0.86),
    "+ taps": (32, 1.0),
}
CONTROLS: Final = {
    "misclassified": (0.0, 0.09),
    "Gaussian noise, sigma 0.02": (0.88, 0.06),
    "Gaussian noise, sigma 0.05": (0.71, 0.12),
    "JPEG, quality 75": (0.87, 0.05),
    "JPEG, quality 50": (0.83, 0.07),
    "blur, sigma 1": (0.64, 0.08),
    "brightness +0.2": (0.9, 0.05),
    "another data set": (None, 0.34),
    "mean of two classes": (None, 0.16),
}


def difficulty(rng: np.random.Generator) -> tuple[DifficultyResult, ...]:
    """By proxy, with attacked images, and by label, without."""
    bins = Strata((-9.0, -4.5, -2.0))

    def placed(count: int, power: float) -> Placed:
        p_values = rng.random(count) ** power
        return Placed(rng.integers(0, bins.count, count), p_values, p_values**2)

    rates = TargetRates()
    attacked = difficulty_rows(bins, placed(BENIGN, 1), [placed(150, 9), placed(90, 5)], rates)
    return (
        DifficultyResult(by="second logit minus first", labelled=False, strata=bins.count, rows=attacked),
        DifficultyResult(
            by=LABELLED, labelled=True, strata=bins.count, rows=difficulty_rows(bins, placed(BENIGN, 1), [], rates)
        ),
    )


def realistic_results(seed: int = 0) -> EvaluationResults:
    """Nineteen attacks, eight peers, everything filled in."""
    rng = np.random.default_rng(seed)
    calibration, benign = np.sort(rng.logistic(size=2000)), rng.logistic(size=BENIGN)

    def p_values(scores: np.ndarray) -> list[float]:
        above = len(calibration) - np.searchsorted(calibration, scores)
        return [float(value) for value in (1 + above) / (1 + len(calibration))]

    def detected(shift: float, scores: np.ndarray | None = None) -> Detected:
        attacked = rng.logistic(2 * shift, 1.3, 200) if scores is None else scores
        ps = np.array(p_values(attacked))
        return Detected(
            auroc=auroc_estimate(benign.astype(np.float32), attacked.astype(np.float32)),
            tpr_suspect=float(np.mean(ps <= 0.05)),
            tpr_adversarial=float(np.mean(ps <= 0.01)),
        )

    def attack(number: int, name: str, kin: str, shift: float) -> AttackResult:
        scores = rng.logistic(2 * shift, 1.3, 200 + 10 * number)
        return AttackResult(
            name=name,
            kin=kin,
            knowledge="scores" if kin == "score-based" else "decisions" if kin == "decision-based" else "white-box",
            norm=name.split("-")[1] if "-" in name else "none",
            attacked=420,
            successful=len(scores),
            included=detected(shift, scores),
            left_out=detected(0.8 * shift),
            worst_class=(CLASSES[number % 10], 0.4 + 0.02 * number) if number % 5 else None,
            scores=scores.tolist(),
            p_values=p_values(scores),
        )

    def scorer(
        name: str, strength: float, forwards: float, source: str = "", *, needs_attacks: bool = True
    ) -> ScorerResult:
        return ScorerResult(
            name=name,
            source=source,
            needs_attacks=needs_attacks,
            forwards_per_image=forwards,
            milliseconds_per_image=0.31 * forwards,
            attacks={attack: detected(strength * shift) for attack, (_, shift) in ATTACKS.items()},
            left_out={attack: detected(0.7 * strength * shift) for attack, (_, shift) in ATTACKS.items()}
            if needs_attacks
            else {},
            false_positives=realised_rate(int(rng.integers(40, 62)), BENIGN),
        )

    return EvaluationResults(
        facts={
            "classifier": "resnet20.onnx",
            "image_counts": {"train": 4000, "calibration": 2000, "test": BENIGN},
            "seed": seed,
            "quick": False,
            "adversarial_rate": 0.01,
            "versions": {"isthmus": "0.1.0", "torch": "2.13.0"},
        },
        suspect_rate=0.05,
        adversarial_rate=0.01,
        accuracy=0.912,
        forwards_per_image=32.4,
        milliseconds_per_image=11.7,
        benign_scores=benign.tolist(),
        benign_p_values=p_values(benign),
        attacks=[attack(number, name, *rest) for number, (name, rest) in enumerate(ATTACKS.items())],
        all_attacks_detected=realised_rate(243, 420),
        robust_accuracy=realised_rate(221, 420),
        channels=[scorer(name, strength, forwards) for name, (forwards, strength) in CHANNELS.items()],
        peers=[
            scorer(name, strength, forwards, source, needs_attacks=needs)
            for name, (source, needs, forwards, strength) in PEERS.items()
        ],
        difficulty=difficulty(np.random.default_rng(seed + 1)),
        controls=[
            Control(
                name=name,
                accuracy=accuracy,
                suspect=realised_rate(round(500 * rate), 500),
                adversarial=realised_rate(round(100 * rate), 500),
            )
            for name, (accuracy, rate) in CONTROLS.items()
        ],
        classes=[
            ClassRow(
                label=label,
                false_positives=realised_rate(2 + place, 100),
                true_positives=realised_rate(300 - 9 * place, 330) if place else None,
            )
            for place, label in enumerate(CLASSES)
        ],
        adaptive=_adaptive(),
        tramer=TramerCheck(
            radius=8 / 255,
            robust_with_rejection=0.04,
            implied_robust_at_half=0.04,
            note="The first number is far below what is known to be possible, so nothing speaks against it.",
        ),
        checks=[
            SelfCheck(name="gradients are not zero", passed=True, finding="0 of 420 images"),
            SelfCheck(name="black-box does not beat white-box", passed=False, finding="Square beats FGSM on 3 images"),
        ],
        examples=_examples(rng),
        limits=[
            "An attacker who knows the guard wins at 8/255 on 96.0% of images.",
            "Spatial attacks are found hardest: 31% of them are flagged.",
        ],
    )


def _adaptive() -> list[AdaptiveCurve]:
    budgets = np.array([0, 1, 2, 4, 8, 16, 32, 64]) / 255
    kinds = [
        ("loss + lambda * score, Linf", "default", 8.0, "Gradients of both, summed; lambda is searched for."),
        ("Orthogonal PGD, Linf", "default", 12.0, "Steps on one gradient without what it shares with the other."),
        ("Square on the service, Linf", "default", 3.0, "Knows scores only, as the API gives them."),
        ("Orthogonal PGD, Linf", "strict: 64 forwards", 5.0, "The same against more paths."),
        ("loss + lambda * score, L2", "default", 1.0, "In another norm."),
    ]
    return [
        AdaptiveCurve(
            name=name,
            configuration=configuration,
            images=200,
            steps=200,
            points=[
                CurvePoint(
                    budget=float(budget) * (20 if "L2" in name else 1),
                    fooled=float(1 - np.exp(-6 * speed * budget * 10)),
                    sr5=float(1 - np.exp(-2 * speed * budget * 10)),
                    sr50=float(1 - np.exp(-speed * budget * 10)),
                )
                for budget in budgets
            ],
            note=note,
        )
        for name, configuration, speed, note in kinds
    ]


def _examples(rng: np.random.Generator) -> list[Example]:
    alphas = np.linspace(0, 1, 9)
    kinds = [
        ("hit", "PGD-Linf-8/255: cat taken for dog", 7.2, 0.0005),
        ("hit", "CW-L2-k0.5: ship taken for truck", 4.1, 0.008),
        ("miss", "Square-Linf-8/255: bird taken for frog", 0.2, 0.41),
        ("false alarm", "horse", 3.6, 0.013),
    ]
    names = ("prototype[0]", "prototype[1]", "runner_up_prototype[0]", "runner_up_prototype[1]", "blur")
    return [
        Example(
            kind=kind,
            title=title,
            png=base64.b64encode(encoded(picture(number, 32, 32))).decode(),
            score=score,
            p_value=p_value,
            alphas=alphas.tolist(),
            losses={
                name: (np.sin(np.pi * alphas) ** 2 * float(rng.lognormal(1, 1.5)) + 1e-4).tolist() for name in names
            },
        )
        for number, (kind, title, score, p_value) in enumerate(kinds)
    ]
