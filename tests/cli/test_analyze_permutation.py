"""`isthmus analyze permutation`: the whole command on digits and on MNIST's format, and what it refuses."""

from __future__ import annotations

import gzip
import json
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.embedded import read_digits
from tests.support.pictures import classes, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Isthmus

SMALL = ("--widths", "4,16", "--width", 8, "--epochs", 2, "--triples", 2, "--points", 3, "--quick", "--threads", 1)


def test_one_command_leaves_a_report_figures_and_charts(isthmus: Isthmus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = isthmus("analyze", "permutation", "--out", out, "--limit", 300, *SMALL)
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "permutation.json").read_text())
    assert list(figures["studies"]) == ["width", "trajectory", "pruning", "kernels", "merging"]
    assert figures["missing"] == []
    assert figures["facts"]["options"]["widths"] == [4, 16]
    assert figures["facts"]["images"] == "300 of scikit-learn's digits"
    assert figures["studies"]["width"]["options"]["triples"] == 2
    assert figures["studies"]["trajectory"]["options"]["at"] == [0, 1, 2]
    assert "figures     " in done.stdout
    assert {"report.html", "claims.md", "width.npz", "width-barriers.svg", "trajectory-heat.svg"} <= {
        path.name for path in out.iterdir()
    }


def test_images_are_read_from_a_file_of_mnists_kind(isthmus: Isthmus, tmp_path: Path) -> None:
    pixels, labels = read_digits()
    images = tmp_path / "few-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(struct.pack(">4I", 0x803, *pixels.shape[:3]) + pixels.tobytes()))
    shown = struct.pack(">2I", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
    (tmp_path / "few-labels-idx1-ubyte.gz").write_bytes(gzip.compress(shown))
    out = tmp_path / "out"
    done = isthmus(
        *("analyze", "permutation", "--out", out, "--images", images, "--limit", 300, *SMALL, "--studies", "width")
    )
    assert done.exit_code == 0, done.output
    facts = json.loads((out / "permutation.json").read_text())["facts"]
    assert facts["images"] == "300 of few-images-idx3-ubyte.gz"
    assert facts["shape"] == [1, 8, 8]
    assert facts["studies"] == ["width"]


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (("--widths", "8;16"), 2, "--widths: whole numbers"),
        (("--widths", "16,8"), 1, "widths must rise"),
        (("--size", "8x8"), 2, "is of --images"),
        (("--architecture", "vgg"), 1, "'vgg' names no widths"),
        (("--images", "absent.zip"), 1, "absent.zip: no such file"),
        (("--studies", "pears"), 1, "--studies pears: there is none"),
        (("--ray-workers", 2), 2, "--ray-workers needs --ray"),
        (("--epochs", 1, "--studies", "trajectory"), 1, "three or more"),
    ],
)
def test_wrong_options_are_told_in_a_line(
    isthmus: Isthmus, tmp_path: Path, options: tuple[object, ...], code: int, reason: str
) -> None:
    done = isthmus("analyze", "permutation", "--out", tmp_path / "out", *options)
    assert done.exit_code == code
    assert reason in done.stderr
    assert "Traceback" not in done.output


def test_files_of_many_sizes_need_one(isthmus: Isthmus, tmp_path: Path) -> None:
    folder = write(tmp_path / "images", classes({"cat": 1, "dog": 1}))
    done = isthmus("analyze", "permutation", "--out", tmp_path / "out", "--images", folder)
    assert done.exit_code == 2
    assert "give --size too" in done.stderr
