"""`isthmus export`: the guard as a model that Triton, KServe or bare ONNX Runtime serves. Never loads torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.classifiers.base import Layout, PixelType
from detector.cli.errors import clear_errors


def export(  # noqa: PLR0917 - a command line is its options
    bundle: Annotated[Path, typer.Argument(help="The bundle folder.")],
    out: Annotated[Path, typer.Option(help="The model repository to make: a folder.")],
    name: Annotated[str, typer.Option(help="Of the model.")] = "isthmus",
    dtype: Annotated[
        PixelType, typer.Option(help="Of its images: uint8 (0..255) or float32 (0..1).")
    ] = PixelType.UINT8,
    layout: Annotated[Layout, typer.Option(help="Order of its images' axes.")] = Layout.NHWC,
    profile: Annotated[
        bool, typer.Option("--profile/--no-profile", help="Whether it puts out path profiles too.")
    ] = False,
    max_batch: Annotated[int, typer.Option(help="Most images the server puts together.", min=1)] = 64,
    storage: Annotated[
        str, typer.Option(help="Where KServe will find the model repository, a URI.", metavar="URI")
    ] = "pvc://models",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
) -> None:
    """Write the whole guard as one ONNX model, which runs without Isthmus: pixels in, prediction and evidence out.

    The folder is a Triton model repository (the model, its config.pbtxt, the labels) with a KServe manifest beside it.
    The model is a plain ONNX file, too: images in; logits, score, p_value, verdict (0 benign, 1 suspect, 2
    adversarial), barrier_height, barrier_gap and stratum out. The bundle is verified first, and what is written gives
    the answers that `isthmus serve` gives.

    Example: isthmus export bundle --out models && tritonserver --model-repository models
    """
    with clear_errors():
        from detector.cli.facts import Facts
        from detector.cli.remote import load_detector
        from detector.engine.export import ExportOptions
        from detector.engine.export import export as write_export
        from detector.engine.fusing.pixels import PixelForm

        loaded = load_detector(bundle).bundle
        options = ExportOptions(
            name=name, form=PixelForm(dtype, layout), profile=profile, max_batch=max_batch, storage=storage
        )
        write_export(loaded, out, options, overwrite=overwrite)
        facts = Facts()
        facts.add("model", str(out / name / "1" / "model.onnx"))
        facts.add("bundle", loaded.digest)
        facts.add("cost", f"{loaded.manifest.plan.forwards_per_image} forwards per image")
        facts.add("Triton", f"tritonserver --model-repository {out}")
        facts.add("KServe", f"copy {out / name} to {storage}, then: kubectl apply -f {out / 'kserve.yaml'}")
        facts.print()
