"""`isthmus analyze connectivity`: what lies between inputs, on any classifier, beside what the paper claims of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.analysis_options import HOW, ON_INTERRUPT, SeedOption, StudiesOption, tell
from detector.cli.classifier_options import (
    FROM,
    ChannelOrderOption,
    GradientsOption,
    LabelsOption,
    LayoutOption,
    LimitOption,
    MeanOption,
    OptionalClassifierOption,
    OptionalImagesOption,
    RangeOption,
    SizeOption,
    StateOption,
    StdOption,
    ThreadsOption,
    panelled,
    spec_options,
)
from detector.cli.errors import clear_errors
from detector.cli.given import given_inputs
from detector.cli.progress import Bars
from detector.cli.ray_options import RayAddressOption, RayOption, RayWorkersOption, check_ray, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.calibration.inputs import CalibrationInputs


_DIGITS = "digits"


class Device(StrEnum):
    """What gradients are computed on."""

    CPU = "cpu"
    CUDA = "cuda"


def connectivity(  # noqa: PLR0917 - a command line is its options
    out: Annotated[
        Path, panelled("The folder for report.html, connectivity.json, claims.md, charts and arrays.", FROM)
    ],
    classifier: OptionalClassifierOption = None,
    images: OptionalImagesOption = None,
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
    studies: StudiesOption = None,
    pairs: Annotated[int | None, panelled("Pairs of each kind, at most; 300, or 60 with --quick.", HOW, min=2)] = None,
    points: Annotated[int, panelled("Grid points on a path, both ends included.", HOW, min=3)] = 51,
    epsilon: Annotated[float, panelled("A path connects where no loss on it reaches this, nats.", HOW)] = 0.1,
    rounds: Annotated[int | None, panelled("Rounds of bypasses, at most; 2, or 1 with --quick.", HOW, min=0)] = None,
    steps: Annotated[int | None, panelled("Steps of a bypass, at most; 256, or 64 with --quick.", HOW, min=1)] = None,
    quick: Annotated[
        bool, panelled("Few pairs and few steps: minutes, to see that all is well.", HOW, "--quick")
    ] = False,
    barriers: Annotated[
        list[str] | None,
        panelled(
            "Published barrier statistics, repeatable: within-class=FILE.csv and others, such as adversarial=FILE.csv, "
            "that are compared with it. They need no classifier.",
            HOW,
            metavar="KIND=FILE",
        ),
    ] = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    device: Annotated[
        Device | None,
        typer.Option(help="What gradients are computed on; if not given, where the classifier's own parameters lie."),
    ] = None,
    ray: RayOption = False,
    ray_address: RayAddressOption = None,
    ray_workers: RayWorkersOption = None,
) -> None:
    """Analyse input-space mode connectivity: barriers between inputs, and paths around them.

    Measures how the loss of a class behaves between two real images, a real and an adversarial one, and synthetic ones;
    moves paths around their barriers; and sets what comes out beside what the paper claims (arXiv 2409.05800), with
    intervals. Without --classifier and --images it takes a classifier of scikit-learn's digits, which it trains in
    seconds. Without gradients the parts that need none are still done, and the report says what is missing. Ctrl-C is
    safe: run the same command again and it goes on from its finished work.

    Example: isthmus analyze connectivity --out connectivity --quick

    Example: isthmus analyze connectivity --classifier model.onnx --images held-out.zip --out connectivity
    """
    with clear_errors(on_interrupt=ON_INTERRUPT):
        spec = spec_options(
            layout=layout, channel_order=channel_order, size=size, value_range=value_range, mean=mean, std=std
        )
        if (classifier is None) != (images is None):
            raise typer.BadParameter("--classifier and --images go together: give both, or neither for digits")
        files = _files(barriers or [])
        if device is not None and (ray or ray_address is not None):
            raise typer.BadParameter("--device chooses for this process; Ray's workers take the device they have")
        check_ray(ray=ray, address=ray_address, workers=ray_workers)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.research.analysis import analyse
        from detector.research.connectivity.analysis import KIND, needs_images, studies_of
        from detector.research.connectivity.options import ConnectivityOptions
        from detector.research.facts import classifier_facts

        base = ConnectivityOptions.small() if quick else ConnectivityOptions()
        options = base.given(
            pairs=pairs, points=points, epsilon=epsilon, rounds=rounds, steps=steps, seed=seed, barriers=files
        )
        names = studies or studies_of(given=classifier is not None or not files, published=bool(files))
        with Bars() as bars:
            if threads is not None:
                torch.set_num_threads(threads)
            inputs: CalibrationInputs | None = None
            if classifier is not None and images is not None:
                inputs = given_inputs(
                    classifier,
                    images,
                    spec,
                    gradients=gradients,
                    state=state,
                    labels=labels,
                    limit=limit,
                    seed=seed,
                    threads=threads,
                    progress=bars,
                )
            elif needs_images(names):
                from detector.cli.digits import trained_digits

                _, inputs = trained_digits(out / _DIGITS, taps=False, progress=bars)
            if inputs is not None and device is not None:
                inputs = _on(inputs, device, bars)
            with spread(
                inputs, ray=ray, address=ray_address, workers=ray_workers, threads=threads, progress=bars
            ) as runner:
                facts = {"classifier": None} if inputs is None else classifier_facts(inputs)
                found = analyse(KIND, options, out, bars, facts=facts, studies=names, inputs=inputs, runner=runner)
        tell(out, found)


def _files(given: Sequence[str]) -> Mapping[str, Path]:
    files: dict[str, Path] = {}
    for text in given:
        kind, equals, file = text.partition("=")
        if not equals or not kind or not file:
            raise typer.BadParameter(f"--barriers {text}: KIND=FILE is expected, such as within-class=within.csv")
        if kind in files:
            raise typer.BadParameter(f"--barriers {text}: {kind} is given twice")
        files[kind] = Path(file)
    return files


def _on(inputs: CalibrationInputs, device: Device, bars: Bars) -> CalibrationInputs:
    """The same with its gradients computed elsewhere; as they are where there are none."""
    from dataclasses import replace

    if inputs.gradients is None:
        return inputs
    moved = inputs.gradients.on(device.value)
    bars.note(f"gradients: {moved.description}")
    return replace(inputs, gradients=moved)
