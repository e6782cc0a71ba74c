"""Reading a bundle: every byte is checked against the manifest before anything is made of it."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from detector.bundle import contents
from detector.bundle.canaries import Canaries
from detector.bundle.contents import Bundle, BundleParts
from detector.bundle.manifest import Manifest
from detector.conformal import ConformalCalibration
from detector.errors import BundleIntegrityError, CalibrationError
from detector.paths.straight import Prototypes
from detector.scoring.tap_statistics import TapStatistics
from detector.strata import Strata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_NEEDED: Final = (
    contents.PROTOTYPES,
    contents.SCORER,
    contents.CALIBRATION,
    contents.CANARIES,
)
_OPTIONAL: Final = (contents.TAP_STATISTICS,)
_MANIFEST_LIMIT: Final = 16 << 20
_FILE_LIMIT: Final = 4 << 30


def read_bundle(path: str | Path) -> Bundle:
    """Read and verify a bundle folder.

    Raises:
        BundleIntegrityError: A file is missing, altered, too large or inconsistent; the message names it.
        BundleSchemaError: Written by a newer Isthmus.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise BundleIntegrityError(f"{folder}: no such bundle folder")
    manifest_bytes = _read(folder / contents.MANIFEST, _MANIFEST_LIMIT)
    manifest = Manifest.from_bytes(manifest_bytes, name=str(folder / contents.MANIFEST))
    files = _verified_files(folder, manifest)
    parts = _decode(folder, files, manifest)
    return Bundle(manifest, parts, hashlib.sha256(manifest_bytes).hexdigest())


def _verified_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """The files serving needs, after the digests of all files were checked."""
    needed = _NEEDED if manifest.remote else (contents.CLASSIFIER, *_NEEDED)
    unlisted = [name for name in needed if name not in manifest.files]
    if unlisted:
        raise BundleIntegrityError(f"{folder / contents.MANIFEST}: does not list {', '.join(unlisted)}")
    if manifest.remote and contents.CLASSIFIER in manifest.files:
        raise BundleIntegrityError(
            f"{folder / contents.MANIFEST}: names a remote classifier, and yet lists {contents.CLASSIFIER}"
        )
    files = {}
    for name, digest in sorted(manifest.files.items()):
        if Path(name).name != name:
            raise BundleIntegrityError(f"{folder / contents.MANIFEST}: '{name}' is not a file name")
        content = _read(folder / name, _FILE_LIMIT)
        if hashlib.sha256(content).hexdigest() != digest:
            raise BundleIntegrityError(f"{folder / name}: altered: its SHA-256 is not the one in the manifest")
        if name in needed or name in _OPTIONAL:
            files[name] = content
    return files


def _read(file: Path, limit: int) -> bytes:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleIntegrityError(f"{file}: not a regular file")
        if status.st_size > limit:
            raise BundleIntegrityError(
                f"{file}: {status.st_size} bytes, more than the {limit} a bundle's file may have"
            )
        return file.read_bytes()
    except FileNotFoundError as error:
        raise BundleIntegrityError(f"{file}: missing") from error
    except (OSError, ValueError) as error:  # ValueError: no file system takes such a name
        raise BundleIntegrityError(f"{file}: can't be read: {error}") from error


def _decode(folder: Path, files: Mapping[str, bytes], manifest: Manifest) -> BundleParts:
    classes = len(manifest.labels)
    shape = manifest.spec.shape
    per_class = 1 + max((t.index for t in manifest.plan.targets), default=0)

    def tensors(name: str, **wanted: tuple[str, tuple[int | None, ...]]) -> dict[str, NDArray[Any]]:
        return _checked_tensors(folder / name, files[name], wanted)

    prototypes = tensors(
        contents.PROTOTYPES, images=("float32", (classes, None, *shape)), losses=("float32", (classes, None))
    )
    canaries = tensors(
        contents.CANARIES,
        images=("float32", (None, *shape)),
        logits=("float32", (None, classes)),
        allowed=("float32", (None,)),
    )
    if prototypes["images"].shape[1] != prototypes["losses"].shape[1] or prototypes["images"].shape[1] < per_class:
        raise BundleIntegrityError(f"{folder / contents.PROTOTYPES}: fewer prototypes per class than the paths need")
    found = Canaries(canaries["images"], canaries["logits"], canaries["allowed"])
    _check_canaries(folder / contents.CANARIES, found)
    return BundleParts(
        classifier=files.get(contents.CLASSIFIER),
        prototypes=Prototypes(prototypes["images"], prototypes["losses"]),
        scorer=files[contents.SCORER],
        calibration=_calibration(folder / contents.CALIBRATION, files[contents.CALIBRATION], manifest),
        canaries=found,
        statistics=_statistics(folder / contents.TAP_STATISTICS, files, manifest),
    )


