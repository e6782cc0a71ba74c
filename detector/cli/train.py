"""`isthmus train`: a classifier from labelled images, or one trained further, as files the other commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.classifier_options import FROM, StateOption, panelled
from detector.cli.errors import clear_errors
from detector.cli.facts import Facts
from detector.cli.labelled import GrayOption, LabelledSizeOption, shape_of
from detector.cli.progress import Bars
from detector.cli.values import sides
from detector.training.kinds import OptimiserKind

if TYPE_CHECKING:
    from detector.training.making import Made

_HOW = "How it is trained"
_NEW, _FURTHER = 0.1, 0.01  # learning rates


def train(  # noqa: PLR0917 - a command line is its options
    images: Annotated[str, panelled("Labelled images to train on; sources as for calibrate.", FROM)],
    out: Annotated[Path, panelled("The folder for classifier.onnx, classifier.pt2 and training.json.", FROM)],
    start: Annotated[
        str | None,
        panelled("A .pt2 program, or a factory module:function, to train further.", FROM, "--from"),
    ] = None,
    architecture: Annotated[
        str | None,
        panelled("A network by name, from a random start: mlp-256-256, cnn-16-32, resnet20-16, resmlp4-64.", FROM),
    ] = None,
    state: StateOption = None,
    test: Annotated[str | None, panelled("Other labelled images, to measure accuracy on.", FROM)] = None,
    size: LabelledSizeOption = None,
    gray: GrayOption = False,
    limit: Annotated[
        int | None, panelled("Most images trained on: a class-balanced, seeded choice; all if not given.", FROM, min=1)
    ] = None,
    epochs: Annotated[int, panelled("Times every image is seen.", _HOW, min=1)] = 10,
    batch: Annotated[int, panelled("Images of a step.", _HOW, min=1)] = 128,
    optimiser: Annotated[OptimiserKind, panelled("Whose steps are taken.", _HOW)] = OptimiserKind.SGD,
    learning_rate: Annotated[
        float | None, panelled("The largest; 0.1 from a random start, 0.01 with --from.", _HOW)
    ] = None,
    weight_decay: Annotated[float, panelled("As PyTorch has it.", _HOW)] = 5e-4,
    shift: Annotated[int, panelled("Most pixels an image is moved along either axis, at random.", _HOW, min=0)] = 0,
    flips: Annotated[
        bool, panelled("Mirror half of the images, which writing does not bear.", _HOW, "--flips")
    ] = False,
    adversarial: Annotated[
        float | None,
        panelled(
            "Adversarial training: every batch is first moved against the classifier, each pixel by up to so many "
            "255ths (8 is usual), a limit that rises over the first half of the training. Costs accuracy, and as many "
            "times the training time as there are attack steps.",
            _HOW,
            min=0,
            max=255,
        ),
    ] = None,
    attack_steps: Annotated[
        int | None, panelled("Gradient steps of each such attack; 1 if not given.", _HOW, min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random start, the order of images and the choice of them.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of torch.")] = None,
) -> None:
    """Train a classifier, or train one further, and write it as the other commands take it.

    For trying things out on retrained classifiers: how a guard is carried across (isthmus transfer), what networks of
    several seeds have in common (isthmus merge, isthmus analyze permutation). A new network trains with one cycle of
    the learning rate; --from starts at the weights that are there, and the rate falls along a cosine. The batch norms
    of a .pt2 keep their statistics. Ctrl-C is safe: run the same command again and it goes on.

    Example: isthmus train --images train.zip --test test.zip --architecture resnet20-16 --size 32x32 --out seed-0

    Example: isthmus train --images train.zip --from classifier.pt2 --epochs 1 --out fine-tuned
    """
    with clear_errors(on_interrupt="interrupted; run the same command again to go on"):
        if (start is None) == (architecture is None):
            raise typer.BadParameter(
                "give --from, to train a classifier further, or --architecture, to train a new one"
            )
        if start is not None and (size is not None or gray):
            raise typer.BadParameter("--size and --gray are for a new network; one that is trained further has its own")
        if attack_steps is not None and adversarial is None:
            raise typer.BadParameter("--attack-steps belongs to --adversarial")
        sides("--size", size)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.data.opening import open_images
        from detector.training.making import Wanted, make
        from detector.training.plan import Augmentation, Optimiser

        if threads is not None:
            torch.set_num_threads(threads)
        usual = _NEW if start is None else _FURTHER
        shape = None if architecture is None else shape_of(open_images(images), images, size=size, gray=gray)
        wanted = Wanted(
            images=images,
            test=test,
            start=start,
            state=state,
            architecture=architecture,
            shape=shape,
            limit=limit,
            epochs=epochs,
            batch=batch,
            optimiser=Optimiser(
                kind=optimiser,
                learning_rate=usual if learning_rate is None else learning_rate,
                weight_decay=weight_decay,
            ),
            augmentation=Augmentation(shift=shift, flips=flips),
            adversarial=adversarial,
            attack_steps=attack_steps or 1,
            seed=seed,
        )
        with Bars() as bars:
            made = make(wanted, out, bars)
        _tell(out, made)


def _tell(out: Path, made: Made) -> None:
    from detector.training.classifiers import MODEL, PROGRAM

    facts = Facts()
    facts.add("classifier", made.description)
    facts.add("trained", f"{made.steps} steps on {made.images} images")
    if made.before is not None:
        facts.add("before", f"{made.before:.2%} of test images right")
    if made.after is not None:
        facts.add("accuracy", f"{made.after:.2%} of test images right")
    facts.add("to serve", str(out / MODEL))
    facts.add("gradients", str(out / PROGRAM))
    facts.print()
