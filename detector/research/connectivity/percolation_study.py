"""The study of percolation: whether the argument behind Conjecture 5.1 holds, and whether random networks follow it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.research.claims import Claim
from detector.research.connectivity.percolation import SITE_THRESHOLDS
from detector.research.connectivity.percolation_jobs import (
    boxes_job,
    cubes_job,
    networks_job,
    searched_job,
    searched_networks_job,
)
from detector.research.connectivity.percolation_sections import cubes_section, lattices_section, networks_section
from detector.research.studies import Study

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.research.connectivity.percolation_jobs import PercolationOptions
    from detector.research.studies import Workplace
    from detector.shards.base import Job
    from detector.shards.stages import Arrays

_NEAR = 0.1  # of p_c, that the median threshold of boxes this small may lie from it
NAME: Final = "percolation"
_SOURCE = "Vrabel et al., Conj. 5.1"


def percolation_study(workplace: Workplace, options: PercolationOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        CalibrationError: The disk refuses.
    """
    identity = asdict(options)

    def done(name: str, job: Callable[[PercolationOptions], Job], cells: tuple[Any, ...]) -> Arrays:
        return workplace.done(f"percolation/{name}", lambda: job(options), **identity) if cells else {}

    cubes = done("cubes", cubes_job, options.dimensions)
    searched = done("searched", searched_job, options.searched)
    boxes = done("boxes", boxes_job, options.boxes)
    networks = done("networks", networks_job, options.network_dimensions)
    far = done("searched networks", searched_networks_job, options.network_searched)
    parts = {"cubes": cubes, "searched": searched, "boxes": boxes, "networks": networks, "searched_networks": far}
    return Study(
        name=NAME,
        figures=_figures(options, parts),
        arrays={f"{part}/{name}": values for part, arrays in parts.items() for name, values in arrays.items()},
        sections=(
            cubes_section(options, cubes, searched),
            lattices_section(options, boxes),
            networks_section(options, networks, far),
        ),
        claims=(*_cube_claims(options, cubes), _lattice_claim(options, boxes), *_network_claims(options, networks)),
    )


def _figures(options: PercolationOptions, parts: dict[str, Arrays]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "shares": list(options.shares),
        "cubes": {
            str(n): np.nanmean(found, axis=0).tolist()
            for n, found in zip(options.dimensions, parts["cubes"]["connectivity"], strict=True)
        },
        "boxes": {
            f"{d}-{side}": float(np.median(found))
            for (d, side), found in zip(options.boxes, parts["boxes"]["thresholds"], strict=True)
        },
        "networks": {
            str(n): _mean_of_networks(found).tolist()
            for n, found in zip(options.network_dimensions, parts["networks"]["found"], strict=True)
        },
    }
    for name, dimensions in (("searched", options.searched), ("searched_networks", options.network_searched)):
        figures[name] = {
            str(n): {key: values[i].tolist() for key, values in parts[name].items() if np.isfinite(values[i]).all()}
            for i, n in enumerate(dimensions)
        }
    return figures


def _mean_of_networks(found: Any) -> Any:
    """(shares, 5); a stretch is known only of networks in which a path was found."""
    known = np.isfinite(found)
    return np.where(known, found, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _cube_claims(options: PercolationOptions, cubes: Arrays) -> tuple[Claim, ...]:
    claims = []
    means = np.nanmean(cubes["connectivity"], axis=1)
    for share, values in zip(options.shares, means.T, strict=True):
        above = share * options.dimensions[0] >= 1
        below = share * options.dimensions[-1] < 1
        if not above and not below:
            continue
        claims.append(
            Claim(
                claim=f"Of independent labels with p = {share:g}, {'above' if above else 'below'} 1/n, two random "
                f"low-loss sites of the hypercube are {'ever more often' if above else 'hardly ever'} connected.",
                source=_SOURCE,
                run=f"site percolation on {{0, 1}}^n, {options.trials} trials for each n",
                outcome="P(connected) "
                + ", ".join(f"{v:.2f} (n = {n})" for n, v in zip(options.dimensions, values, strict=True)),
                agrees=bool((np.diff(values) > 0).all()) if above else bool(values[-1] < _NEAR),
            )
        )
    return tuple(claims)


def _lattice_claim(options: PercolationOptions, boxes: Arrays) -> Claim:
    medians = {
        d: (side, float(np.median(found)))
        for (d, side), found in sorted(zip(options.boxes, boxes["thresholds"], strict=True), key=lambda one: one[0])
        if d in SITE_THRESHOLDS
    }
    near = [abs(median / SITE_THRESHOLDS[d] - 1) < _NEAR for d, (_, median) in medians.items()]
    falls = np.diff([median for _, median in medians.values()]) < 0
    return Claim(
        claim="The critical share of the d-dimensional lattice falls towards nothing as d grows, like 1/(2d).",
        source=f"{_SOURCE}, its argument; thresholds of arXiv 1806.08067",
        run=f"site percolation in boxes, {options.trials} trials for each; the largest box of each dimension",
        outcome="median share at which a box is spanned (p_c): "
        + ", ".join(
            f"{median:.3f} ({SITE_THRESHOLDS[d]:.3f}; d = {d}, side {side})" for d, (side, median) in medians.items()
        ),
        agrees=bool(all(near) and falls.all()) if len(medians) > 1 else None,
    )


def _network_claims(options: PercolationOptions, networks: Arrays) -> tuple[Claim, ...]:
    of_all = np.stack([_mean_of_networks(found) for found in networks["found"]])  # (dimensions, shares, 5)
    connected, independent, neighbours, stretch, straight = np.moveaxis(of_all, 2, 0)
    first, last = options.network_dimensions[0], options.network_dimensions[-1]
    run = (
        f"{options.networks} untrained {options.architecture} on {{0, 1}}^n, n = {first}..{last}; the corners of "
        f"lowest loss, p = {', '.join(f'{share:g}' for share in options.shares)}"
    )

    def by_share(values: Any) -> str:
        return ", ".join(f"{value:.2f}" for value in values)

    return (
        Claim(
            claim="Two random low-loss inputs of a random network are almost always connected as the dimension grows.",
            source=_SOURCE,
            run=run,
            outcome=f"connected by single coordinates: {by_share(connected[0])} at n = {first}, "
            f"{by_share(connected[-1])} at n = {last}; shortest paths take {by_share(stretch[-1])} times the steps in "
            "which their ends differ, on average",
            agrees=bool((connected[-1] > 0.9).all() and connected[-1].mean() > connected[0].mean()),  # noqa: PLR2004
        ),
        Claim(
            claim="That is because labels are independent and p is above the critical share.",
            source=f"{_SOURCE}, its argument; doubted by reviewers",
            run=f"{run}; as many corners chosen at random beside them",
            outcome=f"at n = {last} independent corners: {by_share(independent[-1])}; but neighbours of a low corner "
            f"are low in {by_share(neighbours[-1])}, so networks connect below 1/n too: for another reason",
            agrees=bool((np.abs(connected[-1] - independent[-1]) < _NEAR).all()),
        ),
        Claim(
            claim="The connecting path may be taken to be the straight one.",
            source="asked by reviewers: the conjecture is of some path, not of a short piecewise linear one",
            run=f"{run}; {options.pairs} pairs each",
            outcome=f"straight lines stay low in {by_share(straight[0])} at n = {first}, {by_share(straight[-1])} at "
            f"n = {last}",
            agrees=bool((straight[-1] > 0.9).all()),  # noqa: PLR2004 - almost always
        ),
    )
