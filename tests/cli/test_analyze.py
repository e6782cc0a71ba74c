"""`isthmus analyze connectivity`: the whole command on few pairs of digits, and on published statistics alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

PUBLISHED = "class,loss1,loss2,max_interpolated_loss\n" + "".join(f"{c},0.1,0.2,{0.2 + c / 9}\n" for c in range(9))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    file = tmp_path / "within.csv"
    file.write_text(PUBLISHED)
    return file


def test_one_command_leaves_a_report_and_figures(
    isthmus: Isthmus, digits: EmbeddedDefault, published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    # Without gradients, since attacks and prototypes are tested where they are made.
    np_only = ("--classifier", digits.classifier_file, "--images", digits.images_file, "--limit", 200)
    done = isthmus(
        *("analyze", "connectivity", *np_only, "--out", out, "--quick", "--pairs", 6, "--points", 11, "--threads", 1),
        *("--rounds", 1, "--steps", 2, "--studies", "published", "--studies", "bypass"),
        *("--barriers", f"within-class={published}", "--gradients", digits.gradients_file),
    )
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "connectivity.json").read_text())
    assert list(figures["studies"]) == ["published", "bypass"]
    assert figures["facts"]["options"]["points"] == 11
    assert figures["studies"]["bypass"]["kinds"]["real-real"]["pairs"] == 6
    assert "studies     published, bypass" in done.stdout
    assert str(out / "report.html") in done.stdout
    assert (out / "report.html").is_file()
    assert {path.name for path in out.glob("bypass-*.svg")} == {"bypass-connected.svg", "bypass-heights.svg"}


def test_published_statistics_need_no_classifier(isthmus: Isthmus, published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = isthmus("analyze", "connectivity", "--out", out, "--barriers", f"within-class={published}")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == [
        "claims.md",
        "connectivity.json",
        "published-ends.svg",
        "published-gaps.svg",
        "published.npz",
        "report.html",
    ]


def test_without_a_classifier_one_of_digits_is_trained(isthmus: Isthmus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    few = ("--quick", "--pairs", 4, "--points", 5, "--threads", 1, "--steps", 2, "--studies", "bypass")
    done = isthmus("analyze", "connectivity", "--out", out, *few)
    assert done.exit_code == 0, done.output
    facts = json.loads((out / "connectivity.json").read_text())["facts"]
    assert "digits.onnx" in facts["classifier"]
    assert facts["images"] == 900
    assert (out / "digits" / "digits.pt2").is_file()


def test_what_needs_no_classifier_trains_none_of_digits(isthmus: Isthmus, tmp_path: Path) -> None:
    done = isthmus("analyze", "connectivity", "--out", tmp_path, "--studies", "published")
    assert done.exit_code == 1
    assert "published: " in done.stderr
    assert not (tmp_path / "digits").exists()


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (("--classifier", "model.onnx"), 2, "go together"),
        (("--barriers", "file.csv"), 2, "KIND=FILE is expected"),
        (("--barriers", "a=b", "--barriers", "a=c"), 2, "given twice"),
        (("--device", "cuda", "--ray"), 2, "--device chooses for this process"),
        (("--barriers", "within-class=absent.csv"), 1, "absent.csv: can't be read"),
        (("--device", "tpu"), 2, "tpu"),
    ],
)
def test_wrong_options_are_told_in_a_line(
    isthmus: Isthmus, tmp_path: Path, options: tuple[str, ...], code: int, reason: str
) -> None:
    done = isthmus("analyze", "connectivity", "--out", tmp_path / "out", *options)
    assert done.exit_code == code
    assert reason in done.stderr
    assert "Traceback" not in done.output
