"""How many strata of difficulty the images allow, and where they lie: told without those that set the thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.calibration.checks import smallest_calibration
from detector.strata import Strata, difficulty_of, quantile_strata

if TYPE_CHECKING:
    from detector.calibration.options import CalibrationOptions
    from detector.classifiers.base import Float32Array

USUAL_STRATA: Final = 5
"""As many as there are where nobody asks for another number and there are images enough; see docs/detection.md."""
_LEAST_IMAGES: Final = 50
_ROOM: Final = 2.0  # times as many calibration images as the smaller target rate needs at least
_UNEVEN: Final = 0.9  # of that many: strata that ties make uneven, or that don't divide evenly, may be so much smaller


def draw_strata(fitting: Float32Array, calibrating: int, options: CalibrationOptions) -> tuple[Strata, list[str]]:
    """Draw strata, fewer than wanted where there are too few images for thresholds in each.

    Args:
        fitting: float32 (n, classes), n >= 1, logits of images that do not calibrate.
        calibrating: How many images do.
        options: How many strata are wanted, by which proxy; target rates.

    Returns:
        The strata, and warnings where there are fewer than were asked for.
    """
    least = least_images(options)
    wanted = options.strata or USUAL_STRATA
    affordable = max(1, min(wanted, int(calibrating / least)))
    difficulty = difficulty_of(fitting, options.proxy)
    share = min(1.0, _UNEVEN * least / calibrating)
    strata = quantile_strata(difficulty, affordable, least=share, proxy=options.proxy)
    return strata, _warnings(strata.count, affordable, calibrating, options)


def least_images(options: CalibrationOptions) -> float:
    """The fewest calibration images to be expected of a stratum: its thresholds rest on them alone."""
    return max(_ROOM * smallest_calibration(options), _LEAST_IMAGES)


def _warnings(found: int, affordable: int, calibrating: int, options: CalibrationOptions) -> list[str]:
    if options.strata is None or found == options.strata:
        return []
    told = "1 stratum" if found == 1 else f"{found} strata"
    if affordable < options.strata:
        needed = round(options.strata * least_images(options))
        reason = f"{calibrating} images calibrate, and {options.strata} strata need {needed}"
    else:
        reason = "too many images are equally hard for more"
    warning = (
        f"thresholds are set in {told} of difficulty, not {options.strata}: {reason}. Among hard images false alarms "
        "may exceed the target rates further than they would"
    )
    return [warning]
