"""`isthmus analyze permutation`: which networks are linearly connected once their units are permuted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from detector.cli.analysis_options import HOW, ON_INTERRUPT, SeedOption, StudiesOption, tell
from detector.cli.classifier_options import ThreadsOption, panelled
from detector.cli.errors import clear_errors
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

_NETWORKS = "The networks"


def permutation(  # noqa: PLR0917 - a command line is its options
    out: Annotated[
        Path, panelled("The folder for report.html, permutation.json, claims.md, charts and arrays.", IMAGES)
    ],
    images: LabelledImagesOption = None,
    size: LabelledSizeOption = None,
    gray: GrayOption = False,
    limit: LabelledLimitOption = 10_000,
    architecture: Annotated[
        str,
        panelled(
            "mlp, cnn or resnet20; or any network's name with its widths in units, such as mlp-1-1-1 or "
            "resnet14-1-batchnorm.",
            _NETWORKS,
        ),
    ] = "mlp",
    widths: Annotated[
        str | None,
        panelled("Widths to compare, rising; 8,16,32,64,128,256 if not given.", _NETWORKS, metavar="W,W,..."),
    ] = None,
    width: Annotated[int, panelled("Width of networks where only one is studied.", _NETWORKS, min=2)] = 128,
    epochs: Annotated[int, panelled("Times every image is seen.", _NETWORKS, min=1)] = 12,
    learning_rate: Annotated[
        float, panelled("SGD's largest, which it reaches early and then leaves.", _NETWORKS)
    ] = 0.1,
    augment: Annotated[
        bool, panelled("Shift images, and mirror half of them, as photographs bear it.", _NETWORKS, "--augment")
    ] = False,
    studies: StudiesOption = None,
    triples: Annotated[int, panelled("Of networks at each width, for intervals.", HOW, min=2)] = 4,
    points: Annotated[int, panelled("Grid points between two networks, both ends included.", HOW, min=3)] = 11,
    measured: Annotated[
        int, panelled("Images of training, and as many others, that mixtures are measured on, at most.", HOW, min=1)
    ] = 10_000,
    quick: Annotated[
        bool, panelled("Two widths, few epochs, few networks: to see that all is well.", HOW, "--quick")
    ] = False,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    ray: RayOption = False,
    ray_address: RayAddressOption = None,
    ray_workers: RayWorkersOption = None,
) -> None:
    """Analyse linear connectivity modulo permutation: which networks can be mixed once their units are matched.

    Trains networks of its own from several seeds on labelled images, permutes their units to match one another, and
    measures what mixtures of their weights lose, against width and over training; the claims of arXiv 2404.06498 stand
    beside what came out. It says when retrained classifiers may be aligned and merged. Ctrl-C is safe: run the same
    command again and it goes on from its finished work.

    Example: isthmus analyze permutation --images mnist/t10k-images-idx3-ubyte.gz --out permutation

    Example: isthmus analyze permutation --images train.zip --size 32x32 --architecture resnet20 --widths 4,8,16
    --width 8 --epochs 20 --augment --out permutation
    """
    with clear_errors(on_interrupt=ON_INTERRUPT):
        given = whole_numbers("--widths", widths)
        check_ray(ray=ray, address=ray_address, workers=ray_workers)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.research.analysis import analyse
        from detector.research.facts import image_facts
        from detector.research.permutation.analysis import KIND
        from detector.research.permutation.networks import NetworkOptions
        from detector.research.permutation.options import PermutationOptions

        networks = NetworkOptions(
            architecture=architecture, epochs=epochs, learning_rate=learning_rate, augment=augment
        )
        with Bars() as bars:
            if threads is not None:
                torch.set_num_threads(threads)
            read = read_labelled(images, size=size, gray=gray, limit=limit, seed=seed, progress=bars)
            options = PermutationOptions(
                images=read,
                networks=networks,
                width=width,
                triples=triples,
                points=points,
                measured=measured,
                quick=quick,
                seed=seed,
            ).given(widths=given or None)
            with spread(
                None, ray=ray, address=ray_address, workers=ray_workers, threads=threads, progress=bars
            ) as runner:
                facts = image_facts(read, source_name(images))
                found = analyse(KIND, options, out, bars, facts=facts, studies=studies or (), runner=runner)
        tell(out, found)
