"""What is said of pruned networks, put to the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.metrics import mean_estimate
from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.permutation.pruning_jobs import Alignment, Masking
from detector.research.permutation.width_claims import CONNECTED, SOURCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.research.permutation.pruned_pairs import PrunedPairs

_APART: Final = 0.1  # above which a replication on MNIST found networks without a permutation, at every level


def pruning_claims(found: PrunedPairs) -> tuple[Claim, ...]:
    """The claims, with the error barrier on training images, means over pairs."""
    run = (
        f"{found.what}; {len(found.densities) - 1} levels to density {found.densities[-1]:.2g}, n = {found.pairs} pairs"
    )
    none, dense, sparse = (found.barriers(alignment).mean(0) for alignment in Alignment)
    claims = [
        Claim(
            claim="One permutation, that of the dense networks, connects two pruned networks at every level.",
            source=f"{SOURCE}, abstract; error barrier below {CONNECTED:g}",
            run=run,
            outcome=f"mean error barrier {_range(dense)} over the levels; largest of any pair "
            f"{_share(found.barriers(Alignment.DENSE).max())}",
            agrees=bool(dense.max() < CONNECTED),
        ),
        Claim(
            claim="Without a permutation they stay apart: barriers above 0.1 at every level.",
            source="a replication on MNIST (0.135 to 0.170)",
            run=run,
            outcome=f"mean error barrier {_range(none)}; least of any pair "
            f"{_share(found.barriers(Alignment.NONE).min())}",
            agrees=bool(none.min() > _APART),
        ),
        Claim(
            claim="A level's own permutation connects hardly better than the dense one.",
            source="a replication on MNIST (0.004 to 0.010 against 0.006 to 0.011)",
            run=run,
            outcome=f"mean error barrier {_range(sparse[1:])} from level 1 on, where the dense one leaves "
            f"{_range(dense[1:])}",
            agrees=bool((dense - sparse)[1:].max() < CONNECTED / 2),
        ),
        _agreement(found, run),
    ]
    return (*claims, _transport(found, run)) if found.has_transport else tuple(claims)


def _agreement(found: PrunedPairs, run: str) -> Claim:
    alike = found.agreement.mean(0)
    written = ", ".join(f"{value:.2f}" for value in alike)
    return Claim(
        claim="The sparser the networks, the fewer units their own permutation matches as the dense one does.",
        source=f"{SOURCE}, the authors' notebook on fixed points: 0.29 at density 0.8, below 0.1 from density 0.04 on",
        run=run,
        outcome=f"share matched alike {written} from level 1 on; units that are pruned away are not counted",
        agrees=bool(alike[-1] < alike[0]) if np.isfinite(alike).all() else None,
    )


def _transport(found: PrunedPairs, run: str) -> Claim:
    own, permuted, plain, random = (found.transported(masking)[:, -1] for masking in Masking)
    gap = mean_estimate(permuted - plain)
    means = (numbers.percent(float(errors.mean())) for errors in (own, permuted, plain, random))
    return Claim(
        claim="A mask carried over by the dense permutation serves another network better than the mask as it stands.",
        source=f"{SOURCE}: the authors' code carries masks over; it prints no figures",
        run=f"{run}; the second network of each pair, trained from its own rewound weights, at the last level",
        outcome="held-out error under its own mask {}, carried over {}, as it stands {}, random {}; ".format(*means)
        + f"difference of carried over and as it stands {gap.value:.3f} ({gap.low:.3f} .. {gap.high:.3f})",
        agrees=None if gap.low <= 0 <= gap.high else gap.high < 0,
    )


def _range(values: NDArray[np.float64]) -> str:
    return f"{_share(values.min())} to {_share(values.max())}"


def _share(value: float) -> str:
    return f"{value:.3f}"
