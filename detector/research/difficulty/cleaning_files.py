"""What the cleaning of a set of images leaves: a table for people, and a file that calibration reads."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

from detector.data.digests import image_digests
from detector.images import to_pixels
from detector.pictures import labelled_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.difficulty.cleaning import Cleaning
    from detector.research.difficulty.options import DifficultyOptions

TABLE: Final = "cleaning.csv"
LISTED: Final = "cleaning-listed.json"
SCHEMA_VERSION: Final = 1
_SHOWN: Final = 50  # images on a sheet


def listed_rows(cleaning: Cleaning, names: Sequence[str], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Every listed image with what is known of it: JSON values, the likely mislabelled first.

    Args:
        cleaning: What is to be looked at.
        names: Of all images.
        classes: Their names.
    """
    told = cleaning.suspects
    return [
        {
            "file": names[row],
            "flags": [flag.value for flag in flags],
            "label": classes[cleaning.labels[row]],
            "consensus": classes[told.consensus[row]],
            "agreement": float(told.agreement[row]),
            "quality": float(told.quality[row]),
            "difficulty": float(cleaning.difficulty[row]),
            "consistency": float(cleaning.consistency[row]),
            "memorisation": float(cleaning.memorisation[row]),
            "meanacc": float(cleaning.together.meanacc[row]),
            "ddd": int(cleaning.together.ddd[row]),
        }
        for row, flags in cleaning.flags().items()
    ]


def cleaning_files(cleaning: Cleaning, options: DifficultyOptions) -> dict[str, bytes]:
    """The files by name: a CSV of listed images, and a JSON of them by digest.

    Args:
        cleaning: What is to be looked at.
        options: Of what.
    """
    names, classes = image_names(options), class_names(options)
    rows = listed_rows(cleaning, names, classes)
    pixels = to_pixels(options.images.canonical)
    digests = image_digests(pixels[list(cleaning.flags())])
    listed: dict[str, dict[str, Any]] = {}
    for digest, row in zip(digests, rows, strict=True):  # of copies of one image, all that is said of any
        known = listed.setdefault(digest, row)
        known["flags"] = list(dict.fromkeys([*known["flags"], *row["flags"]]))
    fields = {
        "schema_version": SCHEMA_VERSION,
        "images": len(options.images),
        "shape": list(options.images.shape),
        "listed": listed,
    }
    return {
        TABLE: _table(rows).encode(),
        LISTED: (json.dumps(fields, indent=1, allow_nan=False) + "\n").encode(),
    }


def sheets(cleaning: Cleaning, options: DifficultyOptions) -> dict[str, bytes]:
    """A contact sheet for each reason that an image is listed for, PNG, the worst first; none where there is none."""
    classes = class_names(options)
    told = cleaning.suspects
    images = options.images.canonical
    return {
        flag.value: labelled_sheet(
            images[shown], [f"{classes[cleaning.labels[row]]} / {classes[told.consensus[row]]}" for row in shown]
        )
        for flag, rows in cleaning.listed.items()
        if len(shown := rows[: min(_SHOWN, options.listed)])
    }


def image_names(options: DifficultyOptions) -> tuple[str, ...]:
    """What images are called."""
    return options.names or tuple(f"images[{row}]" for row in range(len(options.images)))


def class_names(options: DifficultyOptions) -> tuple[str, ...]:
    """What classes are called."""
    return options.class_names or tuple(map(str, range(options.images.classes)))


def _table(rows: Sequence[dict[str, Any]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]) if rows else ["file"])
    writer.writeheader()
    writer.writerows({**row, "flags": " ".join(row["flags"])} for row in rows)
    return stream.getvalue()
