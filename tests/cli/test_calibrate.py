"""`isthmus calibrate`: what its flags leave out is left out of the bundle, and what remains serves."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from detector import Detector, read_bundle
from detector.classifiers.onnx import OnnxClassifier
from detector.cli.main import app
from detector.data.digests import image_digests
from detector.errors import BundleError
from detector.profiles import View
from detector.residuals import residual_count
from detector.scoring.features import CHANNELS
from detector.scoring.hidden_paths import hidden_path_names
from detector.scoring.runner import OnnxScorer
from tests.support.bundles import digits_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

POINTS = 1 + 2 * 2  # the image, and two points towards a prototype and towards the blur
FLAGS = {
    "views": ("--no-taps",),
    "taps": ("--no-views",),
    "residuals": ("--no-taps", "--no-views", "--residuals"),
    "hidden paths": ("--no-views", "--hidden-paths"),
}
"""What is in, and the flags that leave out what is on by default."""
TAPPED = {"taps", "hidden paths"}


@pytest.fixture(scope="module")
def bundles(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("flags")
    return {name: _calibrated(digits, folder / name, flags) for name, flags in FLAGS.items()}


def _calibrated(digits: EmbeddedDefault, out: Path, flags: tuple[str, ...]) -> Path:
    """A bundle made with defaults and flags, but with little of everything that takes time."""
    quick = ("--scorer", "one-class", "--threads", "1")
    little = ("--prototypes", "1", "--runner-ups", "0", "--points", "2", "--prototype-steps", "5")
    files = ("--classifier", digits.classifier_file, "--gradients", digits.gradients_file)
    given = ("--images", digits.images_file, "--out", out)
    done = CliRunner().invoke(app, ["calibrate", *map(str, (*quick, *little, *files, *given, *flags))])
    assert done.exit_code == 0, done.output
    return out


def _hidden_names(detector: Detector) -> tuple[str, ...]:
    statistics = detector.bundle.parts.statistics
    return () if statistics is None else hidden_path_names(detector.bundle.manifest.plan, len(statistics.sizes))


@pytest.mark.parametrize("name", FLAGS)
def test_the_manifest_holds_what_was_asked_for(bundles: dict[str, Path], name: str) -> None:
    plan = read_bundle(bundles[name]).manifest.plan
    views, taps = name == "views", name in TAPPED
    assert plan.views == (tuple(View) if views else ())
    assert plan.tapped == ((1,) if taps else ())
    assert plan.residuals == (name == "residuals")
    assert plan.forwards_per_image == POINTS + 2 * views
    assert plan.tapped_points == (("image", "blur:0.1111", "blur:0.4444") if taps else ())


@pytest.mark.parametrize("name", FLAGS)
def test_the_classifier_in_the_bundle_has_taps_where_it_was_asked_to_and_answers_alike(
    bundles: dict[str, Path], name: str, digits: EmbeddedDefault
) -> None:
    bundle = read_bundle(bundles[name])
    classifier = OnnxClassifier(bundle.graph)
    assert (classifier.tap_count > 0) == (name in TAPPED)
    images = bundle.parts.canaries.images
    np.testing.assert_array_equal(classifier.logits(images), digits_onnx(digits).logits(images))


@pytest.mark.parametrize("name", FLAGS)
def test_the_scorer_reads_what_the_walk_gives(bundles: dict[str, Path], name: str, digits: EmbeddedDefault) -> None:
    detector = Detector.load(bundles[name])
    extra = {
        "views": 2 * len(CHANNELS),
        "taps": 3 * detector.classifier.tap_count,
        "residuals": residual_count(detector.bundle.manifest.spec.shape),
        "hidden paths": 3 * detector.classifier.tap_count + len(_hidden_names(detector)),
    }
    assert OnnxScorer(detector.bundle.parts.scorer).features == len(CHANNELS) * POINTS + extra[name]
    found = detector.score(digits.test.pixels[:20])
    assert np.isfinite(found.scores).all()


def test_a_scorer_that_reads_taps_refuses_a_classifier_without(
    bundles: dict[str, Path], digits: EmbeddedDefault
) -> None:
    with pytest.raises(BundleError, match=f"the path plan and the classifier's taps give {len(CHANNELS) * POINTS}"):
        Detector(read_bundle(bundles["taps"]), classifier=digits_onnx(digits))
    untapped = Detector(read_bundle(bundles["views"]), classifier=digits_onnx(digits))
    assert len(untapped.score(digits.test.pixels[:3])) == 3


def test_people_read_what_a_bundle_has(isthmus: Isthmus, bundles: dict[str, Path]) -> None:
    told = {name: isthmus("inspect", path).stdout for name, path in bundles.items()}
    assert re.search(r"^views +mirror, shift *$", told["views"], re.MULTILINE)
    assert re.search(r"^taps +read at the image and along blur *$", told["taps"], re.MULTILINE)
    assert not re.search("^taps", told["views"], re.MULTILINE)
    assert not re.search("^views", told["taps"], re.MULTILINE)
    assert re.search("^residuals +.*tail of their own", told["residuals"], re.MULTILINE)
    assert not re.search("^residuals", told["taps"], re.MULTILINE)
    assert re.search(
        r"^hidden paths +of \d tapped layers, \d+ numbers, are read *$", told["hidden paths"], re.MULTILINE
    )
    assert not re.search("^hidden paths", told["taps"], re.MULTILINE)


def test_images_that_an_analysis_lists_are_kept_out_of_anchors(digits: EmbeddedDefault, tmp_path: Path) -> None:
    with np.load(digits.images_file, allow_pickle=False) as arrays:
        digests = image_digests(arrays["images"][:5])
    listed = tmp_path / "cleaning-listed.json"
    fields = {"schema_version": 1, "images": 900, "shape": [1, 8, 8], "listed": {digest: {} for digest in digests}}
    listed.write_text(json.dumps(fields))
    bundle = read_bundle(_calibrated(digits, tmp_path / "bundle", ("--no-taps", "--difficulty", str(listed))))
    assert bundle.manifest.provenance["anchors"]["kept_out"] == 5


def test_a_list_that_is_not_there_is_told_before_anything_is_loaded(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    files = ("--classifier", digits.classifier_file, "--images", digits.images_file, "--out", tmp_path / "bundle")
    done = isthmus("calibrate", *files, "--difficulty", tmp_path / "absent.json")
    assert done.exit_code == 1
    assert "absent.json: can't be read" in " ".join(done.stderr.split())
    assert "classifier:" not in done.stderr
