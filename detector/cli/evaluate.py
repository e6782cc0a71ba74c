"""`isthmus evaluate`: how good is the guard, on images it never saw, against attacks and beside other detectors?"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.calibration.options import ScorerChoice
from detector.calibration.tuning.options import Knob
from detector.classifiers.address import is_address
from detector.cli.classifier_options import (
    FROM,
    ChannelOrderOption,
    ClassifierOption,
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
from detector.cli.tuning_options import TuneBudgetOption, TuneOption, tuning_options
from detector.errors import ClassifierError
from detector.strata import MAX_STRATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.attacks.adaptive.square import Query
    from detector.evaluation.results import EvaluationResults

RESULTS = "results.json"
REPORT = "report.html"
_GUARD = "The guard (as in `isthmus calibrate`)"
_HOW = "The evaluation"


def evaluate(  # noqa: PLR0917 - a command line is its options
    context: typer.Context,
    classifier: ClassifierOption,
    images: ImagesOption,
    out: Annotated[Path, panelled("The folder for report.html, results.json and the bundle.", FROM)],
    gradients: GradientsOption = None,
    state: StateOption = None,
    labels: LabelsOption = None,
    limit: LimitOption = 5000,
    other_images: Annotated[
        Path | None,
        panelled("Images of another kind, as a control: a gzipped idx file such as MNIST's test images.", FROM),
    ] = None,
    layout: LayoutOption = None,
    channel_order: ChannelOrderOption = None,
    size: SizeOption = None,
    value_range: RangeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scorer: Annotated[ScorerChoice, panelled("As for calibrate.", _GUARD)] = ScorerChoice.AUTO,
    strata: Annotated[int | None, panelled("As for calibrate.", _GUARD, min=1, max=MAX_STRATA)] = None,
    points: Annotated[int, panelled("As for calibrate.", _GUARD)] = 4,
    views: Annotated[bool, panelled("As for calibrate.", _GUARD)] = True,
    taps: Annotated[bool, panelled("As for calibrate.", _GUARD)] = True,
    residuals: Annotated[bool, panelled("As for calibrate.", _GUARD)] = False,
    hidden_paths: Annotated[bool, panelled("As for calibrate.", _GUARD)] = False,
    tune: TuneOption = False,
    tune_budget: TuneBudgetOption = None,
    quick: Annotated[
        bool,
        panelled(
            "A few cheap attacks, no peers, one adaptive budget: minutes, to see that all is well.", _HOW, "--quick"
        ),
    ] = False,
    test_fraction: Annotated[float, panelled("Share of the images that only tests.", _HOW)] = 0.4,
    attack_images: Annotated[
        int | None, panelled("Test images attacked by each attack, at most; 150, or 60 with --quick.", _HOW)
    ] = None,
    leave_out: Annotated[
        bool | None,
        panelled("Also judge each attack by a scorer that saw nothing of its kin; on, unless --quick.", _HOW),
    ] = None,
    peers: Annotated[bool | None, panelled("Also run other people's detectors; on, unless --quick.", _HOW)] = None,
    adaptive_images: Annotated[
        int | None, panelled("Images attacked by those who know the guard; 32, or 8 with --quick; 0 for none.", _HOW)
    ] = None,
    harden: Annotated[int, panelled("Also attack a guard hardened with so many images, such as 150.", _HOW)] = 0,
    harden_steps: Annotated[int, panelled("As for calibrate.", _HOW, min=1)] = 60,
    harden_rounds: Annotated[int, panelled("As for calibrate.", _HOW, min=1)] = 1,
    service: Annotated[
        bool, panelled("The attack that only asks asks a real server; otherwise the guard in this process.", _HOW)
    ] = True,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    threads: ThreadsOption = None,
    ray: RayOption = False,
    ray_address: RayAddressOption = None,
    ray_workers: RayWorkersOption = None,
) -> None:
    """Measure a guard: calibrate it on some of the images, attack the others, and write a report.

    The report has detection per attack, with its kin in training and left out; images nobody attacked; other people's
    detectors beside it; attackers who know the guard; what each part of the evidence adds and costs; and what the guard
    does not do. Ctrl-C is safe: run the same command again and it goes on from its finished stages.

    Example: isthmus evaluate --classifier model.onnx --images held-out.zip --out evaluation
    """
    with clear_errors(on_interrupt="interrupted; run the same command again to go on"):
        spec = spec_options(
            layout=layout, channel_order=channel_order, size=size, value_range=value_range, mean=mean, std=std
        )
        if is_address(classifier):
            raise ClassifierError(
                f"{classifier}: a classifier is taken apart to be evaluated; give the file that runs there"
            )
        check_ray(ray=ray, address=ray_address, workers=ray_workers)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.calibration.inputs import load_inputs
        from detector.evaluation.benchmark import evaluate as run_evaluation
        from detector.evaluation.options import EvaluationOptions

        base = EvaluationOptions.quick() if quick else EvaluationOptions()
        given: dict[str, Any] = {
            "attack_images": attack_images,
            "leave_out": leave_out,
            "peers": peers,
            "adaptive_images": adaptive_images,
        }
        options = replace(
            base,
            calibration=replace(
                base.calibration,
                prototypes=replace(base.calibration.prototypes, seed=seed),
                scorer=scorer,
                strata=strata,
                points=points,
                views=views,
                residuals=residuals,
                hidden_paths=hidden_paths,
                hardening_steps=harden_steps,
                hardening_rounds=harden_rounds,
                seed=seed,
                tuning=tuning_options(context, tune=tune, budget=tune_budget, knobs={"points": Knob.POINTS}),
            ),
            test_fraction=test_fraction,
            hardening_images=harden,
            other_images=other_images,
            seed=seed,
            **{name: value for name, value in given.items() if value is not None},
        )
        with Bars() as bars:
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
            serving = _serving if service else None
            with spread(
                inputs, ray=ray, address=ray_address, workers=ray_workers, threads=threads, progress=bars
            ) as runner:
                results = run_evaluation(inputs, options, out, bars, serving=serving, runner=runner)
        _write(out, results)
        _tell(out, results)


@contextmanager
def _serving(bundle: Path) -> Iterator[Query]:
    """The bundle behind a real server, asked by a real client."""
    import numpy as np

    from detector.attacks.adaptive.square import QueryAnswer
    from detector.cli.demo_server import ServerProcess
    from detector.cli.stopping import terminated_like_interrupted
    from service.client import Client

    log = bundle.with_name(f"{bundle.name}-server.log")
    with (
        terminated_like_interrupted(),
        ServerProcess(bundle, log, port=0, metrics_port=0) as server,
        Client(server.address) as client,
    ):

        def ask(pixels: np.ndarray) -> QueryAnswer:
            answers = client.score(pixels, include_logits=True)
            return QueryAnswer(
                logits=np.array([answer.logits for answer in answers], np.float32),
                scores=np.array([answer.score for answer in answers], np.float32),
                p_values=np.array([answer.p_value for answer in answers]),
            )

        yield ask


def _write(out: Path, results: EvaluationResults) -> None:
    from detector.evaluation.report import render_report
    from detector.folders import write_files

    write_files(out, {RESULTS: results.to_json().encode(), REPORT: render_report(results).encode()})


def _tell(out: Path, results: EvaluationResults) -> None:
    from detector.evaluation.report import headlines

    for line in headlines(results):
        typer.echo(line)
    typer.echo(f"report      {out / REPORT}")
    typer.echo(f"figures     {out / RESULTS}")
