"""Does the detector hold what it promises, on images it never saw?

Splits the CIFAR-10 test images of ../shared/data into a part that calibrates a bundle (as `isthmus calibrate` does,
with its default options) and a part that only tests it. Prints a table: realised false-positive rates with their 95 %
intervals, overall and by class; AUROC and detection rates for attacks on test images, rounded to uint8, counting
successful attacks on correctly classified images only; the plain barrier gap and max-softmax beside them; and the cost.

    python benchmarks/detection.py --work bench-output                        (about 6 minutes on 2 cores; resumes)
    python benchmarks/detection.py --work bench-output --scorer one-class     (and so for the other options)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import ThreatModel, cw, fgsm, pgd
from detector.calibration.attacking import attack_successfully
from detector.calibration.inputs import CalibrationInputs, load_inputs
from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.calibration.split import split_images
from detector.calibration.stages import StageStore
from detector.classifiers.options import SpecOptions
from detector.cli.progress import Bars
from detector.conformal import ConformalCalibration
from detector.detector import Detection, Detector
from detector.evaluation.metrics import RealisedRate, auroc, realised_rate
from detector.images import to_canonical
from detector.prototypes.options import PrototypeStart, SynthesisOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

ATTACKS = (pgd(2), pgd(4), pgd(8), cw(0), fgsm(8))
RESPLITS = 200
WORST_CLASS_FACTOR = 3


@dataclass(frozen=True)
class Scored:
    """Test images and their answers."""

    images: Float32Array
    labels: NDArray[np.int64]
    detection: Detection


def main() -> None:
    """Run the benchmark and print its table."""
    arguments = _arguments()
    options = _options(arguments)
    run = hashlib.sha256(json.dumps([options.to_json(), arguments.test_fraction]).encode()).hexdigest()[:12]
    with Bars() as bars:
        everything = load_inputs(
            arguments.data / "classifiers/cifar10_resnet20.onnx",
            arguments.data / "cifar10/test.zip",
            spec=SpecOptions(),
            gradients=arguments.data / "classifiers/cifar10_resnet20.pt2",
            progress=bars,
        )
        given, held_out = _divide(everything, arguments.test_fraction, arguments.seed)
        bundle = arguments.work / f"bundle-{run}"
        if not bundle.exists():
            calibrate(given, options, bundle, progress=bars)
        detector = Detector.load(bundle)
        begin = time.perf_counter()
        benign = _score(detector, held_out)
        per_image = (time.perf_counter() - begin) / len(benign.images)
        attacked = _attack_all(everything, detector, benign, arguments, bars)
    results = {
        "options": options.to_json(),
        "false_positives": _false_positives(detector, benign),
        "resplits": _resplits(detector, benign),
        "attacks": {name: _attack_row(detector, benign, found) for name, found in attacked.items()},
        "forwards_per_image": detector.bundle.manifest.plan.forwards_per_image,
        "milliseconds_per_image": 1000 * per_image,
    }
    _print(results, detector, benign)
    (arguments.work / f"detection-{run}.json").write_text(json.dumps(results, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the shared data")
    parser.add_argument("--work", type=Path, required=True, help="folder for the bundle and the results")
    parser.add_argument("--test-fraction", type=float, default=0.4, help="share of the images that only test")
    parser.add_argument("--attack-images", type=int, default=300, help="correctly classified test images attacked")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the calibration and the attacks")
    parser.add_argument("--scorer", type=ScorerChoice, choices=list(ScorerChoice), default=ScorerChoice.AUTO)
    parser.add_argument("--prototypes", type=int, default=2, help="prototypes of each class, and paths to them")
    parser.add_argument("--prototype-start", type=PrototypeStart, choices=list(PrototypeStart), default="noise")
    parser.add_argument("--prototype-smoothness", type=float, default=0.0, help="weight of the smoothness penalty")
    parser.add_argument("--runner-ups", type=int, default=1, help="paths to prototypes of the runner-up class")
    parser.add_argument("--no-blur", action="store_true", help="leave out the path to the image's own blurred copy")
    return parser.parse_args()


def _options(arguments: argparse.Namespace) -> CalibrationOptions:
    prototypes = SynthesisOptions(
        per_class=arguments.prototypes,
        start=PrototypeStart(arguments.prototype_start),
        smoothness=arguments.prototype_smoothness,
        seed=arguments.seed,
    )
    return CalibrationOptions(
        scorer=arguments.scorer,
        prototypes=prototypes,
        runner_up_prototypes=arguments.runner_ups,
        blur=not arguments.no_blur,
        seed=arguments.seed,
    )


def _divide(
    everything: CalibrationInputs, test_fraction: float, seed: int
) -> tuple[CalibrationInputs, CalibrationInputs]:
    assert everything.images.labels is not None
    split = split_images(everything.images.labels, test_fraction, seed)

    def part(rows: NDArray[np.int64]) -> CalibrationInputs:
        images = everything.images.take(rows)
        return CalibrationInputs(everything.loaded, everything.gradients, images, everything.labels)

    return part(split.calibration), part(split.fit)


def _score(detector: Detector, held_out: CalibrationInputs) -> Scored:
    assert held_out.images.labels is not None
    images = to_canonical(held_out.images.pixels, detector.bundle.manifest.spec.shape)
    return Scored(images, held_out.images.labels, detector.score_canonical(images))


def _attack_all(
    everything: CalibrationInputs, detector: Detector, benign: Scored, arguments: argparse.Namespace, bars: Bars
) -> dict[str, tuple[Detection, int]]:
    """Per attack: the answers to its successes, and how many images were attacked."""
    right = np.flatnonzero(benign.detection.predicted == benign.labels)[: arguments.attack_images]
    images, labels = benign.images[right], benign.labels[right]
    inputs = {"images": everything.images.digest, "split": [arguments.test_fraction, arguments.seed], "n": len(right)}
    store = StageStore(arguments.work / "attacks", inputs)
    found = {}
    for model in ATTACKS:

        def attack(model: ThreatModel = model) -> dict[str, NDArray[Any]]:
            assert everything.gradients is not None
            with bars.stage(f"Attacking test images: {model.name}", len(right)) as advance:
                target, seed = AttackTarget(everything.gradients, images, labels), arguments.seed + 1
                moved = attack_successfully(model, everything.loaded.classifier, target, seed=seed, on_progress=advance)
            return {"images": moved.images}

        arrays, _ = store.run(model.name, attack)
        found[model.name] = (detector.score_canonical(arrays["images"]), len(right))
    return found


def _false_positives(detector: Detector, benign: Scored) -> dict[str, object]:
    rates = detector.bundle.manifest.rates
    p_values, predicted = benign.detection.p_values, benign.detection.predicted
    right = predicted == benign.labels
    table: dict[str, object] = {}
    for target in (rates.suspect, rates.adversarial):
        flagged = p_values <= target
        by_class: dict[str, dict[str, float]] = {
            label: _as_row(realised_rate(int(flagged[predicted == c].sum()), int((predicted == c).sum())))
            for c, label in enumerate(detector.bundle.manifest.labels)
        }
        table[f"{target:g}"] = {
            "overall": _as_row(_count(flagged)),
            "correctly_classified": _as_row(_count(flagged[right])),
            "misclassified": _as_row(_count(flagged[~right])),
            "worst_class": max(by_class.items(), key=lambda item: item[1]["rate"])[0],
            "by_class": by_class,
        }
    return table


def _resplits(detector: Detector, benign: Scored) -> dict[str, object]:
    """The same question for many splits of calibration and test images: is the promise kept on average?"""
    calibration = detector.bundle.parts.calibration
    scores = np.concatenate([calibration.scores, benign.detection.scores])
    classes = np.concatenate([calibration.classes, benign.detection.predicted])
    generator = np.random.default_rng(0)
    rates = detector.bundle.manifest.rates
    found: dict[float, list[tuple[float, bool, bool]]] = {rates.suspect: [], rates.adversarial: []}
    for _ in range(RESPLITS):
        order = generator.permutation(len(scores))
        kept, tested = order[: len(calibration.scores)], order[len(calibration.scores) :]
        again = ConformalCalibration(scores[kept], classes[kept], calibration.prior_strength)
        p_values = again.p_values(scores[tested], classes[tested])
        for target, rows in found.items():
            flagged = p_values <= target
            overall = _count(flagged)
            worst = max(flagged[classes[tested] == c].mean() for c in np.unique(classes[tested]))
            rows.append((overall.rate, overall.holds(target), worst <= WORST_CLASS_FACTOR * target))
    return {
        f"{target:g}": {
            "mean_rate": float(np.mean([rate for rate, _, _ in rows])),
            "share_in_interval": float(np.mean([inside for _, inside, _ in rows])),
            "share_worst_class_within_3x": float(np.mean([worst for _, _, worst in rows])),
        }
        for target, rows in found.items()
    }


def _attack_row(detector: Detector, benign: Scored, found: tuple[Detection, int]) -> dict[str, float]:
    detection, tried = found
    rates = detector.bundle.manifest.rates
    return {
        "attacked": tried,
        "successful": len(detection),
        "auroc": auroc(benign.detection.scores, detection.scores),
        "auroc_barrier_height": auroc(benign.detection.barrier_heights, detection.barrier_heights),
        "auroc_barrier_gap": auroc(benign.detection.barrier_gaps, detection.barrier_gaps),
        "auroc_max_softmax": auroc(-_confidence(benign.detection.logits), -_confidence(detection.logits)),
        "flagged_at_suspect": float((detection.p_values <= rates.suspect).mean()),
        "flagged_at_adversarial": float((detection.p_values <= rates.adversarial).mean()),
    }


def _confidence(logits: Float32Array) -> Float32Array:
    return np.exp(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1))


def _count(flagged: NDArray[np.bool_]) -> RealisedRate:
    return realised_rate(int(flagged.sum()), len(flagged))


def _as_row(rate: RealisedRate) -> dict[str, float]:
    return {"rate": rate.rate, "low": rate.low, "high": rate.high, "images": rate.total}


def _print(results: dict[str, object], detector: Detector, benign: Scored) -> None:
    calibration = detector.bundle.manifest.calibration
    print(f"scorer {calibration.scorer}; {calibration.images} images calibrate, {len(benign.images)} others test")
    print(f"cost   {results['forwards_per_image']} forwards and {results['milliseconds_per_image']:.1f} ms per image\n")
    _print_false_positives(results["false_positives"], results["resplits"])
    _print_attacks(results["attacks"])


def _print_false_positives(table: object, resplits: object) -> None:
    assert isinstance(table, dict)
    assert isinstance(resplits, dict)
    print(f"{'false positives':<28}{'target':>8}{'realised':>10}   95 % interval")
    for target, rows in table.items():
        for name in ("overall", "correctly_classified", "misclassified"):
            row = rows[name]
            print(f"{name:<28}{target:>8}{row['rate']:>10.4f}   {row['low']:.4f} .. {row['high']:.4f}")
        worst = rows["by_class"][rows["worst_class"]]
        factor = worst["rate"] / float(target)
        print(f"{'worst: ' + rows['worst_class']:<28}{target:>8}{worst['rate']:>10.4f}   {factor:.1f} times the target")
        again = resplits[target]
        print(
            f"  {RESPLITS} other splits: mean rate {again['mean_rate']:.4f}; interval holds the target in "
            f"{again['share_in_interval']:.0%}, worst class in 3 times in {again['share_worst_class_within_3x']:.0%}"
        )
    print()


def _print_attacks(table: object) -> None:
    assert isinstance(table, dict)
    columns = ("auroc", "flagged_at_suspect", "flagged_at_adversarial", "auroc_barrier_gap", "auroc_max_softmax")
    print(f"{'attack (uint8-rounded)':<24}{'success':>10}" + "".join(f"{c.replace('_', ' '):>24}" for c in columns))
    for name, row in table.items():
        success = f"{row['successful']}/{row['attacked']}"
        print(f"{name:<24}{success:>10}" + "".join(f"{row[c]:>24.3f}" for c in columns))
    means = {c: float(np.mean([row[c] for row in table.values()])) for c in columns}
    print(f"{'mean':<24}{'':>10}" + "".join(f"{means[c]:>24.3f}" for c in columns))


if __name__ == "__main__":
    main()
