"""`isthmus analyze representation`: networks as paths through the space of representations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.analysis_options import HOW, ON_INTERRUPT, SeedOption, StudiesOption, tell
from detector.cli.classifier_options import (
    ChannelOrderOption,
    GradientsOption,
    LabelsOption,
    LayoutOption,
    MeanOption,
    OptionalClassifierOption,
    RangeOption,
    StateOption,
    StdOption,
    ThreadsOption,
    panelled,
    spec_options,
)
from detector.cli.errors import clear_errors
from detector.cli.given import given_inputs
from detector.cli.labelled import (
    IMAGES,
    GrayOption,
    LabelledImagesOption,
    LabelledLimitOption,
    LabelledSizeOption,
    read_labelled,
    source_name,
)
from detector.cli.progress import Bars
from detector.cli.ray_options import RayAddressOption, RayOption, RayWorkersOption, check_ray, spread
from detector.cli.values import whole_numbers
from detector.research.representation.kinds import Maps
from detector.research.representation.spaces.kinds import SpaceKind
from detector.training.kinds import OptimiserKind

if TYPE_CHECKING:
    from detector.calibration.inputs import CalibrationInputs
    from detector.training.data import LabelledImages

_NETWORKS = "The networks"


def representation(  # noqa: PLR0917 - a command line is its options
    out: Annotated[
        Path, panelled("The folder for report.html, representation.json, claims.md, charts and arrays.", IMAGES)
    ],
    images: LabelledImagesOption = None,
    size: LabelledSizeOption = None,
    gray: GrayOption = False,
    limit: LabelledLimitOption = 10_000,
    classifier: OptionalClassifierOption = None,
    gradients: GradientsOption = None,
    state: StateOption = None,
    labels: LabelsOption = None,
    layout: LayoutOption = None,
    channel_order: ChannelOrderOption = None,
    value_range: RangeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    architecture: Annotated[
        str,
        panelled(
            "A family: resmlp, resnet, mlp, cnn or flatcnn; with a normalisation behind it where it is not the usual "
            "one, such as resnet-layernorm.",
            _NETWORKS,
        ),
    ] = "resmlp",
    depths: Annotated[
        str | None,
        panelled(
            "Depths to compare, rising; 2,4,8 if not given, of resnet 8,14,20. The middle one is that of all other "
            "networks.",
            _NETWORKS,
            metavar="D,D,...",
        ),
    ] = None,
    widths: Annotated[
        str | None,
        panelled(
            "Widths to compare, rising; 16,64,256 if not given, of resnet 4,8,16. The middle one is that of all other "
            "networks.",
            _NETWORKS,
            metavar="W,W,...",
        ),
    ] = None,
    seeds: Annotated[int, panelled("Networks of each shape.", _NETWORKS, min=2)] = 3,
    epochs: Annotated[int, panelled("Times every image is seen.", _NETWORKS, min=1)] = 4,
    optimiser: Annotated[OptimiserKind, panelled("Whose steps are taken.", _NETWORKS)] = OptimiserKind.ADAM,
    learning_rate: Annotated[
        float, panelled("The largest, which is reached early and then left; SGD wants about 0.1.", _NETWORKS)
    ] = 0.001,
    augment: Annotated[
        bool, panelled("Shift images, and mirror half of them, as photographs bear it.", _NETWORKS, "--augment")
    ] = False,
    studies: StudiesOption = None,
    space: Annotated[SpaceKind, panelled("The space that representations are points of.", HOW)] = SpaceKind.ANGULAR_CKA,
    maps: Annotated[
        Maps, panelled("Whether each position of a map is a unit of its own, or their mean is one.", HOW)
    ] = Maps.FLAT,
    inputs: Annotated[int, panelled("Held-out images that paths are measured on, at most.", HOW, min=10)] = 1000,
    levels: Annotated[
        float | None,
        panelled("Most by which attacks change a pixel, in 255ths; 32 for grey images and 8 for others.", HOW),
    ] = None,
    quick: Annotated[
        bool, panelled("Two epochs, two networks, few inputs: to see that all is well.", HOW, "--quick")
    ] = False,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    ray: RayOption = False,
    ray_address: RayAddressOption = None,
    ray_workers: RayWorkersOption = None,
) -> None:
    """Analyse networks as paths through the space of representations: how long, how straight, how fast to the target.

    What the same images are at each layer is a point of a metric space. Trains networks of its own, measures their
    paths over training, by depth and width and across seeds, and where attacked images part from clean ones; the
    claims of arXiv 2206.10999 stand beside what came out. With --classifier it measures that classifier's path instead,
    and --images are held-out images of it. Ctrl-C is safe: run the same command again and it goes on from its finished
    work.

    Example: isthmus analyze representation --images mnist/t10k-images-idx3-ubyte.gz --out representation

    Example: isthmus analyze representation --classifier model.onnx --images held-out.zip --out representation
    """
    with clear_errors(on_interrupt=ON_INTERRUPT):
        spec = spec_options(
            layout=layout, channel_order=channel_order, size=size, value_range=value_range, mean=mean, std=std
        )
        shape = {"depths": whole_numbers("--depths", depths), "widths": whole_numbers("--widths", widths)}
        if classifier is not None and images is None:
            raise typer.BadParameter("--classifier needs --images that it was not trained on")
        check_ray(ray=ray, address=ray_address, workers=ray_workers)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.research.analysis import analyse
        from detector.research.facts import classifier_facts, image_facts
        from detector.research.representation.analysis import KIND, studies_of
        from detector.research.representation.options import RepresentationOptions
        from detector.research.representation.study_options import training

        networks = training(epochs, learning_rate, optimiser=optimiser, augment=augment)
        with Bars() as bars:
            if threads is not None:
                torch.set_num_threads(threads)
            given: CalibrationInputs | None = None
            read: LabelledImages | None = None
            if classifier is not None and images is not None:
                given = given_inputs(
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
                facts = classifier_facts(given)
            else:
                read = read_labelled(images, size=size, gray=gray, limit=limit, seed=seed, progress=bars)
                facts = image_facts(read, source_name(images))
            options = RepresentationOptions(
                images=read,
                networks=networks,
                architecture=architecture,
                depths=shape["depths"] or (),
                widths=shape["widths"] or (),
                seeds=seeds,
                inputs=inputs,
                space=space,
                maps=maps,
                levels=levels,
                quick=quick,
                seed=seed,
            )
            with spread(
                given, ray=ray, address=ray_address, workers=ray_workers, threads=threads, progress=bars
            ) as runner:
                found = analyse(
                    KIND,
                    options,
                    out,
                    bars,
                    facts=facts,
                    studies=studies or studies_of(given=given is not None),
                    inputs=given,
                    runner=runner,
                )
        tell(out, found)
