"""An analysis of connectivity small enough for seconds."""

from __future__ import annotations

from typing import Final

from detector.research.connectivity.options import ConnectivityOptions

OPTIONS: Final = ConnectivityOptions(
    pairs=40, points=21, rounds=1, steps=100, attack_steps=80, prototypes=2, prototype_steps=40
)
