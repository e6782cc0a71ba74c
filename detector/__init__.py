"""The science of Isthmus: classifiers, prototypes, paths, scorers, calibration, bundles. Knows no transport."""

import os

# ONNX Runtime's default is to keep, and send to its maker, facts about the models it runs. A guard tells nobody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from detector.bundle import Bundle, read_bundle
from detector.detector import Detection, Detector
from detector.verdicts import TargetRates, Verdict

__all__ = ["Bundle", "Detection", "Detector", "TargetRates", "Verdict", "read_bundle"]
