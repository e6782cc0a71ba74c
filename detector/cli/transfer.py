"""`isthmus transfer`: may a retrained classifier keep the calibration of the one before it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.classifier_options import (
    FROM,
    ChannelOrderOption,
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

if TYPE_CHECKING:
    from detector.detector import Detector
    from detector.transfer.pipeline import TransferResult

NOTHING_CARRIED_OVER = 3
"""Exit code: the detector has to be calibrated anew, and no bundle was written."""
_BARS = "Where the bars are (docs/transfer.md says why)"
_HOW = "What is measured"


def transfer(  # noqa: PLR0917 - a command line is its options
    bundle: Annotated[Path, panelled("The bundle of the classifier before.", FROM, "--from")],
    classifier: Annotated[
        str,
        panelled(
            "The retrained classifier: an .onnx file, a torch.export .pt2 program, a factory module:function, or a "
            "model that another server runs, grpc://host:port/model.",
            FROM,
            "--to",
        ),
    ],
    images: ImagesOption,
    out: Annotated[Path, panelled("The bundle folder to make.", FROM)],
    report: Annotated[
        Path | None,
        panelled("The folder for report.html and transfer.json; if not given, that of --out with -transfer.", FROM),
    ] = None,
    gradients: Annotated[
        str | None,
        panelled("Gradients of the retrained classifier, if not from itself: a .pt2, .onnx or factory.", FROM),
    ] = None,
    from_gradients: Annotated[
        str | None,
        panelled(
            "Gradients of the classifier before: its .pt2 program. Without, its graph in the bundle is converted.", FROM
        ),
    ] = None,
    state: StateOption = None,
    labels: LabelsOption = None,
    limit: LimitOption = 5000,
    layout: LayoutOption = None,
    channel_order: ChannelOrderOption = None,
    size: SizeOption = None,
    value_range: RangeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    kept: Annotated[float, panelled("Of the prototypes, at least so many must be kept.", _BARS)] = 0.95,
    prototype_loss: Annotated[
        float, panelled("A prototype is kept with a loss of at most this, nats, or of what it had.", _BARS)
    ] = 0.1,
    significance: Annotated[
        float, panelled("Chance that all tests together find a shift where there is none.", _BARS)
    ] = 0.01,
    rate_factor: Annotated[
        float,
        panelled("No class may be flagged more often than so many times the target, and the sample must tell.", _BARS),
    ] = 2.0,
    error_barrier: Annotated[float, panelled("Below it aligned networks count as connected.", _BARS)] = 0.02,
    detection_drop: Annotated[float, panelled("The AUROC may fall by so much.", _BARS)] = 0.03,
    calibration_share: Annotated[
        float, panelled("Of the images, that set new thresholds; the others check them.", _HOW)
    ] = 0.5,
    attack_images: Annotated[int, panelled("Images attacked, at most.", _HOW)] = 100,
    barrier_images: Annotated[int, panelled("Images the function barrier is measured on, at most.", _HOW)] = 1000,
    barrier_points: Annotated[int, panelled("Mixtures of the two networks, both ends included.", _HOW)] = 11,
    restarts: Annotated[int, panelled("Of the matching of weights; the best is kept.", _HOW)] = 1,
    align: Annotated[
        bool,
        panelled(
            "Put the new network's units in the old one's order where the scorer reads hidden layers; its function "
            "stays.",
            _HOW,
        ),
    ] = True,
    recalibrate: Annotated[
        bool,
        typer.Option("--recalibrate", help="Where nothing can be carried over, calibrate anew at once, with --images."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    threads: ThreadsOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Carry a calibration over to a retrained classifier, as far as the evidence allows.

    Decides from measured evidence whether prototypes, scorer and thresholds may be kept, whether thresholds must be set
    anew, or whether the detector must be calibrated anew; writes the bundle that follows, and says why, and what would
    have changed the decision. Exit code 3: it must be calibrated anew, and was not (--recalibrate does it).

    Example: isthmus transfer --from bundle --to retrained.onnx --images held-out.zip --out bundle-2
    """
    with clear_errors(on_interrupt="interrupted; run the same command again to go on"):
        spec = spec_options(
            layout=layout, channel_order=channel_order, size=size, value_range=value_range, mean=mean, std=std
        )
        from detector.transfer.options import TransferOptions

        options = TransferOptions(
            kept_share=kept,
            prototype_loss=prototype_loss,
            significance=significance,
            rate_factor=rate_factor,
            error_barrier=error_barrier,
            detection_drop=detection_drop,
            calibration_share=calibration_share,
            attack_images=attack_images,
            barrier_images=barrier_images,
            barrier_points=barrier_points,
            restarts=restarts,
            align=align,
            seed=seed,
        )
        # Only now, so that wrong options are told at once.
        import torch

        from detector.bundle.writing import check_free
        from detector.cli.remote import open_classifier
        from detector.transfer.inputs import load_transfer_inputs, spec_as_before
        from detector.transfer.pipeline import transfer as run_transfer
        from detector.transfer.recalibration import Sources

        given = {
            "--layout": layout,
            "--channel-order": channel_order,
            "--size": size,
            "--value-range": value_range,
            "--mean": mean,
            "--std": std,
        }
        sources = Sources(
            classifier=classifier,
            images=images,
            out=out,
            gradients=gradients,
            state=state,
            labels=labels,
            limit=limit,
            others=tuple(word for name, value in given.items() if value is not None for word in (name, str(value))),
        )
        check_free(out, overwrite=overwrite)
        old = _loaded(bundle, threads=threads)
        spec = spec_as_before(spec, old.bundle)
        with Bars() as bars:
            if threads is not None:
                torch.set_num_threads(threads)
            inputs = load_transfer_inputs(
                old,
                open_classifier(classifier, spec=spec, labels=labels),
                images,
                spec=spec,
                gradients=gradients,
                old_gradients=from_gradients,
                state=state,
                labels=labels,
                limit=limit,
                seed=seed,
                threads=threads,
                progress=bars,
            )
            result = run_transfer(
                inputs,
                options,
                sources,
                progress=bars,
                report=report,
                recalibrate=recalibrate,
                overwrite=overwrite,
                threads=threads,
            )
        _tell(result)
    if result.bundle is None:
        raise typer.Exit(NOTHING_CARRIED_OVER)


