"""`isthmus analyze difficulty`: the whole command on digits and on a folder of files, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.pictures import classes, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Isthmus

SMALL = ("--architecture", "mlp-16", "--architecture", "flatcnn-4", "--epochs", 3, "--quick", "--threads", 1)


def _rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "cleaning.csv").read_text())))


def test_one_command_leaves_a_report_figures_charts_and_lists(isthmus: Isthmus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    some = [word for name in ("cleaning", "reliability", "fingerprint") for word in ("--studies", name)]
    done = isthmus("analyze", "difficulty", "--out", out, "--limit", 300, "--runs", 4, *some, *SMALL)
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "difficulty.json").read_text())
    assert list(figures["studies"]) == ["reliability", "fingerprint", "cleaning"]
    assert figures["missing"] == []
    assert figures["facts"]["images"] == "300 of scikit-learn's digits"
    assert figures["facts"]["options"]["architectures"] == ["mlp-16", "flatcnn-4"]
    assert "figures     " in done.stdout
    written = {path.name for path in out.iterdir()}
    assert {"report.html", "claims.md", "cleaning.npz", "cleaning.csv", "cleaning-listed.json"} <= written
    names = [row["file"] for row in _rows(out)]
    assert names
    assert all(name.startswith("digits[") for name in names)


def test_lists_name_files_and_classes_of_a_folder(isthmus: Isthmus, tmp_path: Path) -> None:
    folder = write(tmp_path / "images", classes({"cat": 12, "dog": 12}))
    out = tmp_path / "out"
    options = ("--images", folder, "--size", "8x8", "--studies", "cleaning", "--out", out)
    done = isthmus("analyze", "difficulty", *options, *SMALL)
    assert done.exit_code == 0, done.output
    rows = _rows(out)
    assert rows
    assert {row["file"].partition("/")[0] for row in rows} <= {"cat", "dog"}
    assert all(row["label"] == row["file"].partition("/")[0] for row in rows)
    assert json.loads((out / "difficulty.json").read_text())["facts"]["studies"] == ["cleaning"]


def test_images_that_are_held_out_are_scored_where_that_is_asked_for(isthmus: Isthmus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--score", "held-out", "--gradients", 0, "--probes", 0, "--studies", "reliability", "--limit", 200)
    done = isthmus("analyze", "difficulty", "--out", out, *options, *SMALL)
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "difficulty.json").read_text())
    assert figures["facts"]["options"]["scored"] == "held-out"
    assert "grand, grand-last-layer" in figures["facts"]["options"]["scores left out"][0]
    assert "scored on 40 held-out ones" in figures["studies"]["reliability"]["what"]


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (("--size", "8x8"), 2, "is of --images"),
        (("--architecture", "vgg"), 1, "no network is called 'vgg'"),
        (("--architecture", "mlp-8", "--architecture", "mlp-8"), 1, "architectures must differ"),
        (("--images", "absent.zip"), 1, "absent.zip: no such file"),
        (("--studies", "pears"), 1, "--studies pears: there is none"),
        (("--score", "all"), 2, "'all' is not one of 'training', 'held-out'"),
        (("--runs", 1, "--studies", "reliability", *SMALL), 1, "runs"),
        (("--ray-workers", 2), 2, "--ray-workers needs --ray"),
    ],
)
def test_wrong_options_are_told_in_a_line(
    isthmus: Isthmus, tmp_path: Path, options: tuple[object, ...], code: int, reason: str
) -> None:
    done = isthmus("analyze", "difficulty", "--out", tmp_path / "out", *options)
    assert done.exit_code == code
    assert reason in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


def test_images_without_labels_are_refused(isthmus: Isthmus, tmp_path: Path) -> None:
    folder = write(tmp_path / "images", classes({"cat": 3}))
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        file.rename(flat / f"{number}.png")
    done = isthmus("analyze", "difficulty", "--out", tmp_path / "out", "--images", flat, "--size", "8x8")
    assert done.exit_code == 1
    assert "no labels" in done.stderr
