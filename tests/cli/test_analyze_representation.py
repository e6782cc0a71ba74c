"""`isthmus analyze representation`: networks trained on digits, a classifier that is given, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

SMALL = ("--depths", "1,2", "--widths", "8,16", "--epochs", 2, "--inputs", 60, "--quick", "--threads", 1)


def test_one_command_leaves_a_report_figures_and_charts(isthmus: Isthmus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = isthmus("analyze", "representation", "--out", out, "--limit", 500, *SMALL)
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "representation.json").read_text())
    assert list(figures["studies"]) == ["training", "shape", "attacked"]
    assert figures["missing"] == []
    assert figures["facts"]["images"] == "500 of scikit-learn's digits"
    assert figures["facts"]["options"]["depths"] == [1, 2]
    assert figures["facts"]["options"]["space"] == "angular-cka"
    assert figures["studies"]["training"]["options"]["depth"] == 2
    assert list(figures["studies"]["shape"]["shapes"]) == ["resmlp1-16", "resmlp2-16", "resmlp2-8"]
    assert "claims      " in done.stdout
    assert {"report.html", "claims.md", "shape.npz", "shape-matrix.svg", "training-map.svg", "attacked-layers.svg"} <= {
        path.name for path in out.iterdir()
    }


def test_a_classifier_that_is_given_is_measured_itself(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given = ("--classifier", digits.classifier_file, "--gradients", digits.gradients_file)
    done = isthmus(
        *("analyze", "representation", *given, "--images", digits.images_file, "--out", out),
        *("--inputs", 60, "--space", "stress", "--maps", "pooled", "--levels", 24, "--threads", 1),
    )
    assert done.exit_code == 0, done.output
    figures = json.loads((out / "representation.json").read_text())
    assert list(figures["studies"]) == ["classifier"]
    one = figures["studies"]["classifier"]
    assert one["points"][0] == "input"
    assert one["points"][-2:] == ["logits", "softmax"]
    assert list(one["parted"]) == ["FGSM-Linf-24/255", "PGD-Linf-24/255", "noise of the same size"]
    assert "in stress" in one["what"]


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (("--depths", "2;4"), 2, "--depths: whole numbers"),
        (("--widths", "64,16"), 1, "widths must rise"),
        (("--architecture", "vgg"), 1, "no network is called"),
        (("--space", "euclid"), 2, "--space"),
        (("--levels", 0), 1, "levels must lie"),
        (("--classifier", "model.onnx"), 2, "--classifier needs --images"),
        (("--studies", "classifier"), 1, "there is no classifier"),
        (("--studies", "pears"), 1, "--studies pears: there is none"),
        (("--ray-workers", 2), 2, "--ray-workers needs --ray"),
    ],
)
def test_wrong_options_are_told_in_a_line(
    isthmus: Isthmus, tmp_path: Path, options: tuple[object, ...], code: int, reason: str
) -> None:
    done = isthmus("analyze", "representation", "--out", tmp_path / "out", *options)
    assert done.exit_code == code
    assert reason in done.stderr
    assert "Traceback" not in done.output
