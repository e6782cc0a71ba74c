from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from detector.classifiers.export import export_program
from detector.classifiers.loading import load_classifier
from detector.classifiers.onnx import OnnxClassifier
from detector.cli.main import app
from detector.embedded import read_digits
from detector.images import to_canonical
from detector.training.classifiers import from_scratch
from detector.training.data import LabelledImages
from detector.training.plan import TrainingPlan
from detector.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.base import Float32Array
    from tests.cli.conftest import Isthmus

NETWORKS = 3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Three networks of digits from three seeds, and images that none of them was trained on."""
    folder = tmp_path_factory.mktemp("networks")
    pixels, labels = read_digits()
    training = LabelledImages(np.ascontiguousarray(pixels[:800].transpose(0, 3, 1, 2)), labels[:800], 10)
    programs = [folder / f"seed-{seed}.pt2" for seed in range(NETWORKS)]
    for seed, file in enumerate(programs):
        recipe = TrainingRecipe.of(
            "mlp-64", training, TrainingPlan(steps=150, batch=64), init_seed=seed, order_seed=seed
        )
        export_program(from_scratch(recipe, training), file)
    np.savez(folder / "held-out.npz", images=pixels[800:], labels=labels[800:])
    return programs, folder / "held-out.npz"


@pytest.fixture(scope="module")
def merged(files: tuple[list[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder that `isthmus merge` wrote, and what it said."""
    out = tmp_path_factory.mktemp("merged") / "new"
    programs, images = files
    given = [part for file in programs for part in ("--networks", str(file))]
    told = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["merge", *given, "--images", str(images), "--out", str(out), "--ensemble", "--points", "3"]
    )
    assert told.exit_code == 0, told.output
    return out, told.stdout


def _answers(file: Path, images: Float32Array) -> Float32Array:
    return OnnxClassifier(file).logits(images)


def test_both_are_written_as_a_program_and_as_onnx(merged: tuple[Path, str], files: tuple[list[Path], Path]) -> None:
    out, _ = merged
    names = {"merged.pt2", "merged.onnx", "ensemble.pt2", "ensemble.onnx", "merge.json"}
    assert {file.name for file in out.iterdir()} == names
    pixels = np.load(files[1], allow_pickle=False)["images"][:20]
    images = to_canonical(pixels, (1, 8, 8))
    for name in ("merged", "ensemble"):
        program = load_classifier(out / f"{name}.pt2").gradients()
        np.testing.assert_allclose(_answers(out / f"{name}.onnx", images), program.logits(images), atol=1e-4)
    mean = np.mean([load_classifier(file).classifier.logits(images) for file in files[0]], axis=0)
    np.testing.assert_allclose(_answers(out / "ensemble.onnx", images), mean, atol=1e-4)


def test_the_report_has_the_accuracy_of_what_was_written(
    merged: tuple[Path, str], files: tuple[list[Path], Path]
) -> None:
    out, said = merged
    report = json.loads((out / "merge.json").read_text())
    assert report["accuracy"].keys() == {*map(str, files[0]), "merged", "ensemble"}
    data = np.load(files[1], allow_pickle=False)
    judged = report["barriers"]["images"]
    assert judged + report["statistics_images"] == len(data["labels"])
    images = to_canonical(data["images"], (1, 8, 8))
    for name in ("merged", "ensemble"):
        right = (_answers(out / f"{name}.onnx", images).argmax(axis=1) == data["labels"]).mean()
        assert report["accuracy"][name] == pytest.approx(right, abs=0.03)  # measured on three quarters of them
        assert f"{report['accuracy'][name]:.2%}  {name}" in said


def test_it_advises_by_the_barrier_it_measured(merged: tuple[Path, str]) -> None:
    out, said = merged
    barriers = json.loads((out / "merge.json").read_text())["barriers"]
    worst = max(max(row) for row in barriers["via_reference"]["error"])
    assert barriers["worst_error_barrier"] == worst
    assert barriers["advice"] == ("merge" if worst < 0.02 else "ensemble")
    assert re.search(rf"advice +{barriers['advice']}: ", said)
    naive = max(max(row) for row in barriers["naive"]["error"])
    assert naive > worst
    assert barriers["merged_barrier"]["error"] < naive


def test_what_is_written_is_a_classifier_for_every_other_command(
    merged: tuple[Path, str], files: tuple[list[Path], Path], isthmus: Isthmus, tmp_path: Path
) -> None:
    out, _ = merged
    little = ("--scorer", "one-class", "--prototypes", 1, "--runner-ups", 0, "--points", 2, "--prototype-steps", 5)
    for name, suffix in (("merged", "onnx"), ("ensemble", "onnx"), ("ensemble", "pt2")):
        bundle = tmp_path / f"{name}-{suffix}"
        told = isthmus(
            *("calibrate", "--classifier", out / f"{name}.{suffix}", "--gradients", out / f"{name}.pt2"),
            *("--images", files[1], "--out", bundle, "--threads", 1, *little),
        )
        assert told.exit_code == 0, told.output
        scored = isthmus("score", files[1], "--bundle", bundle, "--format", "csv")
        assert scored.exit_code == 0, scored.output


def test_a_network_merged_with_itself_comes_back(
    files: tuple[list[Path], Path], isthmus: Isthmus, tmp_path: Path
) -> None:
    first, images = files[0][0], files[1]
    told = isthmus(
        *("merge", "--networks", first, "--networks", first, "--images", images, "--out", tmp_path / "same"),
        *("--repeat", "--restarts", 1, "--limit", 200, "--shares", "0.3,0.7", "--reference", 2),
    )
    assert told.exit_code == 0, told.output
    assert re.search("advice +merge: no error barrier", told.stdout)
    pixels = to_canonical(np.load(images, allow_pickle=False)["images"][:20], (1, 8, 8))
    np.testing.assert_allclose(
        _answers(tmp_path / "same" / "merged.onnx", pixels), load_classifier(first).classifier.logits(pixels), atol=1e-4
    )
    assert {file.name for file in (tmp_path / "same").iterdir()} == {"merged.pt2", "merged.onnx", "merge.json"}


@pytest.mark.slow  # calibrates and attacks three guards
def test_guards_are_compared_where_that_is_asked_for(
    files: tuple[list[Path], Path], isthmus: Isthmus, tmp_path: Path
) -> None:
    given = [part for file in files[0][:2] for part in ("--networks", file)]
    asked = ("--benchmark", "--no-merged", "--ensemble", "--by", "activations", "--points", 2, "--threads", 1)
    told = isthmus("merge", *given, "--images", files[1], "--out", tmp_path / "out", *asked)
    assert told.exit_code == 0, told.output
    assert {file.name for file in (tmp_path / "out").glob("*.*") if file.is_file()} == {
        "ensemble.pt2",
        "ensemble.onnx",
        "merge.json",
    }
    guards = json.loads((tmp_path / "out" / "merge.json").read_text())["guards"]
    figures = guards["figures"]
    assert figures.keys() == {"single", "merged", "ensemble"}
    assert figures["ensemble"]["forwards"] == 2 * figures["merged"]["forwards"] == 2 * figures["single"]["forwards"]
    assert set(guards["merged less"]) == {"single", "ensemble"}
    for other, difference in guards["merged less"].items():
        value, low, high = difference["figures"]["AUROC, kin left out"]
        assert low <= value <= high
        apart = figures["merged"]["AUROC, kin left out"][0] - figures[other]["AUROC, kin left out"][0]
        assert value == pytest.approx(apart)
    assert "merged guard" in told.stdout
