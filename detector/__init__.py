"""The science of Isthmus: classifiers, prototypes, paths, scorers, calibration, bundles. Knows no transport."""

from detector.bundle import Bundle, read_bundle
from detector.detector import Detection, Detector
from detector.verdicts import TargetRates, Verdict

__all__ = ["Bundle", "Detection", "Detector", "TargetRates", "Verdict", "read_bundle"]
