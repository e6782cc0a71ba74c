"""How numbers are written: the same kind of number the same way everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.metrics import Estimate, RealisedRate

NOTHING = "\N{EN DASH}"
"""Where there is no number."""
_MINUS = "\N{MINUS SIGN}"


def auroc(value: float | None) -> str:
    """An AUROC: ``0.964``."""
    return NOTHING if value is None else f"{value:.3f}"


def estimate(value: Estimate) -> str:
    """An AUROC with its interval: the value, then its ends in brackets."""
    return f"{value.value:.3f} ({value.low:.3f}\N{EN DASH}{value.high:.3f})"


def gain(value: float) -> str:
    """A difference of AUROCs, always with its sign: ``+0.031``; what rounds to nothing has none: ``0.000``."""
    written = f"{abs(value):.3f}"
    if float(written) == 0:
        return written
    return f"{'+' if value > 0 else _MINUS}{written}"


def nats(value: float) -> str:
    """The score of one image: ``7.20``."""
    return f"{value:.2f}"


def loss(value: float | None) -> str:
    """A loss, or a difference of losses, with three digits that matter: ``0.0312``, ``5.34``, ``2.1e-05``."""
    return NOTHING if value is None else f"{value:.3g}"


def loss_estimate(value: Estimate) -> str:
    """A loss with its interval: the value, then its ends in brackets."""
    return f"{loss(value.value)} ({loss(value.low)}\N{EN DASH}{loss(value.high)})"


def p_value(value: float) -> str:
    """A p-value: ``0.0130``."""
    return f"{value:.4f}"


def percent(value: float | None) -> str:
    """A share: ``93.1%``."""
    return NOTHING if value is None else f"{value:.1%}"


def target(value: float) -> str:
    """A rate somebody chose, without digits nobody gave: ``5%``, ``0.5%``."""
    return f"{100 * value:g}%"


def realised(rate: RealisedRate | None) -> str:
    """A counted rate with its interval: the rate, then its ends in brackets; nothing for none, or of no image."""
    if rate is None or rate.total == 0:
        return NOTHING
    return f"{rate.rate:.1%} ({100 * rate.low:.1f}\N{EN DASH}{rate.high:.1%})"


def forwards(value: float) -> str:
    """Classifier forwards per image: ``33``, ``17.4``."""
    return f"{value:,.1f}".removesuffix(".0")


def milliseconds(value: float) -> str:
    """Time per image with three digits that matter: ``0.0312``, ``12.3``, ``1,240``."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - where .3g turns to powers of ten


def levels(budget: float) -> str:
    """A budget on pixels in [0, 1], in 255ths: ``8/255``."""
    return f"{budget * 255:.3g}/255"
