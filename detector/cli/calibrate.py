"""`isthmus calibrate`: from a classifier and held-out images to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.classifiers.base import ChannelOrder, Layout
from detector.classifiers.options import SpecOptions
from detector.cli.errors import clear_errors
from detector.cli.progress import Bars
from detector.cli.values import numbers, pair, sides
from detector.prototypes.options import PrototypeStart, SynthesisOptions
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from detector.calibration.pipeline import CalibrationResult


def _option(text: str, panel: str, **settings: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=panel, **settings)


_FROM = "Classifier and data"
_INPUT = "The classifier's input (read from the graph where possible)"
_DETECTOR = "Detector"
_PROTOTYPES = "Prototypes"


def calibrate(  # noqa: PLR0917 - a command line is its options
    classifier: Annotated[
        str, _option("An .onnx file, a torch.export .pt2 program, or a factory module:function.", _FROM)
    ],
    images: Annotated[
        str,
        _option(
            "Held-out images the classifier was NOT trained on: a folder (class sub-folders, or flat with labels.csv), "
            "a zip of one, an .npz (images, labels), or torchvision:NAME?root=FOLDER.",
            _FROM,
        ),
    ],
    out: Annotated[Path, _option("The bundle folder to make.", _FROM)],
    gradients: Annotated[
        str | None,
        _option(
            "Where gradients come from, if not from the classifier itself: a .pt2, a factory or an .onnx of the same "
            "network. Without any, real images stand in for prototypes and no attack can be run.",
            _FROM,
        ),
    ] = None,
    state: Annotated[Path | None, _option("Weights for a factory: .safetensors or a state dict.", _FROM)] = None,
    labels: Annotated[Path | None, _option("Class names in output order: one per line, or JSON.", _FROM)] = None,
    limit: Annotated[int, _option("Most images used: a class-balanced, seeded choice.", _FROM, min=1)] = 5000,
    layout: Annotated[Layout | None, _option("Order of the axes.", _INPUT)] = None,
    channel_order: Annotated[ChannelOrder | None, _option("Order of the channels; RGB if not given.", _INPUT)] = None,
    size: Annotated[str | None, _option("Height and width, as in 224x224.", _INPUT, metavar="HxW")] = None,
    value_range: Annotated[
        str | None,
        _option("What black and white are before mean and std: 0,1 (default) or 0,255.", _INPUT, metavar="LO,HI"),
    ] = None,
    mean: Annotated[
        str | None, _option("Subtracted per channel, such as 0.485,0.456,0.406.", _INPUT, metavar="M,M,M")
    ] = None,
    std: Annotated[
        str | None, _option("Divided by per channel, such as 0.229,0.224,0.225.", _INPUT, metavar="S,S,S")
    ] = None,
    scorer: Annotated[
        ScorerChoice,
        _option(
            "one-class needs no attacks; supervised learns from attacks that are run here; auto: if it can.", _DETECTOR
        ),
    ] = ScorerChoice.AUTO,
    suspect_rate: Annotated[float, _option("Benign images judged SUSPECT or worse.", _DETECTOR)] = 0.05,
    adversarial_rate: Annotated[float, _option("Benign images judged ADVERSARIAL.", _DETECTOR)] = 0.01,
    fit_fraction: Annotated[float, _option("Share of the images that fits the scorer.", _DETECTOR)] = 0.4,
    points: Annotated[int, _option("Grid points per path, the image aside.", _DETECTOR)] = 4,
    runner_ups: Annotated[int, _option("Paths to prototypes of the runner-up class.", _DETECTOR)] = 1,
    blur: Annotated[bool, _option("Also walk to the image's own blurred copy.", _DETECTOR)] = True,
    views: Annotated[bool, _option("Also ask for the image mirrored and shifted.", _DETECTOR)] = True,
    taps: Annotated[
        bool, _option("Also read hidden layers of the classifier; without, the scorer needs logits alone.", _DETECTOR)
    ] = True,
    attack_images: Annotated[int, _option("Images attacked, by each attack.", _DETECTOR)] = 250,
    prototypes: Annotated[int, _option("Prototypes of each class, and paths to them.", _PROTOTYPES)] = 2,
    prototype_start: Annotated[
        PrototypeStart, _option("What the optimisation starts from.", _PROTOTYPES)
    ] = PrototypeStart.NOISE,
    prototype_smoothness: Annotated[float, _option("Weight of the smoothness penalty.", _PROTOTYPES)] = 0.0,
    prototype_jitter: Annotated[int, _option("Largest shift at each step, pixels.", _PROTOTYPES)] = 0,
    prototype_steps: Annotated[int, _option("Most Adam steps.", _PROTOTYPES)] = 250,
    seed: Annotated[int, typer.Option(help="Of all that is drawn: the same seed gives the same bundle.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads, of the classifier and of torch.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Calibrate a detector for a classifier, and write it as a bundle.

    Makes prototypes of every class, walks from your images to them, fits a scorer, and calibrates p-values so that the
    false-positive rates hold. Ctrl-C is safe: run the same command again and it goes on from its finished stages.

    Example: isthmus calibrate --classifier model.onnx --images held-out.zip --out bundle
    """
    with clear_errors(on_interrupt="interrupted; run the same command again to go on"):
        height, width = sides("--size", size)
        spec = SpecOptions(
            layout=layout,
            channel_order=channel_order,
            value_range=pair("--value-range", value_range),
            mean=numbers("--mean", mean),
            std=numbers("--std", std),
            height=height,
            width=width,
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
            points=points,
            fit_fraction=fit_fraction,
            attack_images=attack_images,
            seed=seed,
        )
        # Only now, so that wrong options are told at once.
        import torch

        from detector.bundle.writing import check_free
        from detector.calibration.inputs import load_inputs
        from detector.calibration.pipeline import calibrate as run_calibration

        with Bars() as bars:
            check_free(out, overwrite=overwrite)
            if threads is not None:
                torch.set_num_threads(threads)
            inputs = load_inputs(
                classifier,
                images,
                spec=spec,
                gradients=gradients,
                state=state,
                labels=labels,
                limit=limit,
                seed=seed,
                threads=threads,
                taps=taps,
                progress=bars,
            )
            result = run_calibration(inputs, options, out, progress=bars, overwrite=overwrite)
        _tell(result)


def _tell(result: CalibrationResult) -> None:
    calibration = result.manifest.calibration
    typer.echo(f"bundle      {result.path}  (digest {result.digest[:16]})")
    typer.echo(f"scorer      {calibration.scorer}, calibrated on {calibration.images} images")
    typer.echo(f"cost        {result.manifest.plan.forwards_per_image} classifier forwards per image")
    for attack, value in calibration.detection.items():
        typer.echo(f"AUROC       {value:.3f}  {attack}, on attacked images the scorer was not fitted on")
    typer.echo(f"report      {result.path / 'report.html'}")
    typer.echo(f"serve it    isthmus serve --bundle {result.path}")
