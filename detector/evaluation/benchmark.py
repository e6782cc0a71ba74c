"""An evaluation from beginning to end: every figure of the report, from classifier, gradients and labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.evaluation.adaptive_curves import informed_curves, tramer_check
from detector.evaluation.channels import CHEAPER, WITHOUT_PROTOTYPES, Trials, channel_results
from detector.evaluation.checking import self_checks
from detector.evaluation.contest import peer_results
from detector.evaluation.controls import barrier_results, control_results
from detector.evaluation.difficulty import difficulty_results
from detector.evaluation.exhibits import examples
from detector.evaluation.limits import plain_limits, prototypes_share
from detector.evaluation.material import Material
from detector.evaluation.results import EvaluationResults
from detector.evaluation.tally import all_attacks_detected, attack_results, class_rows, robust_accuracy
from detector.evaluation.tuned import tuning_result
from detector.versions import tool_versions

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.evaluation.adaptive_curves import Serving
    from detector.evaluation.options import EvaluationOptions
    from detector.progress import Progress
    from detector.shards.base import ShardRunner


def evaluate(
    inputs: CalibrationInputs,
    options: EvaluationOptions,
    folder: Path,
    progress: Progress,
    *,
    serving: Serving | None = None,
    runner: ShardRunner | None = None,
) -> EvaluationResults:
    """Calibrate a guard on some of the images, attack it with the others, and measure it beside other detectors.

    Args:
        inputs: Classifier, gradients and labelled images.
        options: How.
        folder: Keeps the bundle, and finished stages in ``.work``: an evaluation that was interrupted goes on from
            them, and one that is run again repeats only what depends on what has changed.
        progress: Watches.
        serving: Brings the bundle up as a service, for the attack that only asks; None asks in this process.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        CalibrationError: The images have no labels, there are no gradients, or too few images.
        MissingExtraError: The attack libraries are not installed.
    """
    material = Material(inputs, options, folder / ".work", progress, runner)
    milliseconds = material.milliseconds
    plan = material.detector.bundle.manifest.plan
    trials = Trials(material)
    parts = channel_results(material, trials, milliseconds / plan.forwards_per_image)
    whole = next(part for part in reversed(parts) if part.name not in CHEAPER)
    without = next((part for part in parts if part.name == WITHOUT_PROTOTYPES), None)
    attacks = attack_results(material, whole.attacks, whole.left_out)
    controls = control_results(material)
    curves = informed_curves(material, serving)
    detected = all_attacks_detected(material)
    rates, detection = material.detector.bundle.manifest.rates, material.benign.detection
    return EvaluationResults(
        facts=_facts(material),
        suspect_rate=rates.suspect,
        adversarial_rate=rates.adversarial,
        accuracy=float(material.right.mean()),
        forwards_per_image=plan.forwards_per_image,
        milliseconds_per_image=milliseconds,
        benign_scores=detection.scores.tolist(),
        benign_p_values=detection.p_values.tolist(),
        attacks=attacks,
        all_attacks_detected=detected,
        robust_accuracy=robust_accuracy(material),
        channels=parts,
        tuning=tuning_result(material),
        peers=peer_results(material) if options.peers else (),
        controls=controls,
        classes=class_rows(material),
        difficulty=difficulty_results(material),
        barriers=barrier_results(material),
        adaptive=curves,
        tramer=tramer_check(material, curves),
        checks=self_checks(material, trials, curves),
        examples=examples(material),
        limits=[
            *plain_limits(attacks, controls, curves, detected, suspect_rate=rates.suspect),
            *prototypes_share(whole, without),
        ],
    )


def _facts(material: Material) -> dict[str, Any]:
    """What was evaluated, on what, how."""
    manifest = material.detector.bundle.manifest
    split = material.measured.split
    return {
        "classifier": material.inputs.loaded.classifier.description,
        "classifier digest": material.inputs.loaded.source_digest,
        "gradients": material.gradients.description,
        "image digest": material.inputs.images.digest,
        "images": {
            "fit the scorer": len(split.fit),
            "calibrate": len(split.calibration),
            "test": len(material.labels),
            "attacked by each attack, at most": len(material.targets),
        },
        "scorer": manifest.calibration.scorer,
        "attacks in training": list(material.measured.moved),
        "not run": [m.name for m in material.options.models if m.name not in material.attacked],
        "paths": [target.name for target in manifest.plan.targets],
        "alphas": list(manifest.plan.alphas),
        "views": [view.value for view in manifest.plan.views],
        "noise residuals": manifest.plan.residuals,
        "hidden paths": material.detector.bundle.parts.statistics is not None,
        "strata of difficulty": len(manifest.calibration.images_per_stratum),
        "taps per point": material.detector.classifier.tap_count,
        "seed": material.options.seed,
        "options": material.options.to_json(),
        "versions": tool_versions(),
    }
