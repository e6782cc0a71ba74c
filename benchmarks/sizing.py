"""How many replicas a traffic needs, and what a calibration of a size takes: arithmetic on measured unit costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.calibration.options import CalibrationOptions

FLOAT: Final = 4  # bytes of a float32
PATIENCE: Final = 0.01  # the share of requests that may take longer than the objective
_JOINED: Final = 3  # the shards, the array they are joined in, and the file's bytes are there at once
_MOST_REPLICAS: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What is asked of the service.

    Args:
        images_per_second: On average.
        peak: The busiest minutes, as a multiple of that.
        utilisation: Of each replica at the peak, at most, in (0, 1).
        objective: Seconds within which 99 of 100 images are to be answered.
        spare: Replicas beyond what is needed, for those that restart or fail.

    Raises:
        ValueError: A value is out of range.
    """

    images_per_second: float
    peak: float = 3.0
    utilisation: float = 0.7
    objective: float = 0.25
    spare: int = 1

    def __post_init__(self) -> None:
        if self.images_per_second <= 0 or self.peak < 1 or self.objective <= 0 or self.spare < 0:
            raise ValueError("images per second and objective must be positive, peak at least 1, spare not negative")
        if not 0 < self.utilisation < 1:
            raise ValueError(f"utilisation must lie between 0 and 1, not {self.utilisation}")


@dataclass(frozen=True, kw_only=True)
class Replica:
    """What one replica can do.

    Args:
        forwards_per_second: Of the classifier, within the guard.
        forwards_per_image: From the bundle's plan.
        overhead: Seconds a request takes beyond its image's forwards: the transport, on both ends.
    """

    forwards_per_second: float
    forwards_per_image: int
    overhead: float = 0.005

    @property
    def seconds_per_image(self) -> float:
        """Of work."""
        return self.forwards_per_image / self.forwards_per_second

    def p99(self, images_per_second: float) -> float:
        """Seconds within which 99 of 100 images are answered, where single images come at random to this replica.

        One server, one service time (M/D/1), the tail of the wait as in heavy traffic: P(wait > t) = u exp(-2 (1 - u)
        t / s) at utilisation u and service time s. Infinite from full utilisation on.
        """
        used = images_per_second * self.seconds_per_image
        if used >= 1:
            return math.inf
        wait = self.seconds_per_image / (2 * (1 - used)) * max(0.0, math.log(used / PATIENCE)) if used else 0.0
        return self.overhead + self.seconds_per_image + wait


@dataclass(frozen=True)
class Sizing:
    """How many replicas, and what they then do at the peak.

    Args:
        replicas: In all, spare ones included.
        utilisation: Of each that is not spare, at the peak.
        p99: Seconds, likewise.
        bound_by: Which of the two limits decided: ``utilisation`` or ``latency``.
    """

    replicas: int
    utilisation: float
    p99: float
    bound_by: str


def size(traffic: Traffic, replica: Replica) -> Sizing:
    """The fewest replicas that keep within the utilisation and the latency objective.

    Raises:
        ValueError: An idle replica takes longer than the objective: no number of them is enough.
    """
    if replica.p99(0) > traffic.objective:
        raise ValueError(
            f"one image takes an idle replica {1000 * replica.p99(0):.0f} ms, longer than the objective of "
            f"{1000 * traffic.objective:.0f} ms: give it more threads, a GPU, or fewer forwards per image"
        )
    peak = traffic.images_per_second * traffic.peak
    busy = math.ceil(peak * replica.seconds_per_image / traffic.utilisation)
    enough = next(n for n in range(busy, _MOST_REPLICAS) if replica.p99(peak / n) <= traffic.objective)
    load = peak / enough
    bound = "utilisation" if enough == busy else "latency"
    return Sizing(enough + traffic.spare, load * replica.seconds_per_image, replica.p99(load), bound)


@dataclass(frozen=True, kw_only=True)
class Amount:
    """The size of a calibration.

    Args:
        images: How many.
        classes: How many.
        pixels: Numbers in an image.
        features: Numbers the scorer reads of an image.
        options: How it is calibrated.
    """

    images: int
    classes: int
    pixels: int
    features: int
    options: CalibrationOptions

    @property
    def fitting(self) -> int:
        """Images that fit the scorer."""
        return round(self.images * self.options.fit_fraction)

    @property
    def corrupted(self) -> int:
        """Corrupted copies of them."""
        return self.fitting * self.options.corrupted_copies


@dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """Seconds of one thread.

    Args:
        forward: The deployed classifier on one image, in batches.
        walk: All paths of one image, and reading them.
        corrupt: One image in an everyday way.
        gradient: One image through the gradients' network, forwards and backwards.
        plain: The same, forwards alone.
    """

    forward: float
    walk: float
    corrupt: float
    gradient: float
    plain: float


@dataclass(frozen=True)
class StageCost:
    """A stage of a calibration.

    Args:
        name: In words.
        shards: How many workers it can keep busy.
        seconds: Of one thread, in all.
    """

    name: str
    shards: int
    seconds: float


def stage_costs(amount: Amount, units: UnitCosts, *, chunk: int = 256, batch: int = 128) -> list[StageCost]:
    """Every stage that is done in shards.

    Args:
        amount: Of the calibration.
        units: Measured.
        chunk: Images of a shard of walks.
        batch: Images of a shard of attacks.
    """
    options = amount.options
    made = amount.classes * options.prototypes.per_class
    attacks = [(model, options.images_for(model)) for model in options.attacks]
    attack = sum(
        count * (model.backwards * units.gradient + max(0, model.forwards - model.backwards) * units.plain)
        for model, count in attacks
    )
    successes = sum(count for _, count in attacks)  # at most
    return [
        StageCost("classifying images", math.ceil(amount.images / chunk), amount.images * units.forward),
        StageCost(
            "prototypes",
            math.ceil(made / options.prototypes.batch),
            made * options.prototypes.steps * units.gradient,
        ),
        StageCost("profiles of benign images", math.ceil(amount.images / chunk), amount.images * units.walk),
        StageCost(
            "profiles of corrupted images",
            math.ceil(amount.corrupted / chunk),
            amount.corrupted * (units.walk + units.corrupt),
        ),
        StageCost("attacks", sum(math.ceil(count / batch) for _, count in attacks), attack),
        StageCost("profiles of attacked images", len(attacks), successes * units.walk),
    ]


def spread_seconds(costs: Sequence[StageCost], workers: int, efficiency: float) -> float:
    """Seconds that stages take on workers, one stage after the other, each in whole rounds of equal shards.

    Args:
        costs: The stages.
        workers: How many.
        efficiency: Of each, beside one that works alone; in (0, 1].
    """
    return sum(
        cost.seconds / cost.shards * math.ceil(cost.shards / workers) / (efficiency if workers > 1 else 1.0)
        for cost in costs
        if cost.shards
    )


@dataclass(frozen=True)
class Held:
    """Memory of the process that starts a calibration.

    Args:
        name: What is held.
        held: Bytes, until the end.
        peak: Bytes, while it is made.
    """

    name: str
    held: int
    peak: int


def memory(amount: Amount) -> list[Held]:
    """What is held, in the order in which it comes."""
    options = amount.options
    images = amount.images * amount.pixels
    logits = FLOAT * amount.images * amount.classes
    prototypes = FLOAT * amount.classes * options.prototypes.per_class * amount.pixels
    benign = FLOAT * amount.images * amount.features
    corrupted = FLOAT * amount.corrupted * amount.features
    fitting = FLOAT * amount.fitting * amount.features + corrupted
    return [
        Held("images, uint8", images, images),
        Held("logits, float32", logits, 2 * logits),
        Held("prototypes, float32", prototypes, _JOINED * prototypes),
        Held("profiles of benign images, float32", benign, _JOINED * benign),
        Held("profiles of corrupted images, float32", corrupted, _JOINED * corrupted),
        Held("the scorer's training rows, copied", 0, fitting),
    ]


def peak_memory(parts: Sequence[Held]) -> tuple[int, str]:
    """The most bytes held at once, and while what is made."""
    held, most, when = 0, 0, ""
    for part in parts:
        if held + part.peak > most:
            most, when = held + part.peak, part.name
        held += part.held
    return most, when


def store_bytes(amount: Amount) -> int:
    """Bytes on disk of finished stages; of the largest stage shards and whole, while it is joined."""
    parts = {part.name: part.held for part in memory(amount)[2:]}
    return sum(parts.values()) + max(parts.values())
