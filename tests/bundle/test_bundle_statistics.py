"""Statistics of taps in a bundle: written, read, and refused where they do not fit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from detector.bundle import read_bundle, write_bundle
from detector.bundle.contents import MANIFEST, TAP_STATISTICS
from detector.errors import BundleIntegrityError
from detector.scoring.tap_statistics import TapStatistics

if TYPE_CHECKING:
    from pathlib import Path

GIVEN = TapStatistics(
    (2, 1),
    np.arange(3, dtype=np.float32),
    np.array([1, 0, 2], np.float32),
    np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32),
)


@pytest.fixture
def written(digits_bundle: Path, tmp_path: Path) -> Path:
    """The digits bundle with a tapped plan and with statistics; its scorer reads neither."""
    bundle = read_bundle(digits_bundle)
    manifest = replace(bundle.manifest, plan=replace(bundle.manifest.plan, tapped=(3,)))
    write_bundle(tmp_path / "bundle", manifest, replace(bundle.parts, statistics=GIVEN), attachments={})
    return tmp_path / "bundle"


def _change(bundle: Path, change: Any, *, file: str = TAP_STATISTICS) -> None:
    """As one could who made the bundle."""
    content = change((bundle / file).read_bytes())
    (bundle / file).write_bytes(content)
    fields = json.loads((bundle / MANIFEST).read_bytes())
    fields["files"][file] = hashlib.sha256(content).hexdigest()
    (bundle / MANIFEST).write_text(json.dumps(fields))


def test_what_was_written_is_read(written: Path, digits_bundle: Path) -> None:
    found = read_bundle(written).parts.statistics
    assert found is not None
    assert found.sizes == GIVEN.sizes
    for name in ("mean", "inverse_scale", "centres"):
        np.testing.assert_array_equal(getattr(found, name), getattr(GIVEN, name))
    assert read_bundle(digits_bundle).parts.statistics is None
    assert not (digits_bundle / TAP_STATISTICS).exists()


HARM: list[tuple[str, Any, str]] = [
    ("sizes", lambda a: a.astype(np.int32), "'sizes' must be finite int64"),
    ("sizes", lambda a: a[:0], "'sizes' must hold 1 to 64"),
    ("sizes", lambda a: a - 1, "'sizes' must hold 1 to 64"),
    ("sizes", lambda a: a * (1 << 40), "'sizes' must come to at most 65536"),
    ("sizes", lambda a: a + 1, r"'mean' must be finite float32 of shape \(5,\)"),
    ("mean", lambda a: a.astype(np.float64), "'mean' must be finite float32"),
    ("mean", lambda a: a * np.float32(np.nan), "'mean' must be finite"),
    ("inverse_scale", lambda a: -a, "'inverse_scale' must not be negative"),
    ("inverse_scale", lambda a: a[:2], r"'inverse_scale' must be finite float32 of shape \(3,\)"),
    ("centres", lambda a: a[:9], r"'centres' must be finite float32 of shape \(10, None\)"),
    ("centres", lambda a: a[:, :2], r"'centres' must be finite float32 of shape \(10, 3\)"),
]


@pytest.mark.parametrize(("array", "harm", "message"), HARM)
def test_arrays_that_do_not_fit_are_refused_by_name(written: Path, array: str, harm: Any, message: str) -> None:
    def change(content: bytes) -> bytes:
        arrays = load(content)
        return save(arrays | {array: np.ascontiguousarray(harm(arrays[array]))})

    _change(written, change)
    with pytest.raises(BundleIntegrityError, match=f"{TAP_STATISTICS}: array {message}"):
        read_bundle(written)


@pytest.mark.parametrize("array", ["sizes", "mean", "inverse_scale", "centres"])
def test_a_missing_array_is_named(written: Path, array: str) -> None:
    def change(content: bytes) -> bytes:
        return save({name: values for name, values in load(content).items() if name != array})

    _change(written, change)
    with pytest.raises(BundleIntegrityError, match=f"{TAP_STATISTICS}: array '{array}' is missing"):
        read_bundle(written)


def test_one_changed_byte_is_found(written: Path) -> None:
    content = bytearray((written / TAP_STATISTICS).read_bytes())
    content[-1] ^= 1
    (written / TAP_STATISTICS).write_bytes(content)
    with pytest.raises(BundleIntegrityError, match=f"{TAP_STATISTICS}: altered"):
        read_bundle(written)


def test_statistics_of_taps_that_are_not_read_are_refused(written: Path) -> None:
    fields = json.loads((written / MANIFEST).read_bytes())
    fields["path_plan"]["tapped"] = []
    (written / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleIntegrityError, match=f"{TAP_STATISTICS}: there for taps, but .* taps no path"):
        read_bundle(written)
