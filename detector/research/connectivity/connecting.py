"""Chains in shards: pairs are joined in parts that can be spread out, watched and resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.paths.chains import Chains, connect
from detector.paths.curves import LossCurves, even_alphas
from detector.shards.base import Job, Shard

if TYPE_CHECKING:
    from detector.paths.chains import ChainOptions
    from detector.paths.pairing import Pairs
    from detector.progress import Advance
    from detector.shards.base import Models
    from detector.shards.stages import Arrays

_SHARD = 64
"""Pairs of a shard: enough to keep a processor busy, few enough to lose when it is interrupted."""


def connect_job(pairs: Pairs, options: ChainOptions, *, title: str = "Connecting pairs") -> Job:
    """Join pairs; `chains_of` reads what comes out.

    Args:
        pairs: At least one.
        options: How.
        title: For people who watch.

    Raises:
        AnalysisError: There is no pair.
    """
    if not len(pairs):
        raise AnalysisError("pairs: there is none to connect")
    rounds = options.rounds + 1  # each of them tells of every pair
    starts = range(0, len(pairs), _SHARD)
    cut = tuple(
        Shard(number, slice(at, at + _SHARD), rounds * len(range(at, min(at + _SHARD, len(pairs)))))
        for number, at in enumerate(starts)
    )
    return Job(title, _connect, options, lambda shard: pairs[shard.rows], cut)


def _connect(models: Models, options: ChainOptions, pairs: Pairs, advance: Advance) -> Arrays:
    chains = connect(
        models.classifier,
        models.gradients,
        pairs.starts,
        pairs.ends,
        pairs.classes,
        options=options,
        on_progress=advance,
    )
    return arrays_of(chains)


def arrays_of(chains: Chains) -> Arrays:
    """Chains as arrays whose first axes can be joined with those of others: waypoints lie one path after the other."""
    return {
        "losses": chains.straight.losses,
        "heights": chains.heights,
        "segments": chains.segments,
        "waypoints": np.concatenate(chains.waypoints),
    }


def chains_of(arrays: Arrays) -> Chains:
    """The chains whose arrays these are: of one `connect`, or of several, joined."""
    losses, segments = arrays["losses"], arrays["segments"]
    ends = np.cumsum(segments[:, -1] + 1)  # a path of n segments has n + 1 waypoints
    return Chains(
        LossCurves(np.array(even_alphas(losses.shape[1])), losses),
        arrays["heights"],
        segments,
        tuple(np.split(arrays["waypoints"], ends[:-1])),
    )
