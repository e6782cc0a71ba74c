from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector
from tests.service.support import run_python
from tests.support.pictures import encoded, write

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

COUNT = 70  # more than a chunk


@pytest.fixture
def photos(digits: EmbeddedDefault, tmp_path: Path) -> Path:
    """Test digits in class folders, and two files that are no images."""
    assert digits.test.labels is not None
    files = {
        f"{label}/{index:03}.png": encoded(pixels)
        for index, (pixels, label) in enumerate(zip(digits.test.pixels[:COUNT], digits.test.labels, strict=False))
    }
    return write(tmp_path / "photos", files | {"0/broken.png": b"not an image", "9/empty.jpg": b""})


def test_every_image_gets_the_detectors_answer_and_bad_ones_a_reason(
    isthmus: Isthmus, photos: Path, digits: EmbeddedDefault, digits_bundle: Path
) -> None:
    told = isthmus("score", "--bundle", digits_bundle, "--format", "json", photos)
    rows = json.loads(told.stdout)
    assert told.exit_code == 0
    assert [row["image"] for row in rows] == sorted(str(file) for file in photos.glob("*/*"))
    wanted = Detector.load(digits_bundle).score(digits.test.pixels[:COUNT])
    good = {row["image"][-7:-4]: row for row in rows if row["error"] is None}
    assert len(good) == COUNT
    for index, row in enumerate(good[f"{index:03}"] for index in range(COUNT)):
        assert row["prediction"] == wanted.labels[index]
        assert row["verdict"] == wanted.verdicts[index]
        assert row["p_value"] == pytest.approx(wanted.p_values[index])
        assert row["score"] == pytest.approx(float(wanted.scores[index]), rel=1e-4, abs=1e-5)
        assert row["label"] == row["image"].split("/")[-2]
        assert 0.1 <= row["probability"] <= 1
    bad = {row["image"]: row for row in rows if row["error"]}
    assert set(bad) == {f"{photos}/0/broken.png", f"{photos}/9/empty.jpg"}
    assert all(row["verdict"] is None and row["score"] is None for row in bad.values())
    assert f"{COUNT} images" in told.stderr
    assert "2 could not be scored" in told.stderr


def test_csv_and_json_say_the_same(isthmus: Isthmus, photos: Path, digits_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    told = isthmus("score", "--bundle", digits_bundle, "--format", "csv", "--output", file, photos / "3")
    assert told.exit_code == 0
    assert told.stdout == ""
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    wanted = json.loads(isthmus("score", "--bundle", digits_bundle, "--format", "json", photos / "3").stdout)
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in wanted] == rows
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_table_names_files_as_given(isthmus: Isthmus, photos: Path, digits_bundle: Path) -> None:
    image = next((photos / "5").iterdir())
    told = isthmus("score", "--bundle", digits_bundle, image, photos / "0" / "broken.png")
    heading, good, bad = told.stdout.splitlines()
    assert heading.split() == ["VERDICT", "P-VALUE", "SCORE", "PREDICTION", "PROB", "IMAGE"]
    assert good.split()[0] in {"BENIGN", "SUSPECT", "ADVERSARIAL"}
    assert good.endswith(f"  {image}")
    assert f"{photos}/0/broken.png: " in bad
    assert told.exit_code == 0


def test_arrays_and_files_are_scored_together(
    isthmus: Isthmus, photos: Path, digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "few.npz", images=digits.test.pixels[:3])
    told = isthmus("score", "--bundle", digits_bundle, "--format", "csv", tmp_path / "few.npz", photos / "1")
    names = [row["image"] for row in csv.DictReader(io.StringIO(told.stdout))]
    assert names[:3] == [f"{tmp_path}/few.npz/images[{index}]" for index in range(3)]
    assert names[3:] == sorted(str(file) for file in (photos / "1").iterdir())


def test_missing_inputs_are_counted_and_fail_only_when_nothing_is_left(
    isthmus: Isthmus, photos: Path, digits_bundle: Path
) -> None:
    missing = photos / "nowhere.png"
    some = isthmus("score", "--bundle", digits_bundle, missing, photos / "1")
    assert some.exit_code == 0
    assert "1 could not be scored" in some.stderr
    none = isthmus("score", "--bundle", digits_bundle, "--format", "json", missing)
    assert none.exit_code == 1
    assert json.loads(none.stdout)[0]["error"].startswith("no such file or folder")
    assert f"not one image could be scored; the first: {missing}: no such file" in none.stderr


def test_an_output_that_cant_be_written_is_one_line(
    isthmus: Isthmus, photos: Path, digits_bundle: Path, tmp_path: Path
) -> None:
    told = isthmus("score", "--bundle", digits_bundle, "--output", tmp_path / "no" / "where", photos)
    assert told.exit_code == 1
    assert "--output" in told.stderr.splitlines()[-1]


def test_flagged_images_are_drawn(isthmus: Isthmus, digits_bundle: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=noise)
    pictures = tmp_path / "pictures"
    told = isthmus(
        "score", "--bundle", digits_bundle, "--format", "json", "--profiles", pictures, tmp_path / "noise.npz"
    )
    flagged = [row for row in json.loads(told.stdout) if row["verdict"] != "BENIGN"]
    drawn = sorted(pictures.iterdir())
    assert len(drawn) == len(flagged) > 0
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in drawn)


def test_scoring_never_loads_offline_packages(photos: Path, digits_bundle: Path) -> None:
    arguments = ["score", "--bundle", str(digits_bundle), str(photos), "--output", str(photos / "out")]
    program = f"""
import sys
from detector.cli.main import app
app({arguments!r}, standalone_mode=False)
app(["inspect", {str(digits_bundle)!r}, "--json"], standalone_mode=False)
names = ("torch", "torchvision", "sklearn", "scipy", "matplotlib", "art", "grpc", "service.server")
print()
print([name for name in names if name in sys.modules])
"""
    assert run_python(program).stdout.splitlines()[-1] == "[]"
