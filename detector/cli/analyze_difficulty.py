"""`isthmus analyze difficulty`: how hard images are, how sure one can be of it, and which of them to look at."""

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
    read_named,
    source_name,
)
from detector.cli.progress import Bars
from detector.cli.ray_options import RayAddressOption, RayOption, RayWorkersOption, check_ray, spread
from detector.research.difficulty.kinds import Scored

_NETWORKS = "The networks"


def difficulty(  # noqa: PLR0917 - a command line is its options
    out: Annotated[
        Path, panelled("The folder for report.html, difficulty.json, claims.md, charts, arrays and lists.", IMAGES)
    ],
    images: LabelledImagesOption = None,
    size: LabelledSizeOption = None,
    gray: GrayOption = False,
    limit: LabelledLimitOption = 4000,
    architecture: Annotated[
        list[str] | None,
        panelled(
            "A network's name, such as mlp-128, flatcnn-8-16 or resnet8-8, repeatable; small ones that suit the "
            "images if not given.",
            _NETWORKS,
        ),
    ] = None,
    runs: Annotated[int, panelled("Of each network, that differ in their seeds alone.", _NETWORKS, min=1)] = 12,
    epochs: Annotated[int, panelled("Times every image is seen.", _NETWORKS, min=1)] = 12,
    learning_rate: Annotated[
        float, panelled("SGD's largest, which it reaches early and then leaves.", _NETWORKS)
    ] = 0.05,
    augment: Annotated[
        bool, panelled("Shift images, and mirror half of them, as photographs bear it.", _NETWORKS, "--augment")
    ] = False,
    studies: StudiesOption = None,
    score: Annotated[
        Scored,
        panelled("What is scored: the training images themselves, or a fifth that no network is trained on.", HOW),
    ] = Scored.TRAINING,
    gradients: Annotated[
        int,
        panelled("Checkpoints at which gradients are taken; 0 leaves GraNd and VoG out.", HOW, min=0),
    ] = 4,
    probes: Annotated[
        int,
        panelled(
            "Training images among which neighbours are looked for; 0 leaves prediction depth and prototypes out.",
            HOW,
            min=0,
        ),
    ] = 1000,
    levels: Annotated[
        int,
        panelled(
            "How often each network is pruned, a fifth of its weights each time, and trained again: as many trainings "
            "more; 0 leaves scores of pruning out.",
            HOW,
            min=0,
        ),
    ] = 0,
    quick: Annotated[
        bool, panelled("Two networks, few images, epochs and runs: to see that all is well.", HOW, "--quick")
    ] = False,
    seed: SeedOption = 0,
    threads: ThreadsOption = None,
    ray: RayOption = False,
    ray_address: RayAddressOption = None,
    ray_workers: RayWorkersOption = None,
) -> None:
    """Analyse how hard images are: for which networks, how reliably, and which of them to look at.

    Trains networks of its own from several seeds on labelled images and scores every image in every run: by its loss
    and confidence over training, forgetting, gradients and hidden layers. It says how many runs a score needs, which
    scores say the same, which images tell networks apart, and which images are hard, never learnt or likely
    mislabelled; the claims of arXiv 2401.01867 stand beside what came out. Ctrl-C is safe: run the same command again
    and it goes on from its finished work.

    Example: isthmus analyze difficulty --images mnist/t10k-images-idx3-ubyte.gz --out difficulty

    Example: isthmus analyze difficulty --images train.zip --size 32x32 --studies cleaning --out cleaning
    """
    with clear_errors(on_interrupt=ON_INTERRUPT):
        check_ray(ray=ray, address=ray_address, workers=ray_workers)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.research.analysis import analyse
        from detector.research.difficulty.analysis import KIND
        from detector.research.difficulty.options import BATCH, DifficultyOptions
        from detector.research.facts import image_facts
        from detector.training.data import LabelledImages
        from detector.training.options import PlanOptions

        training = PlanOptions(epochs=epochs, learning_rate=learning_rate, batch=BATCH, augment=augment)
        with Bars() as bars:
            if threads is not None:
                torch.set_num_threads(threads)
            read = read_named(images, size=size, gray=gray, limit=limit, seed=seed, progress=bars)
            labelled = LabelledImages.of(read)
            options = DifficultyOptions(
                images=labelled,
                names=read.names,
                class_names=read.class_names or (),
                architectures=tuple(architecture or ()),
                training=training,
                runs=runs,
                scored=score,
                gradients=gradients,
                probes=probes,
                levels=levels,
                quick=quick,
                seed=seed,
            )
            with spread(
                None, ray=ray, address=ray_address, workers=ray_workers, threads=threads, progress=bars
            ) as runner:
                facts = image_facts(labelled, source_name(images))
                found = analyse(KIND, options, out, bars, facts=facts, studies=studies or (), runner=runner)
        tell(out, found)
