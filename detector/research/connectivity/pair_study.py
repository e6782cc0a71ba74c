"""Pairs: how high barriers are between real, adversarial and synthetic inputs, and what that tells apart.

The paper compares two real images of a class with a real and an adversarial one (Vrabel et al., Sec. 4.2). Here other
kinds stand beside them, among them the control its reviewers missed: the same pairs before the attack.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.metrics import auroc_estimate
from detector.reporting import numbers
from detector.reporting.parts import Section, paragraph, row_head, shaded_score, wide
from detector.research.connectivity.by_class import class_rows, classes_differ
from detector.research.connectivity.kinds import Kind, measure
from detector.research.connectivity.material import PairMaterial
from detector.research.connectivity.pair_charts import pair_charts
from detector.research.connectivity.pair_claims import pair_claims
from detector.research.connectivity.pair_report import (
    barriers_section,
    class_section,
    curves_figure,
    ends_figure,
    separation_section,
)
from detector.research.connectivity.statistics import LEAST, contrasts, summarise
from detector.research.studies import Study

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from markupsafe import Markup

    from detector.metrics import Estimate
    from detector.paths.samples import Measure
    from detector.research.connectivity.by_class import ClassRow
    from detector.research.connectivity.kinds import Anchored, Measured
    from detector.research.connectivity.options import ConnectivityOptions
    from detector.research.connectivity.statistics import Contrast, Summary, View
    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays

NAME = "pairs"


def pair_study(workplace: Workplace, options: ConnectivityOptions) -> Study:
    """Measure pairs of every kind.

    Args:
        workplace: With a classifier and images.
        options: How.

    Raises:
        AnalysisError: There is no classifier, or there are fewer than two pairs of one class.
        ClassifierError: The classifier fails on real images.
    """
    material = PairMaterial(workplace, options)
    measured = measure(material)
    settled: dict[str, Any] = {"low_loss": options.low_loss, "seed": options.seed}
    samples = {kind: curved.sample for kind, curved in measured.kinds.items() if len(curved.classes) >= LEAST}
    few = [kind for kind in measured.kinds if kind not in samples]
    reference = samples[Kind.REAL]
    summaries = {kind: summarise(sample, **settled) for kind, sample in samples.items()}
    compared: dict[Kind, Mapping[View, Contrast | None]] = {
        kind: contrasts(reference, sample, **settled) for kind, sample in samples.items() if kind is not Kind.REAL
    }
    attacked = samples.get(Kind.PAPER, reference.take(np.empty(0, np.int64)))
    rows = class_rows(reference, attacked, workplace.inputs.labels if workplace.inputs else ())
    missing = [*measured.missing, *(f"{kind}: fewer than {LEAST} pairs" for kind in few)]
    if all(not sample.gaps.any() and not np.ptp(sample.heights) for sample in samples.values()):
        missing.append("the loss is the same at every point: this classifier's answers are constant, so no barrier is")
    anchors = {one.anchors: _anchor_aurocs(one) for one in measured.anchors}
    named = {kind.value: sample for kind, sample in samples.items()}
    charts = pair_charts(NAME, named, {kind.value: measured.kinds[kind].curves for kind in samples})
    return Study(
        name=NAME,
        figures=_figures(measured, summaries, compared, rows, anchors),
        arrays=_arrays(measured),
        sections=tuple(_sections(measured, summaries, compared, rows, anchors, charts=charts)),
        charts=charts,
        claims=tuple(pair_claims(samples, summaries, compared, anchors, options)),
        missing=tuple(missing),
    )


def _anchor_aurocs(one: Anchored) -> dict[Kind, dict[Measure, Estimate]]:
    """DeLong's estimates, by kind and measure."""
    return {
        kind: {name: auroc_estimate(one.real[name], values) for name, values in measures.items()}
        for kind, measures in one.attacked.items()
        if min(len(values) for values in measures.values()) >= LEAST
    }


def _figures(
    measured: Measured,
    summaries: Mapping[Kind, Summary],
    compared: Mapping[Kind, Mapping[View, Contrast | None]],
    rows: Iterable[ClassRow],
    anchors: Mapping[str, Mapping[Kind, Any]],
) -> dict[str, Any]:
    return {
        "kinds": {
            kind: {**asdict(one), "tried": measured.kinds[kind].tried, "made by": measured.kinds[kind].note}
            for kind, one in summaries.items()
        },
        f"beside {Kind.REAL}": {
            kind: {view: None if one is None else asdict(one) for view, one in views.items()}
            for kind, views in compared.items()
        },
        "classes": [asdict(row) for row in rows],
        "anchors": {
            name: {kind: {m: asdict(value) for m, value in each.items()} for kind, each in kinds.items()}
            for name, kinds in anchors.items()
        },
    }


def _arrays(measured: Measured) -> Arrays:
    arrays: Arrays = {}
    for kind, curved in measured.kinds.items():
        name = kind.replace(", ", "-").replace(" ", "-")
        arrays |= {f"{name} losses": curved.curves.losses, f"{name} classes": curved.classes}
        arrays["alphas"] = curved.curves.alphas
    return arrays


def _sections(
    measured: Measured,
    summaries: Mapping[Kind, Summary],
    compared: Mapping[Kind, Mapping[View, Contrast | None]],
    rows: Iterable[ClassRow],
    anchors: Mapping[str, Mapping[Kind, Any]],
    *,
    charts: Mapping[str, Markup],
) -> Iterable[Section]:
    kinds = {kind: measured.kinds[kind] for kind in summaries}
    beside = {kind.value: _beside(curved.note, len(curved.classes), curved.tried) for kind, curved in kinds.items()}
    lead = paragraph(
        "A path leads straight from one input to another, and the loss of the class is asked along it. Where it rises, "
        "the two are parted by a barrier. Real images are classified correctly; adversarial ones are images of another "
        "class, moved until the classifier takes them for this one; synthetic ones are made from noise. Two classes "
        "are the pairs of the attack before it: one end then is no input of the class at all, so that the loss is "
        "highest there, and the gap is what lies above it."
    )
    named = {kind.value: one for kind, one in summaries.items()}
    yield barriers_section(NAME, "Barriers between two inputs", named, beside, charts, lead, curves_figure(charts))
    yield separation_section("separation", Kind.REAL, {kind.value: views for kind, views in compared.items()})
    yield Section.of("ends", "Ends and barriers", ends_figure(charts))
    if anchors:
        yield _anchor_section(anchors, summaries[Kind.REAL].pairs)
    if Kind.PAPER in summaries:
        differ = classes_differ(kinds[Kind.REAL].sample)
        yield class_section("classes", Kind.PAPER, tuple(rows), differ)


def _beside(note: str, pairs: int, tried: int) -> str:
    succeeded = f"{pairs} of {tried} succeeded" if pairs != tried else ""
    return ", ".join(filter(None, (note, succeeded)))


def _anchor_section(anchors: Mapping[str, Mapping[Kind, Any]], real: int) -> Section:
    note = (
        f"What a detector asks: from an image to anchors of the class it is taken for, is the path of {real:,} real "
        "images told from that of attacked ones? AUROC of each measure, averaged over the anchors, with its interval."
    )
    found = [(name, kind, each) for name, kinds in anchors.items() for kind, each in kinds.items()]
    measures = list(found[0][2]) if found else []
    table = [
        [row_head(name), kind.value, *(shaded_score(each[m].value, numbers.estimate(each[m])) for m in measures)]
        for name, kind, each in found
    ]
    return Section.of("anchors", "Anchors", paragraph(note), wide(("anchors", "attacked", *measures), table))
