"""Book-keeping of units while a network is traced: which are one, which differ, and which may thus change places.

Every layer that makes new features makes units. Two units are tied where the network adds or multiplies them, so that
they can only move together. A unit is marked by where it is used, so that only units that are used alike may change
places. What is left is a set of classes of tied units; those whose members are alike, one by one, are a group.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from detector.research.permutation.spec import Place, UnitGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FIXED = -1
"""The label of an element that depends on where it stands, and on no unit: a pixel of the image."""
NEUTRAL = -2
"""The label of an element that is the same wherever it stands: a zero of a padding."""


@dataclass(eq=False)
class Units:
    """All units there are, and what is known of them.

    Attributes:
        count: How many there are; they are numbered from 0.
    """

    count: int = 0
    _blocks: list[tuple[int, str]] = field(default_factory=list)
    _ties: list[NDArray[np.int64]] = field(default_factory=list)
    _marks: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _sites: dict[tuple[str, int | None], NDArray[np.int64]] = field(default_factory=dict)
    _shown: dict[tuple[str, int | None], NDArray[np.int64]] = field(default_factory=dict)

    def made(self, number: int, maker: str) -> NDArray[np.int64]:
        """New units, int64 (number,), and the name of the tensor that makes them."""
        self._blocks.append((self.count, maker))
        fresh = np.arange(self.count, self.count + number)
        self.count += number
        return fresh

    def tie(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
        """Units that can only move together, one by one; labels of anything else are passed over."""
        both = (one >= 0) & (other >= 0) & (one != other)
        if both.any():
            self._ties.append(np.unique(np.stack([one[both], other[both]]), axis=1))

    def mark(self, units: NDArray[np.int64], where: NDArray[np.int64]) -> None:
        """Tell units apart that are used in different places.

        Args:
            units: int64 (n,), labels; those of no unit are passed over.
            where: int64 (n,), a place for each. Units that are used in the same set of places are not told apart.
        """
        real = units >= 0
        pairs = np.unique(np.stack([units[real], where[real]]), axis=1)
        for rows in np.split(pairs, np.flatnonzero(np.diff(pairs[0])) + 1, axis=1) if pairs.size else ():
            self._marks[int(rows[0, 0])].append(hash(rows[1].tobytes()))

    def freeze(self, units: NDArray[np.int64]) -> None:
        """Units that stay where they are."""
        self.mark(units, units)

    def stand(self, tensor: str, axis: int | None, labels: NDArray[np.int64]) -> None:
        """Say where units stand in a tensor; where others stand already, both are tied.

        Args:
            tensor: Its name.
            axis: Along which axis; None for all elements of the flattened tensor.
            labels: int64, one for each position.
        """
        before = self._sites.setdefault((tensor, axis), labels)
        if before is not labels:
            self.tie(before, labels)
            self.freeze(np.concatenate([before[labels < 0], labels[before < 0]]))

    def show(self, operation: str, axis: int, labels: NDArray[np.int64]) -> None:
        """Say where units show in what an operation gives: int64, a label for each position along the axis."""
        self._shown[operation, axis] = labels

    def groups(self) -> tuple[UnitGroup, ...]:
        """Units that may change places, and where they stand."""
        classes = self._classes()
        alike: dict[tuple[tuple[int, tuple[int, ...]], ...], list[NDArray[np.int64]]] = defaultdict(list)
        blocks = np.searchsorted([start for start, _ in self._blocks], np.arange(self.count), "right") - 1
        for members in classes:
            alike[tuple((int(blocks[u]), tuple(sorted(self._marks.get(int(u), ())))) for u in members)].append(members)
        found: list[UnitGroup] = []
        taken: dict[str, int] = defaultdict(int)
        for together in alike.values():
            if len(together) == 1:
                continue
            table = np.stack(together)
            places = tuple(self._places(table, self._sites))
            if not places:
                continue
            maker = self._blocks[int(blocks[table[0, 0]])][1]
            taken[maker] += 1
            name = maker if taken[maker] == 1 else f"{maker}#{taken[maker]}"
            found.append(UnitGroup(name, len(table), places, tuple(self._places(table, self._shown))))
        return tuple(found)

    def _classes(self) -> list[NDArray[np.int64]]:
        """The units that are one, each in rising order, ordered by their first."""
        if not self.count:
            return []
        ties = np.concatenate(self._ties, axis=1) if self._ties else np.empty((2, 0), np.int64)
        graph = coo_array((np.ones(ties.shape[1]), (ties[0], ties[1])), shape=(self.count, self.count))
        _, labels = connected_components(graph, directed=False)
        order = np.argsort(labels, kind="stable")
        classes = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
        return sorted(classes, key=lambda members: int(members[0]))

    def _places(
        self, table: NDArray[np.int64], sites: Mapping[tuple[str, int | None], NDArray[np.int64]]
    ) -> list[Place]:
        """Where the units of a table (classes, members) stand."""
        rank = np.full(self.count, -1)
        rank[table.ravel()] = np.arange(table.size) // table.shape[1]
        places = []
        for (tensor, axis), labels in sites.items():
            here = np.flatnonzero(labels >= 0)
            here = here[rank[labels[here]] >= 0]
            if len(here):
                ordered = here[np.lexsort((here, labels[here], rank[labels[here]]))]
                places.append(Place(tensor, axis, ordered.reshape(len(table), -1)))
        return places
