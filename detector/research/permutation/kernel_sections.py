"""What the study of kernels found: its figures, a table beside the published ones, and what is claimed of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.metrics import mean_estimate
from detector.reporting import numbers
from detector.reporting.drawing import SERIES, chart, figure
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.claims import Claim
from detector.research.permutation.kernel_job import BARE_COSINE, BARE_LINEAR, COSINE, LINEAR, METHODS, NONE
from detector.research.permutation.width_claims import SOURCE
from detector.research.permutation.width_job import SETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.metrics import Estimate
    from detector.research.permutation.kernel_job import Method
    from detector.shards.stages import Arrays

PUBLISHED: Final = {
    NONE: ((0.898, 0.898), (0.900, 0.900), (2.80, 2.59)),
    LINEAR: ((0.074, 0.077), (0.076, 0.078), (0.268, 0.270)),
    COSINE: ((0.140, 0.135), None, None),
}
"""Of the authors' notebook compare-algorithm, for two pairs of VGG-16 on CIFAR-10: the error barrier on training and on
test images, and the loss barrier (nats) on training images; None where it prints none."""
_HALF: Final = (1 / 3, 2 / 3)
"""What passes for about half."""
_NOTEBOOK: Final = f"{SOURCE}, the authors' notebook: {{}} (VGG-16, not re-run)"
_LOSS, _ERROR = range(2)


@dataclass(frozen=True, eq=False)
class Aligned:
    """What was measured.

    Args:
        what: On what, in words.
        arrays: As of `kernels_job`.
    """

    what: str
    arrays: Arrays

    @property
    def pairs(self) -> int:
        """How many."""
        return len(self.arrays["cosine"])

    def barriers(self, method: Method, *, kind: int = _ERROR, held_out: bool = False) -> NDArray[np.float64]:
        """Of loss (nats) or error (0..1), float64 (pairs,)."""
        return self.arrays["barriers"][:, METHODS.index(method), int(held_out), kind]

    def of(self, name: str, method: Method) -> NDArray[np.float64]:
        """``cosine`` or ``seconds``, float64 (pairs,)."""
        return self.arrays[name][:, METHODS.index(method)]

    def figures(self) -> dict[str, Any]:
        """All means with their intervals, JSON values."""
        return {
            "what": self.what,
            "pairs": self.pairs,
            "methods": {
                method.name: {
                    **{
                        f"{kind} barrier, {name}": asdict(
                            mean_estimate(self.barriers(method, kind=axis, held_out=bool(place)))
                        )
                        for place, name in enumerate(SETS)
                        for axis, kind in enumerate(("loss", "error"))
                    },
                    "cosine": asdict(mean_estimate(self.of("cosine", method))),
                    "seconds": float(self.of("seconds", method).mean()),
                }
                for method in METHODS
            },
        }


def kernel_charts(found: Aligned) -> dict[str, Markup]:
    """Its charts by name."""
    names = [method.name for method in METHODS[1:]]

    def paint(drawn: Figure) -> None:
        axes = drawn.subplots(1, 2, sharey=True)
        for axis, kind, title in zip(axes, (_ERROR, _LOSS), ("error barrier", "loss barrier (nats)"), strict=True):
            for place, name in enumerate(SETS):
                means = [mean_estimate(found.barriers(m, kind=kind, held_out=bool(place))) for m in METHODS[1:]]
                bars = [[one.value - one.low for one in means], [one.high - one.value for one in means]]
                at = np.arange(len(names)) + (place - 0.5) / 4
                axis.errorbar(
                    [one.value for one in means],
                    at,
                    xerr=bars,
                    color=SERIES[place],
                    marker="os"[place],
                    linestyle="",
                    label=f"{name} images",
                )
            axis.set_xlim(left=0)
            without = float(found.barriers(NONE, kind=kind).mean())
            axis.set_title(f"{title}, n = {found.pairs} pairs; without: {without:.2g}")
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=2)

    return {"barriers": chart("kernels-barriers", "barriers left by each way of matching units", (8.6, 3.6), paint)}


def kernel_section(found: Aligned, charts: Mapping[str, Markup]) -> Section:
    """Its section.

    Args:
        found: What was measured.
        charts: As of `kernel_charts`.
    """
    return Section.of(
        "kernels",
        "Ways of matching units",
        paragraph(
            f"{found.what}: the second network of each pair permuted to match the first, by its weights or by its "
            "activations, under each kernel. Without vectors: biases and the scales of norms do not count. The "
            "cosine is that of the parameters of both as they are then. Seconds are those of one alignment where it "
            "was run."
        ),
        figure(charts["barriers"], f"n = {found.pairs} pairs; bars are 95% intervals (Student's t)."),
        wide(
            ["matched by", *SETS, *SETS, "cosine", "seconds"],
            [
                [
                    row_head(method.name),
                    *(
                        _estimate(mean_estimate(found.barriers(method, kind=kind, held_out=bool(place))))
                        for kind in (_ERROR, _LOSS)
                        for place in range(len(SETS))
                    ),
                    f"{found.of('cosine', method).mean():.3f}",
                    numbers.NOTHING if method is NONE else f"{found.of('seconds', method).mean():.2g}",
                ]
                for method in METHODS
            ],
            groups=[("", 1), ("error barrier", len(SETS)), ("loss barrier (nats)", len(SETS)), ("", 2)],
        ),
        paragraph("Published for two pairs of VGG-16 on CIFAR-10, not run again here:"),
        wide(
            ["matched by", "error barrier, training", "error barrier, test", "loss barrier, training (nats)"],
            [
                [row_head(method.name), *(_both(values) for values in PUBLISHED[method])]
                for method in (NONE, LINEAR, COSINE)
            ],
        ),
    )


def kernel_claims(found: Aligned) -> tuple[Claim, ...]:
    """The claims, with the error barrier on training images."""
    run = f"{found.what}, n = {found.pairs} pairs"
    none, linear, cosine = (found.barriers(method) for method in (NONE, LINEAR, COSINE))
    ratio, gap = _ratio(linear, cosine), mean_estimate(linear - cosine)
    bare = (found.barriers(method) for method in (BARE_LINEAR, BARE_COSINE))
    told = not gap.low <= 0 <= gap.high
    aligned = {method: found.barriers(method) for method in METHODS if method is not NONE}
    worst = max(aligned, key=lambda method: float(aligned[method].mean()))
    return (
        Claim(
            claim="Weight matching with the linear kernel leaves a lower barrier than with the cosine kernel.",
            source=_NOTEBOOK.format("0.074 and 0.077 against 0.140 and 0.135"),
            run=run,
            outcome=f"mean error barrier {linear.mean():.3f} against {cosine.mean():.3f}; difference {gap.value:.3f} "
            f"({gap.low:.3f} .. {gap.high:.3f}); lower in {int((linear < cosine).sum())} of {found.pairs} pairs",
            agrees=gap.high < 0 if told else None,
        ),
        Claim(
            claim="The linear kernel's barrier is about half (a third to two thirds) of the cosine kernel's.",
            source=_NOTEBOOK.format("0.53 and 0.57 of it"),
            run=run,
            outcome=f"{ratio:.2f} of it; {_ratio(*bare):.2f} where biases and the scales of norms do not count",
            agrees=_HALF[0] <= ratio <= _HALF[1] if told else None,
        ),
        Claim(
            claim="Alignment, however it is done, takes most of the barrier away.",
            source=_NOTEBOOK.format("0.898 without, 0.074 to 0.140 with"),
            run=run,
            outcome=f"mean error barrier {none.mean():.3f} without; the most that is left is "
            f"{aligned[worst].mean():.3f} ({worst.name})",
            agrees=bool(aligned[worst].mean() < none.mean() / 2),
        ),
    )


def _ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Of their means; NaN where the second is nothing."""
    return float(one.mean() / other.mean()) if other.mean() > 0 else float("nan")


def _estimate(value: Estimate) -> str:
    return numbers.estimate(value)


def _both(values: tuple[float, float] | None) -> str:
    return numbers.NOTHING if values is None else " and ".join(f"{value:g}" for value in values)
