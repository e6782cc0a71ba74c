"""Names of a fused graph's input and outputs; see `detector.engine.fusing.fuse.fuse`."""

from __future__ import annotations

from typing import Final

IMAGES: Final = "images"
LOGITS: Final = "logits"
SCORE: Final = "score"
P_VALUE: Final = "p_value"
VERDICT: Final = "verdict"
BARRIER_HEIGHT: Final = "barrier_height"
BARRIER_GAP: Final = "barrier_gap"
STRATUM: Final = "stratum"
PATH_LOGITS: Final = "path_logits"
VIEW_LOGITS: Final = "view_logits"
TAPS: Final = "taps"
RESIDUALS: Final = "residuals"
