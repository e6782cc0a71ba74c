"""What it takes to calibrate anew: the options that made a bundle, and the command that says them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from detector.bundle.contents import TAP_STATISTICS
from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.calibration.tuning.options import TuningOptions
from detector.classifiers.address import is_address
from detector.profiles import PathKind
from detector.prototypes.options import PrototypeStart, SynthesisOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from detector.bundle import Manifest

_CHOSEN_BY_TUNING: Final = frozenset({"--points", "--prototypes", "--runner-ups", "--prototype-smoothness"})


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a user named on the command line, to be named again.

    Args:
        classifier: The new one.
        images: The sample.
        out: The bundle to make.
        gradients: As for `isthmus calibrate`, like all that follow.
        state: Weights for a factory.
        labels: Class names.
        limit: Most images.
        others: Further options as they were given, such as ``("--layout", "NHWC")``.
    """

    classifier: str
    images: str
    out: Path
    gradients: str | None = None
    state: Path | None = None
    labels: Path | None = None
    limit: int | None = None
    others: tuple[str, ...] = ()


def options_of(manifest: Manifest, *, remote: bool) -> CalibrationOptions:
    """The options that made a bundle: from its paths and rates, and from its provenance where they leave off.

    Args:
        manifest: Of any bundle; one made without `isthmus calibrate` may record no options.
        remote: Whether they are for a classifier that runs elsewhere: there is no graph of it to be hardened,
            and it has no taps.
    """
    recorded = manifest.provenance.get("options")
    given: Mapping[str, Any] = recorded if isinstance(recorded, dict) else {}
    made = given.get("prototypes")
    synthesis: Mapping[str, Any] = made if isinstance(made, dict) else {}
    kinds = [target.kind for target in manifest.plan.targets]
    usual, usual_prototypes = CalibrationOptions(), SynthesisOptions()
    names = ("fit_fraction", "corrupted_copies", "attack_images", "hardening_images", "hardening_steps", "strata")
    kept = {name: given.get(name, getattr(usual, name)) for name in (*names, "hardening_rounds", "seed")}
    if remote:
        kept["hardening_images"] = 0
    numbers = ("smoothness", "jitter", "steps", "seed")
    return CalibrationOptions(
        scorer=ScorerChoice(given.get("scorer", manifest.calibration.scorer)),
        rates=manifest.rates,
        prototypes=SynthesisOptions(
            per_class=max(1, kinds.count(PathKind.PROTOTYPE)),
            start=PrototypeStart(synthesis.get("start", usual_prototypes.start)),
            **{name: synthesis.get(name, getattr(usual_prototypes, name)) for name in numbers},
        ),
        runner_up_prototypes=kinds.count(PathKind.RUNNER_UP_PROTOTYPE),
        blur=PathKind.BLUR in kinds,
        views=bool(manifest.plan.views),
        residuals=manifest.plan.residuals,
        hidden_paths=TAP_STATISTICS in manifest.files and not remote,
        points=len(manifest.plan.alphas),
        prior_strength=manifest.calibration.prior_strength,
        proxy=manifest.calibration.proxy,
        tuning=TuningOptions() if _tuned(manifest) else None,
        **kept,
    )


def calibrate_command(manifest: Manifest, sources: Sources) -> str:
    """The command line that calibrates anew as a bundle was calibrated; what is the default is left out."""
    options, usual = options_of(manifest, remote=is_address(sources.classifier)), CalibrationOptions()
    prototypes, usual_prototypes = options.prototypes, usual.prototypes
    words = ["isthmus", "calibrate", "--classifier", sources.classifier, "--images", sources.images]
    named = {
        "--gradients": sources.gradients,
        "--state": sources.state,
        "--labels": sources.labels,
        "--limit": sources.limit,
    }
    words += [word for name, given in named.items() if given is not None for word in (name, str(given))]
    words += ["--out", str(sources.out), *sources.others]
    chosen = _CHOSEN_BY_TUNING if _tuned(manifest) else frozenset()
    for name, value, default in (
        ("--scorer", options.scorer.value, usual.scorer.value),
        ("--suspect-rate", options.rates.suspect, usual.rates.suspect),
        ("--adversarial-rate", options.rates.adversarial, usual.rates.adversarial),
        ("--fit-fraction", options.fit_fraction, usual.fit_fraction),
        ("--strata", options.strata, usual.strata),
        ("--points", options.points, usual.points),
        ("--runner-ups", options.runner_up_prototypes, usual.runner_up_prototypes),
        ("--corrupted-copies", options.corrupted_copies, usual.corrupted_copies),
        ("--attack-images", options.attack_images, usual.attack_images),
        ("--harden", options.hardening_images, usual.hardening_images),
        ("--harden-steps", options.hardening_steps, usual.hardening_steps),
        ("--harden-rounds", options.hardening_rounds, usual.hardening_rounds),
        ("--prototypes", prototypes.per_class, usual_prototypes.per_class),
        ("--prototype-start", prototypes.start.value, usual_prototypes.start.value),
        ("--prototype-smoothness", prototypes.smoothness, usual_prototypes.smoothness),
        ("--prototype-jitter", prototypes.jitter, usual_prototypes.jitter),
        ("--prototype-steps", prototypes.steps, usual_prototypes.steps),
        ("--seed", options.seed, usual.seed),
    ):
        words += [] if value == default or name in chosen else [name, str(value)]
    words += [] if options.blur else ["--no-blur"]
    words += [] if options.views else ["--no-views"]
    words += [] if manifest.plan.tapped else ["--no-taps"]
    words += ["--residuals"] if options.residuals else []
    words += ["--hidden-paths"] if options.hidden_paths else []
    words += ["--tune"] if _tuned(manifest) else []
    return shlex.join(words)


def _tuned(manifest: Manifest) -> bool:
    return "tuning" in manifest.provenance
