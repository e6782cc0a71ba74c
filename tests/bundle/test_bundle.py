from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.bundle import Bundle, Manifest, read_bundle, write_bundle
from detector.bundle.contents import CALIBRATION, CANARIES, CLASSIFIER, MANIFEST, PROTOTYPES, REPORT, SCORER
from detector.bundle.manifest import SCHEMA_VERSION
from detector.classifiers.address import RemoteModel
from detector.errors import BundleError, FusionError, SettingsError
from detector.strata import ONE_STRATUM
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from pathlib import Path

REMOTE = RemoteModel(target="host:1", tls=True, model="digits", version="2", input="images", output="logits", batch=16)
NAMES = {MANIFEST, CLASSIFIER, PROTOTYPES, SCORER, CALIBRATION, CANARIES, REPORT}


@pytest.fixture(scope="module")
def bundle(digits_bundle: Path) -> Bundle:
    return read_bundle(digits_bundle)


def _write(bundle: Bundle, path: Path, *, overwrite: bool = False, **attachments: bytes) -> str:
    named = {name.replace("_", "."): content for name, content in attachments.items()}
    return write_bundle(path, bundle.manifest, bundle.parts, attachments=named, overwrite=overwrite)


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_was_written_is_read(bundle: Bundle, tmp_path: Path) -> None:
    digest = _write(bundle, tmp_path / "deep" / "copy", report_html=b"<p>digits</p>")
    found = read_bundle(tmp_path / "deep" / "copy")
    assert found.manifest == bundle.manifest
    assert found.digest == digest == bundle.digest
    assert found.parts.classifier == bundle.parts.classifier
    assert found.parts.scorer == bundle.parts.scorer
    np.testing.assert_array_equal(found.parts.prototypes.images, bundle.parts.prototypes.images)
    np.testing.assert_array_equal(found.parts.prototypes.losses, bundle.parts.prototypes.losses)
    np.testing.assert_array_equal(found.parts.calibration.scores, bundle.parts.calibration.scores)
    np.testing.assert_array_equal(found.parts.calibration.classes, bundle.parts.calibration.classes)
    assert found.parts.calibration.strata == bundle.parts.calibration.strata
    assert found.parts.calibration.difficulty is not None
    np.testing.assert_array_equal(found.parts.calibration.difficulty, bundle.parts.calibration.difficulty)
    np.testing.assert_array_equal(found.parts.canaries.images, bundle.parts.canaries.images)
    np.testing.assert_array_equal(found.parts.canaries.logits, bundle.parts.canaries.logits)


def test_other_rates_than_it_was_calibrated_with(bundle: Bundle) -> None:
    assert bundle.with_rates() is bundle
    looser = bundle.with_rates(suspect=0.2)
    assert looser.manifest.rates == TargetRates(0.2, bundle.manifest.rates.adversarial)
    assert looser.with_rates(suspect=0.05) == bundle
    assert looser.digest == bundle.digest
    # The smallest rate that some image of some stratum can reach.
    calibration, labels = bundle.parts.calibration, len(bundle.manifest.labels)
    edges = calibration.strata.edges
    difficulty = np.repeat(np.array([edges[0] - 1, *edges], np.float32), labels)
    classes = np.tile(np.arange(labels), len(edges) + 1)
    least = float(calibration.p_values(np.full(len(classes), 1e9, np.float32), classes, difficulty).min())
    assert bundle.with_rates(adversarial=least).manifest.rates.adversarial == least
    with pytest.raises(SettingsError, match="adversarial_rate: no p-value of this bundle is below"):
        bundle.with_rates(adversarial=0.99 * least)
    with pytest.raises(SettingsError, match=r"0 < adversarial < suspect < 1, not 0\.3 and 0\.05"):
        bundle.with_rates(adversarial=0.3)


def test_one_stratum_needs_no_difficulty(bundle: Bundle, tmp_path: Path) -> None:
    whole = replace(bundle.parts.calibration, strata=ONE_STRATUM, difficulty=None)
    summary = replace(bundle.manifest.calibration, images_per_stratum=(len(whole.scores),))
    manifest = replace(bundle.manifest, calibration=summary)
    _write(replace(bundle, manifest=manifest, parts=replace(bundle.parts, calibration=whole)), tmp_path / "one")
    found = read_bundle(tmp_path / "one").parts.calibration
    assert found.strata == ONE_STRATUM
    assert found.difficulty is None


def test_a_manifest_survives_its_bytes(bundle: Bundle) -> None:
    summary = replace(bundle.manifest.calibration, accuracy=None, warnings=("a ≠ b",), detection={"PGD": 0.5})
    manifest = replace(bundle.manifest, calibration=summary, labels=("été", *bundle.manifest.labels[1:]))
    assert Manifest.from_bytes(manifest.to_bytes(), name="m") == manifest


