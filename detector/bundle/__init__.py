"""Bundles: versioned folders with all that serving needs."""

from detector.bundle.canaries import Canaries
from detector.bundle.contents import Bundle, BundleParts
from detector.bundle.manifest import CalibrationSummary, Manifest
from detector.bundle.reading import read_bundle
from detector.bundle.writing import write_bundle

__all__ = ["Bundle", "BundleParts", "CalibrationSummary", "Canaries", "Manifest", "read_bundle", "write_bundle"]
