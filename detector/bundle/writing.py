"""Writing a bundle: into a temporary folder beside its place, then renamed, so that it is there whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detector.bundle import contents
from detector.errors import BundleError
from detector.folders import write_folder
from detector.tensors import to_safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from detector.bundle.contents import BundleParts
    from detector.bundle.manifest import Manifest
    from detector.scoring.tap_statistics import TapStatistics

_Array = NDArray[Any]


def write_bundle(
    path: Path, manifest: Manifest, parts: BundleParts, *, attachments: Mapping[str, bytes], overwrite: bool = False
) -> str:
    """Write a bundle folder.

    Args:
        path: The folder to make; its parent must exist or be creatable.
        manifest: Everything but `files`, which is filled in here.
        parts: The arrays and graphs.
        attachments: Further files for people, by name: the report, the contact sheet.
        overwrite: Replace a bundle that is there.

    Returns:
        The bundle's digest.

    Raises:
        BundleError: Something is in the way, or the disk refuses.
    """
    check_free(path, overwrite=overwrite)
    files = {**_encode(parts), **attachments}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest_bytes = dataclasses.replace(manifest, files=digests).to_bytes()
    try:
        write_folder(path, {**files, contents.MANIFEST: manifest_bytes})
    except OSError as error:
        raise BundleError(f"{path}: the bundle can't be written: {error}") from error
    return hashlib.sha256(manifest_bytes).hexdigest()


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse to write over something that is not a bundle, or over a bundle without leave.

    Raises:
        BundleError: `path` is taken, or can't be looked at.
    """
    try:
        taken = path.exists()
    except OSError as error:
        raise BundleError(f"{path}: the bundle can't be written: {error}") from error
    if not taken:
        return
    if not (path / contents.MANIFEST).is_file():
        raise BundleError(f"{path}: exists and is not a bundle; choose another place for the bundle")
    if not overwrite:
        raise BundleError(f"{path}: a bundle is there already; pass --overwrite to replace it")


def _encode(parts: BundleParts) -> dict[str, bytes]:
    prototypes: dict[str, _Array] = {"images": parts.prototypes.images, "losses": parts.prototypes.losses}
    benign = parts.calibration
    calibration: dict[str, _Array] = {
        "scores": benign.scores,
        "classes": benign.classes,
        "edges": np.asarray(benign.strata.edges, np.float32),
        **({} if benign.difficulty is None else {"difficulty": benign.difficulty}),
    }
    canaries: dict[str, _Array] = {
        "images": parts.canaries.images,
        "logits": parts.canaries.logits,
        "allowed": parts.canaries.allowed,
    }
    statistics = parts.statistics
    taps = {} if statistics is None else {contents.TAP_STATISTICS: to_safetensors(_statistics(statistics))}
    graph = {} if parts.classifier is None else {contents.CLASSIFIER: parts.classifier}
    return {
        **graph,
        contents.PROTOTYPES: to_safetensors(prototypes),
        contents.SCORER: parts.scorer,
        contents.CALIBRATION: to_safetensors(calibration),
        contents.CANARIES: to_safetensors(canaries),
        **taps,
    }


def _statistics(found: TapStatistics) -> dict[str, _Array]:
    return {
        "sizes": np.asarray(found.sizes, np.int64),
        "mean": found.mean,
        "inverse_scale": found.inverse_scale,
        "centres": found.centres,
    }
