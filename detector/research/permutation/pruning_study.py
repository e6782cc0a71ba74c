"""The study of pruning: does one permutation connect two networks at every level of sparsity (Sharma et al.)?

Two networks are trained and pruned side by side, iteratively and with rewinding. At each level their barrier is
measured without a permutation, with that of the dense networks, and with the level's own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from detector.errors import AnalysisError
from detector.research.permutation.pair_options import PairOptions
from detector.research.permutation.pruned_pairs import PrunedPairs
from detector.research.permutation.pruning_claims import pruning_claims
from detector.research.permutation.pruning_jobs import (
    Matched,
    Sequences,
    Transport,
    barriers_job,
    matching_job,
    transport_job,
)
from detector.research.permutation.pruning_sections import pruning_charts, pruning_sections
from detector.research.studies import Study
from detector.training.pruning import MASKS, PruningPlan, PruningRuns, density, pruning_job

if TYPE_CHECKING:
    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays

NAME: Final = "pruning"


@dataclass(frozen=True, kw_only=True, eq=False)
class PruningOptions(PairOptions):
    """What is pruned and compared.

    Args:
        levels: How often they are pruned; at every level they are trained as the dense networks are.
        share: Of the weights that are left, pruned each time.
        rewind_epochs: The epoch of the dense training that weights go back to; 0 for their start.
        output_layer: Whether the last layer is pruned too.
        transport: Whether networks are trained under the masks of others too, which takes longer than the pruning.

    Raises:
        AnalysisError: A value is out of range.
    """

    levels: int = 8
    share: float = 0.2
    rewind_epochs: int = 1
    output_layer: bool = True
    transport: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rewind_epochs < self.networks.epochs:
            raise AnalysisError(f"rewind_epochs must lie in 0..{self.networks.epochs - 1}, not {self.rewind_epochs}")
        self.plan(1)  # which refuses what it can't use

    def plan(self, epoch_steps: int) -> PruningPlan:
        """How networks are pruned whose epochs have so many steps."""
        return PruningPlan(
            levels=self.levels,
            share=self.share,
            rewind_step=self.rewind_epochs * epoch_steps,
            output_layer=self.output_layer,
        )

    def small(self) -> Self:
        """The same for seconds: two pairs, three levels, trained shortly."""
        return PairOptions.small(replace(self, levels=min(self.levels, 3), rewind_epochs=min(self.rewind_epochs, 1)))


def study(workplace: Workplace, options: PruningOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, nothing would be left of a layer, training diverges, or the networks
            have no symmetries.
        CalibrationError: The disk refuses.
    """
    train, held_out = options.split()
    recipes = options.recipes(train)
    plan = options.plan(options.networks.epoch_steps(train))
    depends: dict[str, Any] = {"recipes": [recipe.to_json() for recipe in recipes], "plan": asdict(plan)}
    pruned = workplace.done(
        "permutation/pruned",
        lambda: pruning_job("Pruning networks", recipes, PruningRuns(train, plan)),
        **depends,
    )
    setting = options.setting(train, held_out)
    sequences = Sequences(setting, pruned, options.pairs, options.levels + 1)
    depends["matching"] = asdict(options.matching)
    permutations = workplace.done(
        "permutation/pruned matches", lambda: matching_job(sequences, options.matching), **depends
    )
    matched = Matched(sequences, permutations)
    depends |= setting.to_json()
    arrays = workplace.done("permutation/pruned barriers", lambda: barriers_job(matched), **depends)
    if options.transport:
        transport = Transport(matched, recipes, train, plan, options.seed)
        depends["seed"] = options.seed
        arrays |= workplace.done("permutation/masks carried", lambda: transport_job(transport), **depends)
    what = (
        f"{options.pairs} pairs of {recipes[0].architecture}, {options.networks.epochs} epochs on {len(train)} images "
        f"at each level, rewound to epoch {options.rewind_epochs}"
    )
    found = PrunedPairs(what, _densities(pruned), {name: _paired(rows, options.pairs) for name, rows in arrays.items()})
    charts = pruning_charts(found)
    return Study(
        name=NAME,
        figures=found.figures(),
        arrays={**found.arrays, "densities": found.densities},
        sections=pruning_sections(found, charts),
        charts=charts,
        claims=pruning_claims(found),
    )


def _paired(rows: Any, pairs: int) -> Any:
    """A row for each level of each pair, as (pairs, levels, ...)."""
    return rows.reshape(pairs, -1, *rows.shape[1:])


def _densities(pruned: Arrays) -> Any:
    """float64 (levels + 1,), the same for all networks."""
    masks = {name: values[0] for name, values in pruned.items() if name.startswith(MASKS)}
    levels = len(next(iter(masks.values())))
    return np.array([density({name: mask[level] for name, mask in masks.items()}) for level in range(levels)])
