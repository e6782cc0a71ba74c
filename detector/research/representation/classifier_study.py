"""The study of a given classifier: its own path, and where attacked images part from clean ones on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.classifiers.loading import LoadedClassifier
from detector.classifiers.onnx import OnnxClassifier
from detector.errors import AnalysisError
from detector.reporting import numbers
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.claims import Claim
from detector.research.representation.attacked_sections import (
    Parted,
    attacked_charts,
    attacked_claims,
    attacked_sections,
)
from detector.research.representation.attacked_study import usual_levels
from detector.research.representation.capture import path_names
from detector.research.representation.onnx_layers import OnnxLayers
from detector.research.representation.parting import AttackedProbe, Attacks, parting
from detector.research.representation.path_geometry import PathGeometry, path_geometry
from detector.research.representation.plain import plain
from detector.research.representation.probe import Probe
from detector.research.representation.training_claims import TOLERANCE, rises_with_depth, softmax_share
from detector.research.studies import Study
from detector.shards.base import Job, Shard
from detector.training.data import LabelledImages

if TYPE_CHECKING:
    from detector.classifiers.base import ImageSpec, OutputKind
    from detector.progress import Advance
    from detector.research.representation.kinds import Maps
    from detector.research.representation.spaces.base import LengthSpace
    from detector.research.studies import Workplace
    from detector.shards.base import Models
    from detector.shards.stages import Arrays

NAME: Final = "classifier"


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierOptions:
    """How a given classifier's path is measured.

    Args:
        inputs: Of its images, at most.
        space: Where.
        maps: How maps and tokens become units.
        levels: Most by which a pixel is changed, in 255ths; None for the usual.
        seed: Of what is drawn.
    """

    inputs: int
    space: LengthSpace
    maps: Maps
    levels: float | None
    seed: int


@dataclass(frozen=True, eq=False)
class _Opened:
    """All that another process needs to open the classifier."""

    model: bytes
    spec: ImageSpec
    labels: tuple[str, ...]
    kind: OutputKind
    output: str

    @classmethod
    def of(cls, loaded: LoadedClassifier) -> _Opened:
        one = loaded.classifier
        return cls(loaded.untapped or loaded.model, one.spec, one.labels, one.output_kind, one.output_name)

    def layers(self) -> OnnxLayers:
        opened = OnnxClassifier(
            self.model, spec=self.spec, labels=self.labels, output_kind=self.kind, output_name=self.output
        )
        return OnnxLayers(self.model, opened)


def study(workplace: Workplace, options: ClassifierOptions) -> Study:
    """Study it.

    Args:
        workplace: With a classifier and labelled images.
        options: How.

    Raises:
        AnalysisError: There is no classifier, it runs elsewhere, the images have no labels, or a layer is no point.
        MissingExtraError: The attack library is not installed.
        CalibrationError: The disk refuses.
    """
    inputs = workplace.inputs
    if inputs is None:
        raise AnalysisError("there is no classifier: pass --classifier and --images")
    if not isinstance(inputs.loaded, LoadedClassifier):
        raise AnalysisError("the classifier runs elsewhere, so what its layers say can't be read")
    images = LabelledImages.of(inputs.images, len(inputs.labels)).head(options.inputs)
    probe = Probe(images, options.space, options.maps)
    levels = usual_levels(images.shape[0]) if options.levels is None else options.levels
    attacks = Attacks(levels, options.seed)
    opened = _Opened.of(inputs.loaded)
    arrays = workplace.done(
        "representation/classifier",
        lambda: _job("The classifier's path", opened, AttackedProbe(probe, attacks)),
        probe=probe.to_json(),
        attacks=attacks.to_json(),
    )
    kinds = attacks.kinds(gradients=inputs.gradients is not None)
    what = (
        f"{inputs.loaded.classifier.description}; {len(images)} held-out images in {options.space.name}, moved by "
        f"{levels:g}/255"
    )
    parted = Parted(what, path_names(opened.layers()), kinds, arrays, None)
    charts = attacked_charts(parted)
    return Study(
        name=NAME,
        figures={**parted.figures(), "path": _path_figures(arrays)},
        arrays=arrays,
        sections=(_section(parted), *attacked_sections(parted, charts)),
        charts=charts,
        claims=(*_claims(parted), *attacked_claims(parted)),
        missing=() if inputs.gradients is not None else ("without gradients there are no attacks: pass --gradients",),
    )


def _job(title: str, opened: _Opened, shared: AttackedProbe) -> Job:
    steps = len(shared.attacks.kinds(gradients=True))
    return Job(title, _measured, shared, lambda _: opened, (Shard(0, slice(0, 1), steps),))


def _measured(models: Models, shared: AttackedProbe, opened: _Opened, advance: Advance) -> Arrays:
    network = opened.layers()
    path = shared.probe.path(network)
    found = parting(network, path, models.gradients, shared, advance)
    found |= path_geometry(path, shared.probe.space).arrays()
    found["accuracy"] = np.array(shared.probe.accuracy(network))
    return {name: value[None] for name, value in found.items()}


def _path_figures(arrays: Arrays) -> dict[str, Any]:
    geometry = PathGeometry.from_arrays(arrays, 0)
    measured = {name: plain(value) for name, value in geometry.arrays().items()}
    return {
        "accuracy": float(arrays["accuracy"][0]),
        "length": geometry.length,
        "slack": geometry.slack,
        "contributions": plain(geometry.contributions),
        **measured,
    }


def _claims(parted: Parted) -> tuple[Claim, ...]:
    rise = float(rises_with_depth(parted.arrays["to_target"][0]))
    share = float(softmax_share(parted.arrays["to_target"][0]))
    return (
        Claim(
            claim="The distance to the target never rises with depth",
            source=f"a replication of arXiv 2206.10999 on MNIST, residual MLPs; up to {TOLERANCE:g}",
            run=parted.what,
            outcome=f"largest rise from a point to the next {numbers.loss(rise)}; the softmax's share of the approach "
            f"is {numbers.percent(share)}",
            agrees=rise <= TOLERANCE,
        ),
    )


def _section(parted: Parted) -> Section:
    geometry = PathGeometry.from_arrays(parted.arrays, 0)
    last = len(parted.names) - 1
    rows = [
        [
            row_head(name),
            numbers.loss(float(geometry.to_target[at])),
            numbers.loss(float(geometry.contributions[at - 1])) if at else "",
            numbers.loss(float(geometry.steps[at - 1])) if at else "",
            _degrees(float(geometry.aims[at - 1])) if at else "",
            _degrees(float(geometry.turns[at - 1])) if 0 < at < last else "",
            numbers.loss(float(geometry.progress[at])),
            numbers.loss(float(geometry.deviation[at])),
        ]
        for at, name in enumerate(parted.names)
    ]
    head = ["point", "to the target", "nearer by", "step to here", "its angle", "turn here", "progress", "off the line"]
    return Section.of(
        "classifier",
        "The classifier's path",
        paragraph(
            f"{parted.what}. Length {numbers.loss(geometry.length)}, slack {numbers.loss(geometry.slack)}; "
            f"{numbers.percent(float(parted.arrays['accuracy'][0]))} of the images are classified correctly."
        ),
        wide(head, rows),
    )


def _degrees(angle: float) -> str:
    return f"{np.degrees(angle):.0f}\N{DEGREE SIGN}" if np.isfinite(angle) else numbers.NOTHING
