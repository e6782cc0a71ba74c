"""The manifest: everything about a bundle that is not an array or a graph."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from detector.classifiers.address import RemoteModel
from detector.classifiers.base import ImageSpec, OutputKind
from detector.errors import BundleIntegrityError, BundleSchemaError, IsthmusError
from detector.profiles import PathPlan
from detector.strata import Proxy
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_VERSION = 5
FORMAT = "isthmus-bundle"


@dataclass(frozen=True, kw_only=True)
class CalibrationSummary:
    """What the p-values rest on.

    Args:
        scorer: "one-class" or "supervised".
        images: Benign calibration images.
        images_per_class: Of them, by predicted class.
        images_per_stratum: Of them, by stratum of difficulty, the easiest first; all of them where there is but one.
        accuracy: Of the classifier on all images given, 0..1; None when they carry no labels.
        prior_strength: Of `ConformalCalibration`, images.
        proxy: What the strata are drawn by.
        warnings: What the user was warned of.
        detection: AUROC per attack on images the scorer was not fitted on; empty without attacks.
    """

    scorer: str
    images: int
    images_per_class: tuple[int, ...]
    images_per_stratum: tuple[int, ...]
    accuracy: float | None
    prior_strength: float
    proxy: Proxy = Proxy.MARGIN
    warnings: tuple[str, ...] = ()
    detection: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A bundle's manifest.

    Args:
        spec: Images the classifier takes.
        output_kind: What the classifier's graph puts out.
        labels: One name per class.
        plan: Paths and grid.
        rates: Target false-positive rates.
        calibration: What the p-values rest on.
        provenance: Tool versions, seeds, options, digests of data and classifier; JSON values. Holds no time of day, so
            that the same inputs give the same bundle.
        files: SHA-256, hexadecimal, of every other file of the bundle.
        remote: Where the classifier runs; None where it is in the bundle.
    """

    spec: ImageSpec
    output_kind: OutputKind
    labels: tuple[str, ...]
    plan: PathPlan
    rates: TargetRates
    calibration: CalibrationSummary
    provenance: Mapping[str, Any]
    files: Mapping[str, str]
    remote: RemoteModel | None = None

    def to_bytes(self) -> bytes:
        """The manifest file's content: stable JSON, UTF-8."""
        fields = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "image_spec": self.spec.to_json(),
            "output_kind": self.output_kind.value,
            "labels": list(self.labels),
            "path_plan": self.plan.to_json(),
            "target_rates": {"suspect": self.rates.suspect, "adversarial": self.rates.adversarial},
            "calibration": {
                "scorer": self.calibration.scorer,
                "images": self.calibration.images,
                "images_per_class": list(self.calibration.images_per_class),
                "images_per_stratum": list(self.calibration.images_per_stratum),
                "accuracy": self.calibration.accuracy,
                "prior_strength": self.calibration.prior_strength,
                "proxy": self.calibration.proxy.value,
                "warnings": list(self.calibration.warnings),
                "detection": dict(self.calibration.detection),
            },
            "provenance": dict(self.provenance),
            "files": dict(self.files),
            "remote": None if self.remote is None else self.remote.to_json(),
        }
        return (json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str) -> Manifest:
        """Read a manifest file.

        Args:
            content: The file.
            name: How to call it in errors.

        Raises:
            BundleSchemaError: Made by an older or a newer schema, or by none.
            BundleIntegrityError: Not JSON, or a field is missing or out of range.
        """
        fields = _parse(content, name)
        _check_schema(fields, name)
        try:
            calibration = fields["calibration"]
            return cls(
                spec=ImageSpec.from_json(fields["image_spec"]),
                output_kind=OutputKind(fields["output_kind"]),
                labels=tuple(str(label) for label in fields["labels"]),
                plan=PathPlan.from_json(fields["path_plan"]),
                rates=TargetRates(**fields["target_rates"]),
                calibration=CalibrationSummary(
                    scorer=str(calibration["scorer"]),
                    images=int(calibration["images"]),
                    images_per_class=tuple(int(n) for n in calibration["images_per_class"]),
                    images_per_stratum=tuple(int(n) for n in calibration["images_per_stratum"]),
                    accuracy=None if calibration["accuracy"] is None else float(calibration["accuracy"]),
                    prior_strength=float(calibration["prior_strength"]),
                    proxy=Proxy(calibration["proxy"]),
                    warnings=tuple(str(w) for w in calibration["warnings"]),
                    detection={str(k): float(v) for k, v in calibration["detection"].items()},
                ),
                provenance=dict(fields["provenance"]),
                files={str(k): str(v) for k, v in fields["files"].items()},
                remote=None if fields["remote"] is None else RemoteModel.from_json(fields["remote"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IsthmusError) as error:
            raise BundleIntegrityError(f"{name}: unreadable field: {error!r}") from error


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleIntegrityError(f"{name}: not JSON: {error}") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise BundleIntegrityError(f"{name}: not the manifest of an Isthmus bundle")
    return fields


def _check_schema(fields: Mapping[str, Any], name: str) -> None:
    version = fields.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise BundleSchemaError(f"{name}: schema_version must be a whole number from 1, not {version!r}")
    if version > SCHEMA_VERSION:
        raise BundleSchemaError(
            f"{name}: schema_version {version} is newer than this Isthmus reads ({SCHEMA_VERSION}); "
            "upgrade Isthmus or calibrate again with this version"
        )
    if version < SCHEMA_VERSION:
        raise BundleSchemaError(
            f"{name}: schema_version {version} is older than this Isthmus reads ({SCHEMA_VERSION}); "
            "calibrate again with this version"
        )
