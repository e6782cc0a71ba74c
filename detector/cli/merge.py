"""`isthmus merge`: several checkpoints of one network as one classifier, merged or as an ensemble."""

from __future__ import annotations

from itertools import combinations
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
    StdOption,
    ThreadsOption,
    panelled,
    spec_options,
)
from detector.cli.errors import clear_errors
from detector.cli.facts import Facts
from detector.cli.progress import Bars
from detector.cli.values import numbers
from detector.research.permutation.kinds import By

if TYPE_CHECKING:
    from detector.research.permutation.guards import Guards
    from detector.research.permutation.merging_barriers import MergingBarriers
    from detector.research.permutation.uniting import United

_HOW = "How they are merged"
_WHAT = "What is written and measured"


def merge(  # noqa: PLR0917 - a command line is its options
    networks: Annotated[
        list[str],
        panelled(
            "A network to merge, twice or more: .pt2 programs of one architecture (or what else --gradients takes).",
            FROM,
        ),
    ],
    images: ImagesOption,
    out: Annotated[Path, panelled("The folder for merged.pt2, merged.onnx, ensemble.* and merge.json.", FROM)],
    labels: LabelsOption = None,
    limit: LimitOption = 5000,
    layout: LayoutOption = None,
    channel_order: ChannelOrderOption = None,
    size: SizeOption = None,
    value_range: RangeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    by: Annotated[
        By, panelled("What units are paired by: their weights, or their answers to images.", _HOW)
    ] = By.WEIGHTS,
    reference: Annotated[int, panelled("Which network the others are aligned to, counted from 1.", _HOW, min=1)] = 1,
    shares: Annotated[
        str | None, panelled("Of each network in the merged one, 1 in all; equal if not given.", _HOW, metavar="S,S,S")
    ] = None,
    restarts: Annotated[
        int,
        panelled("Starts from which weights are matched; the best counts. Residual networks need some.", _HOW, min=1),
    ] = 3,
    repeat: Annotated[
        bool,
        panelled("Then align each to the mean of the others until nothing changes (MergeMany).", _HOW, "--repeat"),
    ] = False,
    merged: Annotated[bool, panelled("Write the merged network.", _WHAT)] = True,
    ensemble: Annotated[bool, panelled("Write all networks as one that averages their logits.", _WHAT)] = False,
    points: Annotated[
        int, panelled("Points of the lines on which barriers are measured, both ends included.", _WHAT, min=2)
    ] = 11,
    benchmark: Annotated[
        bool,
        panelled(
            "Also calibrate guards of the reference, of the merged network and of the ensemble, attack them quickly, "
            "and compare them on the same images.",
            _WHAT,
            "--benchmark",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    threads: ThreadsOption = None,
) -> None:
    """Merge checkpoints of one network: align their hidden units, and take the mean of their weights.

    The merged network costs what one of them costs. Whether it is as good is measured: the error barriers between the
    networks as they are, aligned in pairs, and aligned to the reference. Below 0.02 merging is advised; otherwise
    average logits (--ensemble), at as many times the cost. A quarter of the images measures batch norms and
    activations, the rest judges.

    Example: isthmus merge --networks a.pt2 --networks b.pt2 --networks c.pt2 --images held-out.zip --out merged
    """
    with clear_errors():
        spec = spec_options(
            layout=layout, channel_order=channel_order, size=size, value_range=value_range, mean=mean, std=std
        )
        parts = numbers("--shares", shares)
        # Only now, so that wrong options are told at once.
        import torch

        from detector.research.permutation.guards import quick_benchmark
        from detector.research.permutation.matching import MatchingOptions
        from detector.research.permutation.merging import MergingOptions
        from detector.research.permutation.uniting import Wanted, unite

        if threads is not None:
            torch.set_num_threads(threads)
        wanted = Wanted(
            networks=tuple(networks),
            images=images,
            spec=spec,
            labels=labels,
            limit=limit,
            merging=MergingOptions(
                by=by,
                matching=MatchingOptions(restarts=restarts, seed=seed),
                reference=reference - 1,
                shares=parts,
                repeated=repeat,
            ),
            merged=merged,
            ensemble=ensemble,
            points=points,
            guards=quick_benchmark(seed=seed) if benchmark else None,
            seed=seed,
            threads=threads,
        )
        with Bars() as bars:
            united = unite(wanted, out, bars)
        _tell(united)


def _tell(united: United) -> None:
    found = united.combined
    facts, barriers = Facts(), found.barriers
    for number, name in enumerate(found.networks.names, 1):
        facts.add(f"network {number}", name)
    for name, accuracy in found.accuracies.items():
        facts.add("accuracy", f"{accuracy:.2%}  {name}")
    for one, other in combinations(range(len(found.networks.names)), 2):
        naive, direct, via = (
            f"{table[one, other, 1]:.3f} ({table[one, other, 0]:.3g} nats)"
            for table in (barriers.naive, barriers.direct, barriers.via)
        )
        facts.add(f"barrier {one + 1}-{other + 1}", f"{naive} as they are, {direct} aligned, {via} as merged")
    facts.add("merged", f"{barriers.middle[1]:+.3f} in error, {barriers.middle[0]:+.3g} nats, against its parts")
    facts.add("advice", _advice(barriers))
    if united.guards is not None:
        _tell_guards(facts, united.guards)
    facts.add("measured on", f"{barriers.images} images; {united.statistics} others measured batch norms")
    for file in united.files:
        facts.add("written", str(file))
    facts.print()


def _advice(barriers: MergingBarriers) -> str:
    from detector.research.permutation.merging_barriers import BAR

    if barriers.advised:
        return f"merge: no error barrier between aligned networks reaches {BAR} (the largest is {barriers.worst:.3f})"
    return f"ensemble: an error barrier between aligned networks is {barriers.worst:.3f}, not below {BAR}"


def _tell_guards(facts: Facts, guards: Guards) -> None:
    from detector.evaluation.comparing import EVADED, LEFT_AUROC, TPR
    from detector.research.permutation.combining import ENSEMBLE
    from detector.research.permutation.guards import SINGLE

    for name, figures in guards.comparison.figures.items():
        auroc, caught, evaded = (figures[figure] for figure in (LEFT_AUROC, TPR, EVADED))
        facts.add(
            f"guard, {name}",
            f"AUROC {auroc.value:.3f} ({auroc.low:.3f}-{auroc.high:.3f}) with each attack's kin left out, "
            f"{caught.value:.1%} caught with it in, {evaded.value:.1%} of attacked images get by; "
            f"{guards.forwards[name]} forwards per image",
        )
    words = {True: "better than", False: "worse than", None: "no difference that so many images show from"}
    for other, name in ((SINGLE, "the single network's"), (ENSEMBLE, "the ensemble's")):
        facts.add("merged guard", f"{words[guards.verdict(other)]} {name}")
