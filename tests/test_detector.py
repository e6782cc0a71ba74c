from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detector import Detection, Detector, Verdict, read_bundle
from detector.classifiers.onnx import OnnxClassifier
from detector.embedded import LABELS, SPEC
from detector.engine.choice import EngineChoice
from detector.errors import BundleError, ClassifierMismatchError, InvalidInputError, IsthmusError, SettingsError
from detector.images import to_canonical
from detector.paths.straight import barriers
from detector.scoring.one_class import fit_one_class
from tests.service.support import python_environment
from tests.support.bundles import DIGITS_PLAN, digits_onnx
from tests.support.flips import HIGH_EXPONENT, LOW_EXPONENT, SIGN, with_flipped_bit
from tests.support.formulas import FormulaClassifier
from tests.support.guards import TAPPED, guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.classifiers.base import Float32Array
    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="module")
def detector(digits_bundle: Path) -> Detector:
    return Detector.load(digits_bundle)


@pytest.fixture(scope="module")
def detection(detector: Detector, digits: EmbeddedDefault) -> Detection:
    return detector.score(digits.test.pixels)


def _assert_same(one: Detection, other: Detection) -> None:
    np.testing.assert_array_equal(one.predicted, other.predicted)
    assert one.labels == other.labels
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-3)
    np.testing.assert_allclose(one.barrier_heights, other.barrier_heights, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(one.barrier_gaps, other.barrier_gaps, rtol=1e-3, atol=1e-4)
    # A score between two calibration scores may round to the other side of one of them.
    np.testing.assert_allclose(one.p_values, other.p_values, atol=0.03)


def test_it_tells_what_it_sees(detection: Detection, digits: EmbeddedDefault) -> None:
    assert len(detection) == 297
    assert (detection.predicted == digits.test.labels).mean() == pytest.approx(digits.accuracy)
    assert detection.labels == tuple(LABELS[c] for c in detection.predicted)
    assert detection.scores.dtype == np.float32
    assert detection.scores.min() >= 0
    assert detection.p_values.min() > 0
    assert detection.p_values.max() <= 1
    np.testing.assert_array_equal(detection.logits, detection.profile.image_logits)


def test_the_parts_of_an_answer_agree(detection: Detection, detector: Detector) -> None:
    assert detection.verdicts == detector.bundle.manifest.rates.verdicts(detection.p_values)
    found = barriers(detection.profile, detector.bundle.parts.prototypes)
    np.testing.assert_allclose(detection.barrier_heights, found.heights, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(detection.barrier_gaps, found.gaps, rtol=1e-5, atol=1e-5)
    calibration = detector.bundle.parts.calibration
    difficulty = calibration.strata.difficulty(detection.logits)
    np.testing.assert_array_equal(detection.strata, calibration.strata.numbers(difficulty))
    assert len(np.unique(detection.strata)) == calibration.strata.count
    np.testing.assert_allclose(
        detection.p_values, calibration.p_values(detection.scores, detection.predicted, difficulty), rtol=1e-12
    )


def test_benign_images_are_flagged_as_rarely_as_promised(detection: Detection) -> None:
    flagged = [v is not Verdict.BENIGN for v in detection.verdicts]
    assert 0 < np.mean(flagged) < 0.1  # 5 % is promised; 297 images, calibrated on 500


def test_noise_scores_higher_than_digits(detector: Detector, detection: Detection, digits: EmbeddedDefault) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, digits.test.pixels.shape, dtype=np.uint8)
    scores = np.concatenate([detection.scores, detector.score(noise).scores])
    assert roc_auc_score(np.arange(2 * 297) >= 297, scores) > 0.75


def test_a_batch_is_its_images_one_by_one(detector: Detector, detection: Detection, digits: EmbeddedDefault) -> None:
    for row in range(40):
        _assert_same(detector.score(digits.test.pixels[row]), detection[row : row + 1])


def test_floats_and_grey_images_without_a_channel_axis_are_the_same_images(
    detector: Detector, detection: Detection, digits: EmbeddedDefault
) -> None:
    pixels = digits.test.pixels
    _assert_same(detector.score(pixels / 255), detection)
    _assert_same(detector.score(pixels[3, :, :, 0]), detection[3:4])


def test_threads_get_the_answers_they_would_get_alone(detector: Detector, digits: EmbeddedDefault) -> None:
    parts = [digits.test.pixels[i::8] for i in range(8)]
    alone = [detector.score(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for one, other in zip(pool.map(detector.score, parts), alone, strict=True):
                _assert_same(one, other)


def test_part_of_an_answer_is_the_answer_to_a_part(detection: Detection) -> None:
    part = detection[5:9]
    assert len(part) == 4
    assert part.labels == detection.labels[5:9]
    assert part.verdicts == detection.verdicts[5:9]
    np.testing.assert_array_equal(part.p_values, detection.p_values[5:9])
    np.testing.assert_array_equal(part.profile.losses, detection.profile.losses[5:9])


def test_bad_images_are_refused_by_name(detector: Detector, digits: EmbeddedDefault) -> None:
    images = digits.test.pixels[:4] / 255
    images[2, 0, 0, 0] = np.nan
    with pytest.raises(InvalidInputError, match=r"^images\[2\]: has NaN"):
        detector.score(images)


def test_the_running_classifier_may_be_another_copy_but_not_another_classifier(
    digits_bundle: Path, digits: EmbeddedDefault, detection: Detection
) -> None:
    bundle = read_bundle(digits_bundle)
    real = digits_onnx(digits)
    _assert_same(Detector(bundle, classifier=real).score(digits.test.pixels), detection)

    def log_probabilities(images: Float32Array) -> Float32Array:
        logits = real.logits(images)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    same = FormulaClassifier(log_probabilities, 10, SPEC)
    _assert_same(Detector(bundle, classifier=same).score(digits.test.pixels), detection)


FOREIGN: dict[str, Callable[[Float32Array], Float32Array]] = {
    "permuted": lambda logits: np.roll(logits, 1, axis=1),
    "sharper": lambda logits: 1.2 * logits,
    "constant": np.zeros_like,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_classifier_is_refused(digits_bundle: Path, digits: EmbeddedDefault, kind: str) -> None:
    real = digits_onnx(digits)
    foreign = FormulaClassifier(lambda images: FOREIGN[kind](real.logits(images)), 10, SPEC)
    with pytest.raises(ClassifierMismatchError, match="not the one this bundle was calibrated for; calibrate again"):
        Detector(read_bundle(digits_bundle), classifier=foreign)


def test_a_classifier_of_other_images_or_classes_is_refused(digits_bundle: Path) -> None:
    bundle = read_bundle(digits_bundle)
    for classes, spec in ((9, SPEC), (10, replace(SPEC, height=9))):
        foreign = FormulaClassifier(lambda images: images[:, 0, 0], classes, spec)
        with pytest.raises(ClassifierMismatchError, match="was calibrated for"):
            Detector(bundle, classifier=foreign)


def test_a_bundle_whose_parts_do_not_fit_is_refused(digits_bundle: Path) -> None:
    bundle = read_bundle(digits_bundle)
    narrow = fit_one_class(np.random.default_rng(0).random((30, 3), np.float32)).model
    with pytest.raises(BundleError, match="scorer reads 3 features, but the path plan and the classifier's taps give"):
        Detector(replace(bundle, parts=replace(bundle.parts, scorer=narrow)))
    with pytest.raises(BundleError, match="scorer graph must map"):
        Detector(replace(bundle, parts=replace(bundle.parts, scorer=bundle.graph)))
    for wrong in (bundle.parts.scorer, b"no graph"):
        with pytest.raises(BundleError, match="the bundle's classifier does not fit its manifest"):
            Detector(replace(bundle, parts=replace(bundle.parts, classifier=wrong)))


def test_the_classifier_is_asked_as_often_as_the_plan_says(digits_bundle: Path, digits: EmbeddedDefault) -> None:
    real = digits_onnx(digits)
    counting = FormulaClassifier(real.logits, 10, SPEC)
    detector = Detector(read_bundle(digits_bundle), classifier=counting)
    counting.asked = 0
    detector.score(digits.test.pixels[:10])
    assert counting.asked == 10 * DIGITS_PLAN.forwards_per_image == 130


PROGRAM = """
import sys
import numpy as np
from detector import Detector
detection = Detector.load(sys.argv[1]).score(np.load(sys.argv[2], allow_pickle=False))
print([name for name in ("torch", "sklearn", "matplotlib", "scipy", "art", "grpc") if name in sys.modules])
np.save(sys.argv[3], detection.scores)
"""


def test_it_scores_in_a_process_that_loads_no_offline_package(
    digits_bundle: Path, digits: EmbeddedDefault, detection: Detection, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", digits.test.pixels)
    paths = (str(digits_bundle), str(tmp_path / "images.npy"), str(tmp_path / "scores.npy"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths], check=True, capture_output=True, text=True, env=python_environment()
    )
    assert done.stdout.strip() == "[]"
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy", allow_pickle=False), detection.scores, rtol=1e-3)


def test_the_number_of_threads_changes_no_answer(
    digits_bundle: Path, digits: EmbeddedDefault, detection: Detection
) -> None:
    _assert_same(Detector.load(str(digits_bundle), threads=1).score(digits.test.pixels), detection)


def test_the_canaries_are_answered_alike_by_the_classifier_alone(digits_bundle: Path, digits: EmbeddedDefault) -> None:
    canaries = read_bundle(digits_bundle).canaries
    runs = OnnxClassifier(digits.classifier_file, spec=SPEC, labels=LABELS)
    np.testing.assert_allclose(runs.logits(canaries.images), canaries.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("engine", [EngineChoice.FUSED, EngineChoice.REFERENCE])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_calibrated_classifier_is_far_from_being_refused(
    digits_bundle: Path, engine: EngineChoice, threads: int
) -> None:
    detector = Detector.load(digits_bundle, engine=engine, threads=threads)
    assert detector.canary_deviations.shape == (len(detector.bundle.canaries),)
    assert 0 <= detector.canary_deviations.max() < 0.25


@pytest.mark.parametrize("engine", [EngineChoice.FUSED, EngineChoice.REFERENCE])
@pytest.mark.parametrize("bit", [SIGN, HIGH_EXPONENT, LOW_EXPONENT])
def test_one_flipped_bit_is_refused(digits_bundle: Path, engine: EngineChoice, bit: int) -> None:
    bundle = read_bundle(digits_bundle)
    harmed = replace(bundle, parts=replace(bundle.parts, classifier=with_flipped_bit(bundle.graph, bit)))
    with pytest.raises(IsthmusError) as told:
        Detector(harmed, engine=engine)
    if bit != HIGH_EXPONENT:  # which may leave no numbers to compare
        assert isinstance(told.value, ClassifierMismatchError)
        assert told.value.deviation > 10
        Detector(harmed, engine=engine, canary_tolerance=2 * told.value.deviation)


def test_a_processor_of_another_kind_may_round_otherwise(digits_bundle: Path, digits: EmbeddedDefault) -> None:
    real, bundle = digits_onnx(digits), read_bundle(digits_bundle)
    coarse = FormulaClassifier(lambda images: real.logits(images) * np.float32(1.002), 10, SPEC)  # as of ten bits
    with pytest.raises(ClassifierMismatchError):
        bundle.canaries.check(coarse.logits(bundle.canaries.images))
    detector = Detector(bundle, classifier=coarse)
    assert (detector.bundle.canaries.allowed > bundle.canaries.allowed).all()
    assert detector.canary_deviations.max() < 1
    with pytest.raises(ClassifierMismatchError):
        Detector(bundle, classifier=coarse, canary_tolerance=0.01)


@pytest.mark.parametrize("factor", [0, float("nan")])
def test_a_tolerance_out_of_range_is_refused(digits_bundle: Path, factor: float) -> None:
    with pytest.raises(SettingsError, match="canary_tolerance"):
        Detector.load(digits_bundle, canary_tolerance=factor)


def test_the_classifier_alone_needs_no_taps(digits: EmbeddedDefault, digits_bundle: Path) -> None:
    detector = guarded(digits, digits_bundle, TAPPED)
    images = to_canonical(digits.test.pixels[:40], (1, 8, 8))
    np.testing.assert_allclose(
        detector.classify_canonical(images), detector.score_canonical(images).logits, rtol=1e-4, atol=1e-4
    )
    assert detector.classifier.tap_count > 0
    assert detector._untapped.tap_count == 0
