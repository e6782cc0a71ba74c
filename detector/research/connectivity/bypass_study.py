"""Bypasses: are pairs that a straight line does not connect connected around the barrier, and at what cost?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.metrics import auroc_estimate
from detector.paths.pairing import Pairs
from detector.research.connectivity.bypass_claims import bypass_claims
from detector.research.connectivity.bypass_report import bypass_charts, bypass_sections
from detector.research.connectivity.connecting import chains_of, connect_job
from detector.research.connectivity.joined import Joined
from detector.research.connectivity.kinds import CANNOT, Kind, attacked
from detector.research.connectivity.material import PairMaterial
from detector.research.connectivity.statistics import LEAST, spread
from detector.research.studies import Study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.research.connectivity.options import ConnectivityOptions
    from detector.research.studies import Workplace

NAME: Final = "bypass"


def bypass_study(workplace: Workplace, options: ConnectivityOptions) -> Study:
    """Join pairs of real images, and of real and adversarial ones, by paths of low loss.

    Args:
        workplace: With a classifier, its gradients and images.
        options: How.

    Raises:
        AnalysisError: There is no classifier, or no pair.
        GradientsUnavailableError: There are no gradients.
    """
    material = PairMaterial(workplace, options)
    _ = material.gradients
    missing = list(material.missing)
    rows = np.arange(len(material))
    joined = {Kind.REAL: _joined(material, Kind.REAL, rows, material.images(material.second))}
    try:
        moved = attacked(material, Kind.PAPER)
        joined[Kind.PAPER] = _joined(material, Kind.PAPER, moved.rows, moved.images[moved.rows])
    except CANNOT as error:
        missing.append(f"{Kind.PAPER}: {error}")
    few = [kind for kind, one in joined.items() if len(one.classes) < LEAST]
    missing += [f"{kind}: fewer than {LEAST} pairs" for kind in few]
    joined = {kind: one for kind, one in joined.items() if kind not in few}
    charts = bypass_charts(joined) if joined else {}
    return Study(
        name=NAME,
        figures=_figures(joined, options),
        arrays=_arrays(joined),
        sections=tuple(bypass_sections(joined, material.inputs.labels, options, charts)) if joined else (),
        charts=charts,
        claims=tuple(bypass_claims(joined, options)),
        missing=tuple(missing),
    )


def _joined(material: PairMaterial, kind: Kind, rows: NDArray[np.int64], ends: Float32Array) -> Joined:
    options = material.options
    classes = material.classes[rows]
    made = {"attack_steps": options.attack_steps} if kind is Kind.PAPER else {}
    arrays = material.workplace.done(
        f"chains {kind}",
        lambda: connect_job(
            Pairs(material.images(material.first[rows]), ends, classes), options.chains, title=f"Connecting {kind}"
        ),
        chains=asdict(options.chains),
        **material.depends,
        **made,
    )
    return Joined(chains_of(arrays), classes, options.epsilon)


def _figures(joined: Mapping[Kind, Joined], options: ConnectivityOptions) -> dict[str, Any]:
    figures: dict[str, Any] = {"epsilon": options.epsilon, "kinds": {k: _kind_figures(j) for k, j in joined.items()}}
    if Kind.PAPER in joined:
        real, paper = (joined[kind].rounds_needed.astype(np.float32) for kind in (Kind.REAL, Kind.PAPER))
        figures["AUROC of rounds needed"] = asdict(auroc_estimate(real, paper))
    return figures


def _kind_figures(one: Joined) -> dict[str, Any]:
    seed, displaced = 0, one.displaced
    segments, counts = np.unique(one.segments_needed, return_counts=True)
    some = len(displaced.rows) >= LEAST
    return {
        "pairs": len(one.classes),
        "both ends below epsilon": int(one.connectable.sum()),
        "connected after each round": [asdict(rate) for rate in one.connected(connectable=False)],
        "connected of those": [asdict(rate) for rate in one.connected(connectable=True)],
        "height after each round": [asdict(spread(heights, seed)) for heights in one.chains.heights.T],
        "segments needed (0: never)": dict(zip(map(str, segments), counts.tolist(), strict=True)),
        "bypassed": len(displaced.rows),
        "displacement over the path's length": asdict(spread(displaced.shares, seed)) if some else None,
        "largest pixel change over the largest pixel": asdict(spread(displaced.largest, seed)) if some else None,
        "furthest from the hyperplane": float(displaced.across.max()) if len(displaced.rows) else None,
    }


def _arrays(joined: Mapping[Kind, Joined]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for kind, one in joined.items():
        arrays |= {
            f"{kind} classes": one.classes,
            f"{kind} heights": one.chains.heights,
            f"{kind} segments": one.chains.segments,
            f"{kind} bypassed": one.displaced.rows,
            f"{kind} displacement": one.displaced.shares,
            f"{kind} largest pixel": one.displaced.largest,
            f"{kind} maps": one.maps,
        }
    return arrays
