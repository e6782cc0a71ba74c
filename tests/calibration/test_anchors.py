"""Images that an analysis of difficulty lists stand in for no class, and the bundle says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.calibration.anchors import ListedImages
from detector.calibration.measuring import Measurements
from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.data.digests import image_digests
from detector.errors import CalibrationError
from detector.prototypes.options import PrototypeStart
from tests.support.calibrating import Recorder, quick_options

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs

OPTIONS = quick_options(ScorerChoice.AUTO)


def _listed(digests: Iterable[str], folder: Path, **fields: object) -> Path:
    file = folder / "cleaning-listed.json"
    listed = {digest: {"flags": ["mislabelled"]} for digest in digests}
    file.write_text(json.dumps({"schema_version": 1, "images": 900, "shape": [1, 8, 8], "listed": listed, **fields}))
    return file


def _measured(inputs: CalibrationInputs, folder: Path) -> Measurements:
    return Measurements(inputs, OPTIONS, folder / "work", Recorder())


def test_an_image_is_known_by_its_pixels_wherever_it_stands(inputs: CalibrationInputs, tmp_path: Path) -> None:
    images = inputs.images
    chosen = [3, 30, 300]
    listed = ListedImages.read(_listed(image_digests(images.pixels[chosen]), tmp_path))
    assert np.flatnonzero(listed.among(images)).tolist() == chosen
    order = np.random.default_rng(0).permutation(len(images))
    assert sorted(order[listed.among(images.take(order))]) == chosen
    assert listed.to_json(images)["kept_out"] == listed.to_json(images)["listed"] == 3
    assert listed.warnings(images) == []
    assert len(set(image_digests(images.pixels))) == len({image.tobytes() for image in images.pixels})


def test_listed_images_are_no_medoids_and_the_next_best_are(inputs: CalibrationInputs, tmp_path: Path) -> None:
    plain = replace(inputs, gradients=None)
    before = _measured(plain, tmp_path / "before").prototypes.images
    taken = (before[:, 0].transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
    listed = ListedImages.read(_listed(image_digests(taken), tmp_path))
    after = _measured(replace(plain, listed=listed), tmp_path / "after").prototypes.images
    np.testing.assert_array_equal(
        after[:, 0], before[:, 1]
    )  # the second of each class moves up, as the first is listed
    assert not (after[:, :, None] == before[:, None, :1]).all((3, 4, 5)).any()


def test_listed_images_are_not_in_class_means(inputs: CalibrationInputs, tmp_path: Path) -> None:
    options = replace(OPTIONS, prototypes=replace(OPTIONS.prototypes, start=PrototypeStart.CLASS_MEAN))
    assert inputs.images.labels is not None
    zeros = np.flatnonzero(inputs.images.labels == 0)
    listed = ListedImages.read(_listed(image_digests(inputs.images.pixels[zeros[1:]]), tmp_path))
    given = replace(inputs, listed=listed)
    measured = Measurements(given, options, tmp_path / "work", Recorder())
    left = [row for row in measured.split.fit if row not in zeros[1:]]
    assert measured.anchors.tolist() == left
    means = measured._class_means()
    assert means is not None
    anchors = measured.anchors
    rows = anchors[inputs.images.labels[anchors] == 0]
    source = rows if len(rows) else anchors
    np.testing.assert_allclose(means[0, 0], inputs.images.pixels[source, :, :, 0].mean(0) / 255, atol=1e-6)


def test_a_bundle_says_how_many_were_kept_out(inputs: CalibrationInputs, tmp_path: Path) -> None:
    listed = ListedImages.read(_listed(image_digests(inputs.images.pixels[:7]), tmp_path))
    told = Recorder()
    plain = replace(inputs, gradients=None, listed=listed)
    result = calibrate(plain, OPTIONS, tmp_path / "bundle", progress=told)
    said = result.manifest.provenance["anchors"]
    assert said == {"source": "cleaning-listed.json", "sha256": listed.sha256, "listed": 7, "kept_out": 7}
    assert not any("is among the calibration images" in warning for warning in result.manifest.calibration.warnings)
    assert plain.identity() != replace(plain, listed=None).identity()


def test_a_list_of_other_images_is_warned_about(inputs: CalibrationInputs, tmp_path: Path) -> None:
    listed = ListedImages.read(_listed(["0" * 64], tmp_path, shape=[3, 32, 32]))
    plain = replace(inputs, gradients=None, listed=listed)
    result = calibrate(plain, OPTIONS, tmp_path / "bundle", progress=Recorder())
    (warning,) = (one for one in result.manifest.calibration.warnings if "cleaning-listed.json" in one)
    assert "are read as (1, 8, 8) and were (3, 32, 32)" in warning


def test_a_list_of_all_images_leaves_no_anchor(inputs: CalibrationInputs, tmp_path: Path) -> None:
    listed = ListedImages.read(_listed(image_digests(inputs.images.pixels), tmp_path))
    with pytest.raises(CalibrationError, match="lists all images that fit the scorer"):
        _ = _measured(replace(inputs, listed=listed), tmp_path).anchors


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "no list of images"),
        (b"\xff", "no list of images"),
        (b"[" * 100_000, "no list of images"),
        (b"[]", "no list of images of schema 1"),
        (b'{"schema_version": 2, "shape": [1], "listed": {}}', "of schema 1"),
        (b'{"schema_version": 1, "shape": "1x8x8", "listed": {}}', "of schema 1"),
        (b'{"schema_version": 1, "shape": [1, 8, 8], "listed": []}', "cleaning-listed.json of isthmus analyze"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "list.json"
    file.write_bytes(content)
    with pytest.raises(CalibrationError, match=f"list.json: .*{said}"):
        ListedImages.read(file)


def test_a_list_that_is_not_there_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CalibrationError, match=r"absent.json: can't be read"):
        ListedImages.read(tmp_path / "absent.json")
    monkeypatch.setattr("detector.calibration.anchors.MAX_BYTES", 10)
    with pytest.raises(CalibrationError, match="larger than 10 bytes"):
        ListedImages.read(_listed(["0" * 64], tmp_path))
