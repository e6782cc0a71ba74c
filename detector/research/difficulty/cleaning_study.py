"""The study of cleaning: which images of a set to look at before a guard is calibrated on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError
from detector.folders import write_files
from detector.reporting import numbers
from detector.reporting.html import picture
from detector.reporting.parts import Section, paragraph, row_head, wide, words
from detector.research.difficulty.cleaning import HARDEST, Cleaning, Flag
from detector.research.difficulty.cleaning_files import (
    LISTED,
    TABLE,
    class_names,
    cleaning_files,
    image_names,
    listed_rows,
    sheets,
)
from detector.research.difficulty.parts_job import part_runs
from detector.research.studies import Study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup
    from numpy.typing import NDArray

    from detector.research.difficulty.options import DifficultyOptions
    from detector.research.studies import Workplace

NAME: Final = "cleaning"
_TITLES: Final = {
    Flag.MISLABELLED: "Labels that are likely wrong",
    Flag.UNLEARNABLE: "Never learnt by any run",
    Flag.HARDEST: f"The hardest {HARDEST:.0%}",
}


def study(workplace: Workplace, options: DifficultyOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked. The lists are written to its folder.
        options: How; all images are looked at, whatever is scored otherwise.

    Raises:
        AnalysisError: There are too few or too many images, training diverges, or the lists can't be written.
        CalibrationError: The disk refuses.
    """
    runs = part_runs(workplace, options)
    found = Cleaning.of(runs, options.images.labels)
    drawn = sheets(found, options)
    files = cleaning_files(found, options) | {f"{NAME}-{name}.png": sheet for name, sheet in drawn.items()}
    try:
        write_files(workplace.folder, files)
    except OSError as error:
        raise AnalysisError(f"{workplace.folder}: lists can't be written: {error.strerror}") from error
    rows = listed_rows(found, image_names(options), class_names(options))
    count = len(options.images)
    return Study(
        name=NAME,
        figures={
            "runs": len(runs.trained_on),
            "images": count,
            "counts": {flag.value: len(listed) for flag, listed in found.listed.items()},
            "accuracy of runs on what they did not train on": float(found.consistency.mean()),
            "listed": rows[: options.listed],
        },
        arrays={
            "difficulty": found.difficulty,
            "quality": found.suspects.quality,
            "says": found.suspects.consensus,
            "agreement": found.suspects.agreement,
            "consistency": found.consistency,
            "memorisation": found.memorisation,
            "meanacc": found.together.meanacc,
            "consensus": found.together.consensus,
            "ddd": found.together.ddd,
            **{flag.value: np.isin(np.arange(count), listed) for flag, listed in found.listed.items()},
        },
        sections=(_section(found, runs.trained_on, options, drawn),),
    )


def _section(
    found: Cleaning, trained_on: NDArray[np.bool_], options: DifficultyOptions, pictures: Mapping[str, bytes]
) -> Section:
    left_out = int((~trained_on).sum(0).min())
    body = [
        paragraph(
            f"{len(trained_on)} runs of {', '.join(options.chosen)}, each trained on a part of {len(options.images)} "
            f"images; {left_out} or more did not train on it, for every image, and were right about "
            f"{numbers.percent(float(found.consistency.mean()))} of what they had not seen. Below each picture stand "
            f"its label and what those runs say. All listed images are in {TABLE}; {LISTED} keeps them out of a "
            "calibration's anchors."
        )
    ]
    for flag, rows in found.listed.items():
        body.append(paragraph(f"{_TITLES[flag]}: {len(rows)} of {len(options.images)} images."))
        if flag.value in pictures:
            body.append(picture(pictures[flag.value], _TITLES[flag]))
    body.append(_worst(found, options))
    return Section.of(NAME, "Images to look at", *body)


def _worst(found: Cleaning, options: DifficultyOptions) -> Markup:
    names, classes = image_names(options), class_names(options)
    rows = listed_rows(found, names, classes)[: min(options.listed, 25)]
    head = ["image", "listed as", "label", "consensus", "agreement", "quality", "difficulty", "memorisation"]
    return wide(
        [words(head[0]), words(head[1]), *head[2:]],
        [
            [
                row_head(row["file"], long=True),
                words(", ".join(row["flags"])),
                row["label"],
                row["consensus"],
                numbers.percent(row["agreement"]),
                numbers.gain(row["quality"]),
                f"{row['difficulty']:.3f}",
                numbers.gain(row["memorisation"]),
            ]
            for row in rows
        ],
    )