def _loaded(bundle: Path, *, threads: int | None) -> Detector:
    """The bundle with its own classifier, which has to be there still, wherever it runs."""
    from detector.bundle import read_bundle
    from detector.cli.remote import load_detector
    from detector.errors import ClassifierMismatchError

    try:
        return load_detector(bundle, threads=threads)
    except ClassifierMismatchError as error:
        if read_bundle(bundle).manifest.remote is None:
            raise
        raise ClassifierMismatchError(
            f"--from: {error}. A transfer compares the two classifiers: where the old one was replaced, let it run at "
            "another address, too, and say which in ISTHMUS_UPSTREAM_TARGET",
            deviation=error.deviation,
        ) from error


def _tell(result: TransferResult) -> None:
    from detector.bundle.contents import REPORT
    from detector.transfer.pipeline import FIGURES

    typer.echo(f"decision    {result.decision.choice.value}")
    typer.echo(f"because     {result.decision.because}")
    for choice, reasons in result.decision.against.items():
        for reason in reasons:
            typer.echo(f"against     {choice.value}: {reason}")
    for finding in result.evidence:
        typer.echo(f"evidence    {finding.name}: {finding.sentence}")
    if result.bundle is None:
        typer.echo(f"calibrate   {result.command}")
    else:
        typer.echo(f"bundle      {result.bundle}  (digest {str(result.digest)[:16]})")
    typer.echo(f"report      {result.report / REPORT}")
    typer.echo(f"figures     {result.report / FIGURES}")