def _statistics(file: Path, files: Mapping[str, bytes], manifest: Manifest) -> TapStatistics | None:
    if file.name not in files:
        return None
    if not manifest.plan.tapped:
        raise BundleIntegrityError(f"{file}: there for taps, but the manifest's path plan taps no path")
    wanted: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "sizes": ("int64", (None,)),
        "mean": ("float32", (None,)),
        "inverse_scale": ("float32", (None,)),
        "centres": ("float32", (len(manifest.labels), None)),
    }
    arrays = _checked_tensors(file, files[file.name], wanted)
    sizes = tuple(arrays.pop("sizes").tolist())
    try:
        return TapStatistics(sizes, *(arrays[name] for name in wanted if name != "sizes"))
    except CalibrationError as error:
        raise BundleIntegrityError(f"{file}: {error}") from error


def _check_canaries(file: Path, found: Canaries) -> None:
    images, allowed = found.images, found.allowed
    if len(images) == 0 or not len(images) == len(found.logits) == len(allowed):
        raise BundleIntegrityError(f"{file}: needs at least one image, and logits and an allowed difference for each")
    if not (images.min() >= 0 and images.max() <= 1):
        raise BundleIntegrityError(f"{file}: array 'images' must lie in [0, 1]")
    if not (allowed > 0).all():
        raise BundleIntegrityError(f"{file}: array 'allowed' must be more than 0")


def _calibration(file: Path, content: bytes, manifest: Manifest) -> ConformalCalibration:
    known = manifest.calibration
    wanted: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "scores": ("float32", (None,)),
        "classes": ("int64", (None,)),
        "edges": ("float32", (len(known.images_per_stratum) - 1,)),
    }
    if len(known.images_per_stratum) > 1:
        wanted["difficulty"] = ("float32", (None,))
    arrays = _checked_tensors(file, content, wanted)
    try:
        strata = Strata(tuple(arrays["edges"].tolist()), known.proxy)
        found = ConformalCalibration(
            arrays["scores"], arrays["classes"], known.prior_strength, strata, arrays.get("difficulty")
        )
    except CalibrationError as error:
        raise BundleIntegrityError(f"{file}: {error}") from error
    classes, strata_counts = found.classes, np.bincount(found.numbers).tolist()
    if classes.min() < 0 or classes.max() >= len(manifest.labels):
        raise BundleIntegrityError(f"{file}: array 'classes' must lie in 0..{len(manifest.labels) - 1}")
    if strata_counts != list(known.images_per_stratum):
        raise BundleIntegrityError(
            f"{file}: its strata have {strata_counts} images, but the manifest says {list(known.images_per_stratum)}"
        )
    return found


def _checked_tensors(
    file: Path, content: bytes, wanted: Mapping[str, tuple[str, tuple[int | None, ...]]]
) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, each of the dtype and shape (None: any length) that is wanted."""
    try:
        arrays = load(content)
    except (SafetensorError, ValueError) as error:
        raise BundleIntegrityError(f"{file}: not a safetensors file: {error}") from error
    for name, (dtype, shape) in wanted.items():
        array = arrays.get(name)
        if array is None:
            raise BundleIntegrityError(f"{file}: array '{name}' is missing")
        fits = array.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, array.shape, strict=True))
        if array.dtype != dtype or not fits or not np.isfinite(array).all():
            raise BundleIntegrityError(
                f"{file}: array '{name}' must be finite {dtype} of shape {shape}, not {array.dtype} {array.shape}"
            )
    return arrays
