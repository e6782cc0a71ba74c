"""The barriers that others published, by the same statistics as those measured here."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from detector.errors import AnalysisError
from detector.reporting.parts import paragraph
from detector.research.connectivity.by_class import block_rows, classes_differ
from detector.research.connectivity.pair_charts import pair_charts
from detector.research.connectivity.pair_claims import gap_claims
from detector.research.connectivity.pair_report import barriers_section, class_section, ends_figure, separation_section
from detector.research.connectivity.published import read_barriers
from detector.research.connectivity.statistics import LEAST, contrasts, summarise
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.claims import Claim
    from detector.research.connectivity.options import ConnectivityOptions
    from detector.research.studies import Workplace

NAME: Final = "published"
WITHIN: Final = "within-class"
"""The kind that others are compared with."""
ADVERSARIAL: Final = "adversarial"
"""The kind of which the paper's claims are."""


def published_study(workplace: Workplace, options: ConnectivityOptions) -> Study:
    """Analyse published barriers.

    Args:
        workplace: Neither classifier nor images are needed.
        options: `barriers` names the files; those of `WITHIN` are what the others are compared with.

    Raises:
        AnalysisError: No file is given, or none of kind `WITHIN`, or one can't be read or has fewer than two rows.
    """
    del workplace
    if WITHIN not in options.barriers:
        raise AnalysisError(f"no published statistics to compare with: pass --barriers {WITHIN}=FILE")
    ordered = {WITHIN: options.barriers[WITHIN], **options.barriers}
    samples = {kind: read_barriers(file) for kind, file in ordered.items()}
    for kind, sample in samples.items():
        if len(sample) < LEAST:
            raise AnalysisError(f"{ordered[kind]}: at least {LEAST} rows are needed")
    reference = samples[WITHIN]
    summaries = {
        kind: summarise(sample, low_loss=options.low_loss, seed=options.seed) for kind, sample in samples.items()
    }
    compared = {
        kind: contrasts(reference, sample, low_loss=options.low_loss, seed=options.seed)
        for kind, sample in samples.items()
        if kind != WITHIN
    }
    rows = {kind: block_rows(reference, samples[kind]) for kind in compared}
    lead = paragraph(
        "Statistics that others published, read from files and analysed by the code that analyses what is measured "
        f"here: {', '.join(f'{kind} from {file.name}' for kind, file in ordered.items())}."
    )
    files = {kind: file.name for kind, file in ordered.items()}
    title, charts = "Published barriers", pair_charts(NAME, samples)
    sections = [barriers_section(NAME, title, summaries, files, charts, lead, ends_figure(charts))]
    if compared:
        sections.append(separation_section("published-separation", WITHIN, compared))
    differ = classes_differ(reference)
    sections += [
        class_section(f"published-classes-{i}", kind, each, differ) for i, (kind, each) in enumerate(rows.items())
    ]
    claims: tuple[Claim, ...] = ()
    if ADVERSARIAL in compared:
        run = f"{len(reference)} rows of {files[WITHIN]}, {len(samples[ADVERSARIAL])} of {files[ADVERSARIAL]}"
        source = "arXiv 2409.05800, Figs. 4-6, from its authors' figures"
        claims = tuple(gap_claims(run, summaries[WITHIN], summaries[ADVERSARIAL], compared[ADVERSARIAL], source=source))
    return Study(
        name=NAME,
        figures={
            "files": files,
            "kinds": {kind: asdict(one) for kind, one in summaries.items()},
            f"beside {WITHIN}": {
                kind: {view: None if one is None else asdict(one) for view, one in views.items()}
                for kind, views in compared.items()
            },
            "blocks of classes": {kind: [asdict(row) for row in each] for kind, each in rows.items()},
        },
        arrays={f"{kind} gaps": sample.gaps for kind, sample in samples.items()},
        sections=tuple(sections),
        charts=charts,
        claims=claims,
    )
