"""What charts of scores have in common: which scores are drawn, and panels side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.ticker import MaxNLocator

from detector.research.difficulty.kinds import AVERAGE, FORGETTING, LAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

SOURCE: Final = "arXiv 2401.01867"
COUNTS: Final = tuple(kind.name for kind in FORGETTING if kind.name != "unforgettable")
"""Scores that count checkpoints; whether an example was never forgotten is no count."""
_FIRST: Final = (f"{AVERAGE}conf", f"{LAST}conf", *COUNTS, f"{AVERAGE}loss")
_PANEL: Final = (2.9, 2.6)  # inches
_ACROSS: Final = 3


def highlights(scores: Sequence[str], most: int = 4) -> list[str]:
    """The scores that are drawn where there is no room for all: of each kind one, as far as there are any."""
    wanted = [name for name in _FIRST if name in scores]
    return [*wanted, *(name for name in scores if name not in wanted)][:most]


def whole_numbers(axis: Any) -> None:
    """Ticks of an axis (``figure.axes[0].xaxis``) of numbers of things."""
    axis.set_major_locator(MaxNLocator(integer=True))


def grid_size(panels: int) -> tuple[float, float]:
    """Width and height of a figure of `grid`, inches."""
    return max(_PANEL[0] * min(panels, _ACROSS), 2 * _PANEL[0]), _PANEL[1] * -(-panels // _ACROSS) + 0.4


def grid(drawn: Figure, panels: int) -> list[Any]:
    """Axes of some panels, row after row; those of a last row that is not full are left out.

    Args:
        drawn: Empty.
        panels: How many; all of one scale.
    """
    rows, columns = -(-panels // _ACROSS), min(panels, _ACROSS)
    axes = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for empty in axes[panels:]:
        empty.remove()
    for axis in axes[:panels]:
        axis.tick_params(labelbottom=True)  # also above a place that is empty
    return list(axes[:panels])