def test_the_same_parts_give_the_same_bytes_wherever_they_lie_in_memory(bundle: Bundle, tmp_path: Path) -> None:
    prototypes = bundle.parts.prototypes
    fortran = replace(prototypes, images=np.asfortranarray(prototypes.images))
    _write(bundle, tmp_path / "one")
    _write(replace(bundle, parts=replace(bundle.parts, prototypes=fortran)), tmp_path / "other")
    assert _contents(tmp_path / "one") == _contents(tmp_path / "other")


def test_the_folder_holds_what_is_listed_and_nothing_else(digits_bundle: Path, bundle: Bundle) -> None:
    assert set(_contents(digits_bundle)) == NAMES
    assert set(bundle.manifest.files) == NAMES - {MANIFEST}
    for name, digest in bundle.manifest.files.items():
        assert hashlib.sha256((digits_bundle / name).read_bytes()).hexdigest() == digest
    assert hashlib.sha256((digits_bundle / MANIFEST).read_bytes()).hexdigest() == bundle.digest
    assert json.loads((digits_bundle / MANIFEST).read_bytes())["schema_version"] == SCHEMA_VERSION
    assert digits_bundle.stat().st_mode & 0o777 == 0o755


def test_every_change_changes_the_digest(bundle: Bundle, tmp_path: Path) -> None:
    scores = bundle.parts.calibration.scores.copy()
    scores[0] = np.nextafter(scores[0], np.float32(np.inf))
    nudged = replace(bundle.parts, calibration=replace(bundle.parts.calibration, scores=scores))
    variants = [
        bundle,
        replace(bundle, parts=nudged),
        replace(bundle, manifest=replace(bundle.manifest, provenance={"seed": 1})),
    ]
    digests = {_write(one, tmp_path / str(i)) for i, one in enumerate(variants)}
    digests.add(_write(bundle, tmp_path / "noted", notes_txt=b"x"))
    assert len(digests) == 4


def test_a_bundle_is_replaced_only_with_leave(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    _write(bundle, path, notes_txt=b"old")
    before = _contents(path)
    with pytest.raises(BundleError, match="--overwrite"):
        _write(bundle, path)
    assert _contents(path) == before
    _write(bundle, path, overwrite=True)
    assert "notes.txt" not in _contents(path)
    assert read_bundle(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_what_is_no_bundle_is_never_replaced(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("also dear")
    for name in ("thesis", "file"):
        with pytest.raises(BundleError, match=f"{name}: exists and is not a bundle"):
            _write(bundle, tmp_path / name, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "also dear"


@pytest.mark.parametrize("overwrite", [False, True])
def test_where_the_disk_refuses_nothing_half_written_stays(bundle: Bundle, tmp_path: Path, overwrite: bool) -> None:  # noqa: FBT001 - a case
    path = tmp_path / "bundle"
    if overwrite:
        _write(bundle, path)
    before = {entry.name for entry in tmp_path.iterdir()}
    too_long = {"report.html": b"", "x" * 300: b""}  # no file system takes such a name; written last but one
    with pytest.raises(BundleError, match=r"bundle: the bundle can't be written: .*too long"):
        write_bundle(path, bundle.manifest, bundle.parts, attachments=too_long, overwrite=overwrite)
    assert {entry.name for entry in tmp_path.iterdir()} == before
    if overwrite:
        assert read_bundle(path).digest == _write(bundle, tmp_path / "again")


def test_a_place_that_can_not_be_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "bundle", tmp_path / ("x" * 300)):
        with pytest.raises(BundleError, match="can't be written"):
            _write(bundle, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_bundle_can_be_moved_and_reached_through_links(digits_bundle: Path, bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(digits_bundle, tmp_path / "moved")
    (tmp_path / "link").symlink_to("moved")
    assert read_bundle(tmp_path / "link").digest == bundle.digest
    assert read_bundle(str(tmp_path / "moved")).digest == bundle.digest


def test_a_bundle_of_a_classifier_that_runs_elsewhere_says_where_and_has_no_graph(
    bundle: Bundle, tmp_path: Path
) -> None:
    assert bundle.manifest.remote is None
    assert bundle.graph == bundle.parts.classifier
    assert bundle.output_name == "logits"
    manifest = replace(bundle.manifest, remote=REMOTE)
    digest = write_bundle(tmp_path / "remote", manifest, replace(bundle.parts, classifier=None), attachments={})
    found = read_bundle(tmp_path / "remote")
    assert (found.digest, found.manifest.remote, found.parts.classifier) == (digest, REMOTE, None)
    assert set(_contents(tmp_path / "remote")) == NAMES - {CLASSIFIER, REPORT}
    assert found.output_name == REMOTE.output
    with pytest.raises(FusionError, match="runs at grpcs://host:1/digits/2"):
        _ = found.graph
