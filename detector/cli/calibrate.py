"""`isthmus calibrate`: from a classifier and held-out images to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.calibration.tuning.options import Knob
from detector.cli.classifier_options import (
    FROM,
    AnyClassifierOption,
    ChannelOrderOption,
    GradientsOption,
    ImagesOption,
    LabelsOption,
    LayoutOption,
    LimitOption,
    MeanOption,
    RangeOption,
    SizeOption,
    StateOption,
    StdOption,
    ThreadsOption,
    panelled,
    spec_options,
)
from detector.cli.errors import clear_errors
from detector.cli.progress import Bars
from detector.cli.ray_options import RayAddressOption, RayOption, RayWorkersOption, check_ray, spread
from detector.cli.tuning_options import TuneBudgetOption, TuneOption, tell_decisions, tuning_options
from detector.prototypes.options import PrototypeStart, SynthesisOptions
from detector.strata import MAX_STRATA
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from detector.calibration.pipeline import CalibrationResult


_DETECTOR = "Detector"
_KNOBS = {
    "points": Knob.POINTS,
    "prototypes": Knob.PROTOTYPES,
    "runner_ups": Knob.RUNNER_UPS,
    "prototype_smoothness": Knob.SMOOTHNESS,
}
_PROTOTYPES = "Prototypes"


def calibrate(  # noqa: PLR0917 - a command line is its options
    context: typer.Context,
    classifier: AnyClassifierOption,
    images: ImagesOption,
    out: Annotated[Path, panelled("The bundle folder to make.", FROM)],
    gradients: GradientsOption = None,
    state: StateOption = None,
    labels: LabelsOption = None,
    limit: LimitOption = 5000,
    layout: LayoutOption = None,
    channel_order: ChannelOrderOption = None,
    size: SizeOption = None,
    value_range: RangeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scorer: Annotated[
        ScorerChoice,
        panelled(
            "one-class needs no attacks; supervised learns from attacks that are run here; auto: if it can.", _DETECTOR
        ),
    ] = ScorerChoice.AUTO,
    suspect_rate: Annotated[float, panelled("Benign images judged SUSPECT or worse.", _DETECTOR)] = 0.05,
    adversarial_rate: Annotated[float, panelled("Benign images judged ADVERSARIAL.", _DETECTOR)] = 0.01,
    fit_fraction: Annotated[float, panelled("Share of the images that fits the scorer.", _DETECTOR)] = 0.4,
    strata: Annotated[
        int | None,
        panelled(
            "Strata of difficulty, each with thresholds of its own, so that hard images raise no more false alarms "
            "than easy ones; 1 for one set of thresholds. 5 where there are images enough.",
            _DETECTOR,
            min=1,
            max=MAX_STRATA,
        ),
    ] = None,
    points: Annotated[int, panelled("Grid points per path, the image aside.", _DETECTOR)] = 4,
    runner_ups: Annotated[int, panelled("Paths to prototypes of the runner-up class.", _DETECTOR)] = 1,
    blur: Annotated[bool, panelled("Also walk to the image's own blurred copy.", _DETECTOR)] = True,
    views: Annotated[bool, panelled("Also ask for the image mirrored and shifted.", _DETECTOR)] = True,
    taps: Annotated[
        bool, panelled("Also read hidden layers of the classifier; without, the scorer needs logits alone.", _DETECTOR)
    ] = True,
    residuals: Annotated[
        bool,
        panelled(
            "Also measure each image's noise residuals: catches far more, and flags noisy and brightened images. For "
            "images that all come the same way.",
            _DETECTOR,
        ),
    ] = False,
    hidden_paths: Annotated[
        bool,
        panelled(
            "Also read how the tapped layers move along the tapped path, and which class they are near: slack, steps, "
            "turns and similarities. At no forward.",
            _DETECTOR,
        ),
    ] = False,
    corrupted_copies: Annotated[
        int,
        panelled(
            "How often each fitting image is also shown to the scorer with everyday noise, compression, blur and the "
            "like, as benign.",
            _DETECTOR,
        ),
    ] = 2,
    attack_images: Annotated[int, panelled("Images attacked, by each attack, at most.", _DETECTOR)] = 300,
    harden: Annotated[
        int,
        panelled(
            "Images to attack once more as one who knows the guard would; what is found joins the training. 150 takes "
            "minutes, and costs nothing when serving.",
            _DETECTOR,
            min=0,
        ),
    ] = 0,
    harden_steps: Annotated[int, panelled("Steps of each attack of --harden, at most.", _DETECTOR, min=1)] = 60,
    harden_rounds: Annotated[
        int, panelled("How often: each time the guard that came of the last is attacked.", _DETECTOR, min=1)
    ] = 1,
    prototypes: Annotated[int, panelled("Prototypes of each class, and paths to them.", _PROTOTYPES)] = 2,
    prototype_start: Annotated[
        PrototypeStart, panelled("What the optimisation starts from.", _PROTOTYPES)
    ] = PrototypeStart.NOISE,
    prototype_smoothness: Annotated[float, panelled("Weight of the smoothness penalty.", _PROTOTYPES)] = 0.0,
    prototype_jitter: Annotated[int, panelled("Largest shift at each step, pixels.", _PROTOTYPES)] = 0,
    prototype_steps: Annotated[int, panelled("Most Adam steps.", _PROTOTYPES)] = 250,
    difficulty: Annotated[
        Path | None,
        panelled(
            "The cleaning-listed.json of isthmus analyze difficulty: images that it lists stand in for no class.",
            _PROTOTYPES,
        ),
    ] = None,
    tune: TuneOption = False,
    tune_budget: TuneBudgetOption = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn: the same seed gives the same bundle.")] = 0,
    threads: ThreadsOption = None,
    ray: RayOption = False,
    ray_address: RayAddressOption = None,
    ray_workers: RayWorkersOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Calibrate a detector for a classifier, and write it as a bundle.

    Makes prototypes of every class, walks from your images to them, fits a scorer, and calibrates p-values so that the
    false-positive rates hold. Ctrl-C is safe: run the same command again and it goes on from its finished stages.

    Example: isthmus calibrate --classifier model.onnx --images held-out.zip --out bundle
    """
    with clear_errors(on_interrupt="interrupted; run the same command again to go on"):
        spec = spec_options(
            layout=layout, channel_order=channel_order, size=size, value_range=value_range, mean=mean, std=std
        )
        options = CalibrationOptions(
            scorer=scorer,
            rates=TargetRates(suspect_rate, adversarial_rate),
            prototypes=SynthesisOptions(
                per_class=prototypes,
                start=prototype_start,
                smoothness=prototype_smoothness,
                jitter=prototype_jitter,
                steps=prototype_steps,
                seed=seed,
            ),
            runner_up_prototypes=runner_ups,
            blur=blur,
            views=views,
            residuals=residuals,
            hidden_paths=hidden_paths,
            points=points,
            fit_fraction=fit_fraction,
            strata=strata,
            corrupted_copies=corrupted_copies,
            attack_images=attack_images,
            hardening_images=harden,
            hardening_steps=harden_steps,
            hardening_rounds=harden_rounds,
            seed=seed,
            tuning=tuning_options(context, tune=tune, budget=tune_budget, knobs=_KNOBS),
        )
        check_ray(ray=ray, address=ray_address, workers=ray_workers)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.bundle.writing import check_free
        from detector.calibration.inputs import load_inputs
        from detector.calibration.pipeline import calibrate as run_calibration
        from detector.cli.remote import open_classifier

        with Bars() as bars:
            check_free(out, overwrite=overwrite)
            if threads is not None:
                torch.set_num_threads(threads)
            inputs = load_inputs(
                open_classifier(classifier, spec=spec, labels=labels),
                images,
                spec=spec,
                gradients=gradients,
                state=state,
                labels=labels,
                limit=limit,
                seed=seed,
                threads=threads,
                taps=taps,
                listed=difficulty,
                progress=bars,
            )
            with spread(
                inputs, ray=ray, address=ray_address, workers=ray_workers, threads=threads, progress=bars
            ) as runner:
                result = run_calibration(inputs, options, out, progress=bars, overwrite=overwrite, runner=runner)
        _tell(result)


def _tell(result: CalibrationResult) -> None:
    calibration = result.manifest.calibration
    typer.echo(f"bundle      {result.path}  (digest {result.digest[:16]})")
    typer.echo(f"scorer      {calibration.scorer}, calibrated on {calibration.images} images")
    if len(calibration.images_per_stratum) > 1:
        counts = ", ".join(f"{count}" for count in calibration.images_per_stratum)
        typer.echo(f"strata      {len(calibration.images_per_stratum)} of difficulty, with {counts} of these images")
    typer.echo(f"cost        {result.manifest.plan.forwards_per_image} classifier forwards per image")
    tell_decisions(result.decisions)
    for attack, value in calibration.detection.items():
        typer.echo(f"AUROC       {value:.3f}  {attack}, on attacked images the scorer was not fitted on")
    typer.echo(f"report      {result.path / 'report.html'}")
    typer.echo(f"serve it    isthmus serve --bundle {result.path}")
