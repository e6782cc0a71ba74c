from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from detector.training.classifiers import FACTS, MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus


def test_a_classifier_is_trained_and_then_trained_further(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    data = ("--images", digits.images_file, "--test", digits.images_file, "--threads", 1)
    new = ("--architecture", "mlp-32", "--gray", "--optimiser", "adam")
    told = isthmus(
        "train", *data, *new, "--learning-rate", 0.01, "--epochs", 4, "--limit", 500, "--out", tmp_path / "new"
    )
    assert told.exit_code == 0, told.stderr
    assert "16 steps on 500 images" in told.stdout
    assert (tmp_path / "new" / MODEL).is_file()
    told = isthmus("train", *data, "--from", tmp_path / "new/classifier.pt2", "--epochs", 1, "--out", tmp_path / "more")
    assert told.exit_code == 0, told.stderr
    assert "before" in told.stdout
    assert "accuracy" in told.stdout
    assert json.loads((tmp_path / "more" / FACTS).read_text())["plan"]["adversary"] is None


def test_a_classifier_is_trained_further_on_attacked_images(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    given = ("--images", digits.images_file, "--from", digits.gradients_file, "--epochs", 1, "--limit", 300)
    told = isthmus("train", *given, "--adversarial", 16, "--attack-steps", 2, "--out", tmp_path / "robust")
    assert told.exit_code == 0, told.stderr
    facts = json.loads((tmp_path / "robust" / FACTS).read_text())
    assert facts["plan"]["adversary"] == {"level": 16.0, "steps": 2, "ramp": 1}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((), "give --from"),
        (("--from", "a.pt2", "--architecture", "mlp-8"), "give --from"),
        (("--from", "a.pt2", "--size", "8x8"), "--size and --gray are for a new network"),
        (("--architecture", "mlp-8", "--size", "8"), "HEIGHTxWIDTH expected"),
        (("--architecture", "mlp-8", "--attack-steps", "2"), "--attack-steps belongs to --adversarial"),
    ],
)
def test_wrong_options_are_told_at_once(given: tuple[str, ...], reason: str, isthmus: Isthmus, tmp_path: Path) -> None:
    told = isthmus("train", "--images", tmp_path / "none.npz", *given, "--out", tmp_path / "out")
    assert told.exit_code == 2
    assert reason in " ".join(told.stderr.replace("│", " ").split())


def test_photographs_in_a_folder_need_a_size(isthmus: Isthmus, tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "cat" / "0.png")
    told = isthmus("train", "--images", tmp_path / "images", "--architecture", "mlp-8", "--out", tmp_path / "out")
    assert told.exit_code == 2
    assert "give --size too" in " ".join(told.stderr.replace("│", " ").split())


def test_an_unknown_network_is_one_line(isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path) -> None:
    told = isthmus(
        *("train", "--images", digits.images_file, "--architecture", "vgg-16", "--out", tmp_path / "out"),
    )
    assert told.exit_code == 1
    assert "no network is called 'vgg-16'" in told.stderr
