from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from detector.bundle import read_bundle
from detector.bundle.contents import CALIBRATION, CANARIES, CLASSIFIER, MANIFEST, PROTOTYPES, REPORT, SCORER
from detector.bundle.manifest import SCHEMA_VERSION, Manifest
from detector.errors import BundleError, BundleIntegrityError, BundleSchemaError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FILES = (CLASSIFIER, PROTOTYPES, SCORER, CALIBRATION, CANARIES, REPORT)


@pytest.fixture
def copy(digits_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that may be harmed."""
    return shutil.copytree(digits_bundle, tmp_path / "copy")


def _fields(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / MANIFEST).read_bytes())


def _replace_file(bundle: Path, name: str, content: bytes) -> None:
    """Change a file and its digest in the manifest, as one who made the bundle could."""
    fields = _fields(bundle)
    fields["files"][name] = hashlib.sha256(content).hexdigest()
    (bundle / name).write_bytes(content)
    (bundle / MANIFEST).write_text(json.dumps(fields))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_changed_byte_is_found_and_the_file_named(copy: Path, name: str, where: float) -> None:
    content = bytearray((copy / name).read_bytes())
    content[round(where * (len(content) - 1))] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleIntegrityError, match=f"{name}: altered"):
        read_bundle(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_found(copy: Path, name: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:-1])
    with pytest.raises(BundleIntegrityError, match=f"{name}: altered"):
        read_bundle(copy)


@pytest.mark.parametrize("name", [MANIFEST, *FILES])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleIntegrityError, match=f"{name}: missing"):
        read_bundle(copy)


@pytest.mark.parametrize("name", [MANIFEST, *FILES])
def test_a_folder_or_a_pipe_in_place_of_a_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    (copy / name).mkdir()
    with pytest.raises(BundleIntegrityError, match=f"{name}: not a regular file"):
        read_bundle(copy)
    (copy / name).rmdir()
    os.mkfifo(copy / name)
    with pytest.raises(BundleIntegrityError, match=f"{name}: not a regular file"):
        read_bundle(copy)


def test_a_classifier_is_in_the_bundle_or_elsewhere_and_not_both(copy: Path) -> None:
    fields = _fields(copy)
    remote = {"target": "host:1", "tls": False, "model": "m", "version": "", "input": "x", "output": "y", "batch": 1}
    (copy / MANIFEST).write_text(json.dumps(fields | {"remote": remote | {"fixed_batch": False}}))
    with pytest.raises(BundleIntegrityError, match=f"names a remote classifier, and yet lists {CLASSIFIER}"):
        read_bundle(copy)
    del fields["files"][CLASSIFIER]
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleIntegrityError, match=f"does not list {CLASSIFIER}"):
        read_bundle(copy)
    (copy / MANIFEST).write_text(json.dumps(fields | {"remote": remote}))
    with pytest.raises(BundleIntegrityError, match="fixed_batch"):
        read_bundle(copy)


def test_no_folder_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("nowhere", "file"):
        with pytest.raises(BundleIntegrityError, match=f"{name}: no such bundle folder"):
            read_bundle(tmp_path / name)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 10**9])
def test_a_newer_schema_is_refused_with_a_way_out(copy: Path, version: int) -> None:
    (copy / MANIFEST).write_text(json.dumps(_fields(copy) | {"schema_version": version, "labels": "unheard of"}))
    with pytest.raises(BundleSchemaError, match=f"{version} is newer .*upgrade Isthmus or calibrate again"):
        read_bundle(copy)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_older_schema_is_refused_with_a_way_out(copy: Path, version: int) -> None:
    fields = _fields(copy) | {"schema_version": version}
    for since in ("tapped", "views", "residuals"):
        del fields["path_plan"][since]
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleSchemaError, match=rf"{version} is older .*\({SCHEMA_VERSION}\); calibrate again"):
        read_bundle(copy)


@pytest.mark.parametrize("version", [0, -1, "1", None, 1.5])
def test_a_schema_that_never_was_is_refused(copy: Path, version: Any) -> None:
    (copy / MANIFEST).write_text(json.dumps(_fields(copy) | {"schema_version": version}))
    with pytest.raises(BundleSchemaError, match="schema_version must be"):
        read_bundle(copy)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b"\xff\xfe\x00", b"[" * 100_000, b'{"format": "isthmus-bundle"', b'{"format": "x"}'],
    ids=range(8),
)
def test_a_manifest_that_is_none_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(BundleIntegrityError, match=MANIFEST):
        read_bundle(copy)


def test_a_huge_manifest_is_not_read(copy: Path) -> None:
    with (copy / MANIFEST).open("ab") as stream:
        stream.truncate((16 << 20) + 1)
    with pytest.raises(BundleIntegrityError, match=r"manifest.json: 16777217 bytes, more than the 16777216"):
        read_bundle(copy)


def test_a_huge_file_is_not_read(copy: Path) -> None:
    with (copy / SCORER).open("ab") as stream:
        stream.truncate((4 << 30) + 1)  # sparse: takes no room
    with pytest.raises(BundleIntegrityError, match=r"scorer.onnx: 4294967297 bytes, more than"):
        read_bundle(copy)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "", ".", "..", "a/b", "a\0b", "x" * 300, "\ud800"], ids=ascii
)
def test_a_file_outside_the_folder_or_none_is_never_opened(copy: Path, name: str) -> None:
    (copy.parent / "secret").write_text("x")
    fields = _fields(copy)
    fields["files"][name] = hashlib.sha256(b"x").hexdigest()
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleIntegrityError, match=r"is not a file name|not a regular file|can't be read"):
        read_bundle(copy)


@pytest.mark.parametrize("name", [CLASSIFIER, PROTOTYPES, SCORER, CALIBRATION, CANARIES])
def test_a_manifest_must_vouch_for_all_that_serves(copy: Path, name: str) -> None:
    fields = _fields(copy)
    del fields["files"][name]
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleIntegrityError, match=f"does not list {name}"):
        read_bundle(copy)


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float64)


def _poisoned(array: NDArray[Any]) -> NDArray[Any]:
    array = array.copy()
    array.flat[0] = np.nan
    return array


ARRAYS = [
    (PROTOTYPES, "images", _wide, "'images' must be finite float32"),
    (PROTOTYPES, "images", _poisoned, "'images' must be finite"),
    (PROTOTYPES, "images", lambda a: a[:9], "'images' must be"),
    (PROTOTYPES, "images", lambda a: a[..., :7], "'images' must be"),
    (PROTOTYPES, "images", lambda a: a[:, :1], "fewer prototypes per class"),
    (PROTOTYPES, "losses", lambda a: a[:, 0], "'losses' must be"),
    (CALIBRATION, "scores", lambda a: a[:0], "at least one"),
    (CALIBRATION, "scores", lambda a: a[1:], "one class per score"),
    (CALIBRATION, "scores", _poisoned, "'scores' must be finite"),
    (CALIBRATION, "classes", _wide, "'classes' must be finite int64"),
    (CALIBRATION, "classes", lambda a: a - 1, "'classes' must lie in 0..9"),
    (CALIBRATION, "classes", lambda a: a + 1, "'classes' must lie in 0..9"),
    (CALIBRATION, "edges", lambda a: a[:1], r"'edges' must be finite float32 of shape \(2,\)"),
    (CALIBRATION, "edges", _poisoned, "'edges' must be finite"),
    (CALIBRATION, "edges", lambda a: a[::-1], "edges must be finite float32 numbers that rise"),
    (CALIBRATION, "edges", lambda a: a - 1, "its strata have .* images, but the manifest says"),
    (CALIBRATION, "edges", lambda a: a + 1000, "no calibration image is in stratum 2 of 3"),
    (CALIBRATION, "difficulty", _wide, "'difficulty' must be finite float32"),
    (CALIBRATION, "difficulty", _poisoned, "'difficulty' must be finite"),
    (CALIBRATION, "difficulty", lambda a: a[1:], "one finite difficulty per score"),
    (CANARIES, "images", lambda a: a[:, :, :7], "'images' must be"),
    (CANARIES, "logits", lambda a: a[:, :9], "'logits' must be"),
    (CANARIES, "logits", lambda a: a[:2], "logits and an allowed difference for each"),
    (CANARIES, "images", lambda a: a + np.float32(0.5), "'images' must lie in"),
    (CANARIES, "allowed", lambda a: a[:2], "logits and an allowed difference for each"),
    (CANARIES, "allowed", lambda a: a * 0, "'allowed' must be more than 0"),
    (CANARIES, "allowed", lambda a: a * np.float32(np.inf), "'allowed' must be"),
    (CANARIES, "allowed", lambda a: a[:, None], "'allowed' must be"),
]


@pytest.mark.parametrize(("name", "array", "harm", "message"), ARRAYS)
def test_arrays_that_do_not_fit_the_manifest_are_refused(
    copy: Path, name: str, array: str, harm: Any, message: str
) -> None:
    arrays = load((copy / name).read_bytes())
    arrays[array] = np.ascontiguousarray(harm(arrays[array]))
    _replace_file(copy, name, save(arrays))
    with pytest.raises(BundleIntegrityError, match=f"{name}: .*{message}"):
        read_bundle(copy)


@pytest.mark.parametrize("name", [PROTOTYPES, CALIBRATION, CANARIES])
def test_what_is_no_safetensors_file_or_lacks_an_array_is_refused(copy: Path, name: str) -> None:
    _replace_file(copy, name, save({"other": np.zeros(1, np.float32)}))
    with pytest.raises(BundleIntegrityError, match=f"{name}: array '.*' is missing"):
        read_bundle(copy)
    for content in (b"", b"\xff" * 64, b"\x80\x04K\x01."):  # the last: a pickle
        _replace_file(copy, name, content)
        with pytest.raises(BundleIntegrityError, match=f"{name}: not a safetensors file"):
            read_bundle(copy)


def test_strata_without_the_difficulty_of_their_images_are_refused(copy: Path) -> None:
    arrays = load((copy / CALIBRATION).read_bytes())
    del arrays["difficulty"]
    _replace_file(copy, CALIBRATION, save(arrays))
    with pytest.raises(BundleIntegrityError, match=f"{CALIBRATION}: array 'difficulty' is missing"):
        read_bundle(copy)


@pytest.mark.parametrize("counts", [[], [500], [0] * 100])
def test_strata_that_the_manifest_counts_otherwise_are_refused(copy: Path, counts: list[int]) -> None:
    fields = _fields(copy)
    fields["calibration"]["images_per_stratum"] = counts
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleIntegrityError, match=rf"{CALIBRATION}: array 'edges' must be"):
        read_bundle(copy)


def test_a_proxy_nobody_knows_is_refused(copy: Path) -> None:
    fields = _fields(copy)
    fields["calibration"]["proxy"] = "mood"
    (copy / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleIntegrityError, match=f"{MANIFEST}: unreadable field"):
        read_bundle(copy)


def test_canaries_that_test_nothing_are_refused(copy: Path) -> None:
    arrays = {name: array[:0] for name, array in load((copy / CANARIES).read_bytes()).items()}
    _replace_file(copy, CANARIES, save(arrays))
    with pytest.raises(BundleIntegrityError, match=f"{CANARIES}: needs at least one image"):
        read_bundle(copy)


HOSTILE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "NCHW", "blur", "9" * 5000, 10**400, -(10**400)])
    | st.lists(st.integers() | st.floats() | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)
PATHS = [
    (),
    ("image_spec",),
    ("path_plan",),
    ("path_plan", "targets", 0),
    ("target_rates",),
    ("calibration",),
    ("files",),
]


@given(path=st.sampled_from(PATHS), data=st.data(), value=HOSTILE)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_hostile_field_is_read_or_refused_and_never_crashes(
    digits_bundle: Path, path: tuple[Any, ...], data: st.DataObject, value: Any
) -> None:
    fields = _fields(digits_bundle)
    parent = fields
    for step in path:
        parent = parent[step]
    parent[data.draw(st.sampled_from(sorted(parent)))] = value
    try:
        content = json.dumps(fields).encode()
        manifest = Manifest.from_bytes(content, name=MANIFEST)
    except BundleError as error:
        assert MANIFEST in str(error)  # noqa: PT017 - being read is as good as being refused
    else:
        assert 0 < manifest.plan.alphas[0] <= manifest.plan.alphas[-1] <= 1
        assert np.isfinite(manifest.plan.blur_sigma)
