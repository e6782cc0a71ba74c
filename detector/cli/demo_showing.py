"""What the demo shows: verdicts, counts, metrics and pictures."""

from __future__ import annotations

import re
import urllib.request
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.table import Table
from rich.text import Text

from detector.bundle.contents import CONTACT_SHEET
from detector.cli.rendering import STYLES
from detector.detector import Detector
from detector.images import to_canonical
from detector.pictures import PicturedImage, path_profiles
from detector.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from detector.cli.demo_digits import DemoDetector, Sample
    from service.results import ScoredImage

PICTURED: Final = "profiles.png"
PROTOTYPES: Final = "prototypes.png"
_INTERESTING: Final = (
    "isthmus_detector_info",
    "isthmus_images_total",
    "isthmus_verdicts_total",
    "isthmus_classifier_forwards_total",
    "isthmus_batch_images_count",
    "isthmus_engine_seconds_sum",
    "isthmus_queue_seconds_sum",
    'isthmus_p_value_bucket{le="0.01"}',
    'isthmus_p_value_bucket{le="0.05"}',
    "grpc_server_handled_total",
)

_OTHER_VERDICTS: Final = re.compile('verdict="(BENIGN|SUSPECT)"')

Answers = dict[str, "list[ScoredImage]"]
"""By kind of sample."""


def verdict_table(samples: Sequence[Sample], answers: Answers) -> Table:
    """One digit of each class that was attacked with success, in every kind, an image a row."""
    table = Table(box=None, pad_edge=False)
    for column in ("image", "kind", "shows", "prediction", "score", "p-value", "verdict"):
        table.add_column(column, justify="right" if column in {"score", "p-value"} else "left")
    attacked = samples[-1]
    shown = attacked.sources[np.unique(attacked.labels, return_index=True)[1]].tolist()
    for sample in samples:
        for source in shown:
            row = int(np.flatnonzero(sample.sources == source)[0])
            _add_row(table, sample, row, answers[sample.kind][row])
        if sample is not attacked:
            table.add_row()
    return table


def _add_row(table: Table, sample: Sample, row: int, answer: ScoredImage) -> None:
    truth, verdict = str(sample.labels[row]), answer.verdict or Verdict.BENIGN
    table.add_row(
        f"test[{sample.sources[row]}]",
        sample.kind,
        truth,
        Text(answer.label, "" if answer.label == truth else "bold red"),
        f"{answer.score:.2f}",
        f"{answer.p_value:.4f}",
        Text(verdict, STYLES[verdict]),
    )


def summary(sample: Sample, answers: Sequence[ScoredImage]) -> str:
    """A line of counts for one kind."""
    right = np.mean([answer.label == str(truth) for answer, truth in zip(answers, sample.labels, strict=True)])
    flagged = np.mean([answer.verdict is not Verdict.BENIGN for answer in answers])
    adversarial = np.mean([answer.verdict is Verdict.ADVERSARIAL for answer in answers])
    return (
        f"{sample.kind:<9} {len(answers):>4} sent   {right:>6.1%} predicted right   {flagged:>6.1%} flagged, "
        f"{adversarial:>5.1%} ADVERSARIAL   ({sample.how})"
    )


def interesting_metrics(url: str) -> Iterator[str]:
    """Lines of a metrics page that tell what happened; series still at zero are left out."""
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - the demo's own server
        page = reply.read().decode()
    for line in page.splitlines():
        if line.startswith(_INTERESTING) and not line.endswith(" 0.0") and not _OTHER_VERDICTS.search(line):
            yield line


def write_pictures(demo: DemoDetector, answers: Answers, folder: Path) -> None:
    """Write the path profiles of one digit, clean and attacked, and the prototypes.

    The digit is the one whose attack is the most plainly seen through.
    """
    clean, attacked = demo.samples[0], demo.samples[-1]
    row = int(np.argmin([answer.p_value for answer in answers[attacked.kind]]))
    detector = Detector.load(demo.bundle, threads=1)
    pictured = [_pictured(detector, clean, int(attacked.sources[row])), _pictured(detector, attacked, row)]
    (folder / PICTURED).write_bytes(path_profiles(pictured))
    (folder / PROTOTYPES).write_bytes((demo.bundle / CONTACT_SHEET).read_bytes())


def _pictured(detector: Detector, sample: Sample, row: int) -> PicturedImage:
    pixels = sample.pixels[row]
    image = to_canonical(pixels, detector.bundle.manifest.spec.shape)[0]
    return PicturedImage(f"{sample.kind}, shows {sample.labels[row]}", image, detector.score(pixels))
