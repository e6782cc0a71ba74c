"""What the paper, its reviewers and its replication say of pairs, put to the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from detector.paths.samples import Measure
from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.connectivity.by_class import classes_differ
from detector.research.connectivity.kinds import Kind
from detector.research.connectivity.statistics import FALSE_POSITIVES, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detector.metrics import Estimate
    from detector.paths.samples import BarrierSample
    from detector.research.connectivity.options import ConnectivityOptions
    from detector.research.connectivity.statistics import Contrast, Summary

PAPER: Final = "arXiv 2409.05800"
_CHANCE: Final = 0.5
_SIGNIFICANT: Final = 0.05
_GOOD: Final = 0.85


def pair_claims(
    samples: Mapping[Kind, BarrierSample],
    summaries: Mapping[Kind, Summary],
    compared: Mapping[Kind, Mapping[View, Contrast | None]],
    anchors: Mapping[str, Mapping[Kind, Mapping[Measure, Estimate]]],
    options: ConnectivityOptions,
) -> Iterator[Claim]:
    """Every claim that what was measured can test."""
    real = summaries[Kind.REAL]
    yield _straight(real, options)
    if Kind.PAPER in summaries:
        run = f"{real.pairs} pairs {Kind.REAL}, {summaries[Kind.PAPER].pairs} {Kind.PAPER}, {options.points} points"
        yield from gap_claims(
            run, real, summaries[Kind.PAPER], compared[Kind.PAPER], source=f"{PAPER}, Sec. 4.2, Figs. 4-6"
        )
        yield from _control(compared, summaries)
    differ = classes_differ(samples[Kind.REAL])
    if differ is not None:
        yield Claim(
            claim="Barriers differ between classes, so that thresholds have to",
            source=f"statistics published with {PAPER}",
            run=f"{real.pairs} pairs {Kind.REAL}, Kruskal-Wallis over classes",
            outcome=f"p = {differ:.2g}",
            agrees=differ < _SIGNIFICANT,
        )
    if Kind.SYNTHETIC in summaries:
        made = summaries[Kind.SYNTHETIC]
        yield Claim(
            claim="Two synthetic inputs of a class are parted by low barriers, once a network is trained",
            source=f"{PAPER}, Sec. 4.1 and App. F.1",
            run=f"{made.pairs} pairs of prototypes, rough and smooth",
            outcome=f"mean gap {numbers.loss_estimate(made.measures[Measure.GAP].mean)} nats; "
            f"{Kind.REAL} {numbers.loss_estimate(real.measures[Measure.GAP].mean)}",
            agrees=made.measures[Measure.GAP].mean.high < options.epsilon,
        )
    yield from _anchor_claims(anchors)


def gap_claims(
    run: str,
    real: Summary,
    attacked: Summary,
    views: Mapping[View, Contrast | None],
    *,
    source: str,
) -> Iterator[Claim]:
    """What is said of the gap of adversarial pairs, of measured and of published ones.

    Args:
        run: What was run.
        real: Pairs of two real images of one class.
        attacked: Pairs of a real and an adversarial one.
        views: The latter beside the former.
        source: Where barriers are said to be higher.
    """
    whole = views[View.ALL]
    assert whole is not None, "both have at least two pairs"
    gap, height = whole.measures[Measure.GAP], whole.measures[Measure.HEIGHT]
    means = " and ".join(numbers.loss(one.measures[Measure.GAP].mean.value) for one in (real, attacked))
    yield Claim(
        claim="Barriers between a real and an adversarial input are higher than between two real ones of the class",
        source=source,
        run=run,
        outcome=f"mean gaps {means} nats; AUROC of the gap {numbers.estimate(gap.auroc)}, "
        f"{numbers.percent(gap.found)} found at {numbers.target(FALSE_POSITIVES)}",
        agrees=gap.auroc.low > _CHANCE,
    )
    yield Claim(
        claim="The gap tells adversarial inputs better than the barrier's height",
        source=f"statistics published with {PAPER}",
        run=run,
        outcome=f"AUROC {numbers.auroc(gap.auroc.value)} by gap, {numbers.auroc(height.auroc.value)} by height",
        agrees=gap.auroc.value > height.auroc.value,
    )
    for view, words in ((View.LOW, "where both ends are classified well"), (View.MATCHED, "where ends are matched")):
        one = views[view]
        yield Claim(
            claim=f"The difference is not one of end-point losses: it holds {words}",
            source="a confound of the published statistics",
            run=run if one is None else f"{one.reference} + {one.pairs} of these pairs",
            outcome="too few pairs"
            if one is None
            else f"AUROC of the gap {numbers.estimate(one.measures[Measure.GAP].auroc)}",
            agrees=None if one is None else one.measures[Measure.GAP].auroc.low > _CHANCE,
        )


def _straight(real: Summary, options: ConnectivityOptions) -> Claim:
    height = real.measures[Measure.HEIGHT]
    return Claim(
        claim="Two real images of a class are nearly connected by a straight line: most have no barrier to speak of",
        source=f"{PAPER}, Secs. 4.1 and 4.2",
        run=f"{real.pairs} pairs {Kind.REAL}, {options.points} points",
        outcome=f"median height {numbers.loss_estimate(height.median)} nats; no gap in {numbers.realised(real.flat)}",
        agrees=height.median.value < options.epsilon,
    )


def _control(
    compared: Mapping[Kind, Mapping[View, Contrast | None]], summaries: Mapping[Kind, Summary]
) -> Iterator[Claim]:
    whole = compared[Kind.TWO_CLASSES][View.ALL] if Kind.TWO_CLASSES in compared else None
    if whole is None:
        return
    attack, before = (summaries[kind].measures[Measure.GAP].mean for kind in (Kind.PAPER, Kind.TWO_CLASSES))
    yield Claim(
        claim="The gap comes of the attack, not of another class's content alone",
        source="reviewers of the paper, who missed a control",
        run=f"{whole.pairs} pairs of two classes: the attacked pairs before the attack",
        outcome=f"mean gap {numbers.loss_estimate(before)} nats before, {numbers.loss_estimate(attack)} after; "
        f"AUROC of the gap of two classes against {Kind.REAL} {numbers.estimate(whole.measures[Measure.GAP].auroc)}",
        agrees=before.high < attack.low,
    )


def _anchor_claims(anchors: Mapping[str, Mapping[Kind, Mapping[Measure, Any]]]) -> Iterator[Claim]:
    for name, kinds in anchors.items():
        if Kind.PAPER in kinds and "prototypes" in name:
            gap = kinds[Kind.PAPER][Measure.GAP]
            yield Claim(
                claim=f"From synthetic anchors the gap tells the paper's attack (AUROC above {_GOOD:g})",
                source=f"replication of {PAPER} on MNIST",
                run=name,
                outcome=f"AUROC {numbers.estimate(gap)}",
                agrees=gap.value > _GOOD,
            )
        if Kind.PAPER in kinds and Kind.BOUNDED in kinds and "prototypes" in name:
            paper, bounded = (kinds[kind][Measure.GAP] for kind in (Kind.PAPER, Kind.BOUNDED))
            yield Claim(
                claim="Attacks of high confidence hide from the path loss: PGD is told less well than the paper's",
                source=f"replication of {PAPER} on MNIST",
                run=name,
                outcome=f"AUROC of the gap {numbers.estimate(bounded)} and {numbers.estimate(paper)}",
                agrees=bounded.value < paper.value,
            )
    rough, smooth = (
        next(
            (
                kinds[Kind.BOUNDED][Measure.GAP]
                for name, kinds in anchors.items()
                if word in name and Kind.BOUNDED in kinds
            ),
            None,
        )
        for word in ("rough", "smooth")
    )
    if rough is not None and smooth is not None:
        yield Claim(
            claim="Smooth prototypes tell attacks of high confidence better than rough ones",
            source=f"replication of {PAPER} on MNIST",
            run="PGD, prototypes of each class, averaged",
            outcome=f"AUROC of the gap {numbers.estimate(smooth)} and {numbers.estimate(rough)}",
            agrees=smooth.value > rough.value,
        )
