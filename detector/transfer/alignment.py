"""Aligning a retrained network with the old one, and the barrier between them, where both can be taken apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from detector.classifiers.base import ChannelOrder, ImageSpec, OutputKind
from detector.classifiers.gradients import AGREEMENT, disagreement
from detector.classifiers.loading import loaded_from_torch, tapped
from detector.classifiers.torch import TorchClassifier
from detector.errors import AnalysisError, ClassifierError
from detector.research.permutation.architecture import program_of, state_under
from detector.research.permutation.barriers import barrier, line
from detector.research.permutation.matching import MatchingOptions, match_weights
from detector.research.permutation.normalisation import has_statistics
from detector.research.permutation.spec import permuted
from detector.research.permutation.tracing import derive_spec
from detector.training.data import LabelledImages

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from detector.calibration.inputs import CalibrationInputs
    from detector.calibration.split import Split
    from detector.classifiers.program import Program, State
    from detector.progress import Progress
    from detector.research.permutation.barriers import Barrier
    from detector.research.permutation.spec import PermutationSpec
    from detector.transfer.inputs import TransferInputs
    from detector.transfer.options import TransferOptions

_EXAMPLES = 4
_PROBES = 256


@dataclass(frozen=True, eq=False)
class Alignment:
    """Two networks of one architecture, and how the units of the new one match those of the old one.

    Args:
        program: The old one's.
        spec: Which units may change places.
        new: The new network's state under the old one's names.
        permutations: Of the new network's units.
    """

    program: Program
    spec: PermutationSpec
    new: State
    permutations: dict[str, NDArray[np.int64]]

    @property
    def aligned(self) -> State:
        """The new network's state with its units where the old one's are."""
        return permuted(self.spec, self.new, self.permutations)

    @property
    def moved(self) -> float:
        """The share of hidden units that change places, 0..1."""
        changed = [found != np.arange(len(found)) for found in self.permutations.values()]
        return float(np.concatenate(changed).mean())


@dataclass(frozen=True, eq=False)
class FunctionBarrier:
    """The barrier between the old network and the new one, as it is and aligned."""

    naive: Barrier
    aligned: Barrier


def find_alignment(inputs: TransferInputs, options: TransferOptions) -> Alignment:
    """Match the retrained network's units to the old one's.

    Raises:
        AnalysisError: One of them has no gradients, or can't be traced, or they differ in architecture; says which.
    """
    if inputs.old_gradients is None or inputs.new.gradients is None:
        which, option = ("old", "--from-gradients") if inputs.old_gradients is None else ("new", "--gradients")
        raise AnalysisError(f"the {which} classifier has no torch module ({option} takes its .pt2 program)")
    example = torch.from_numpy(inputs.canonical()[:_EXAMPLES])
    old = program_of(inputs.old_gradients, example, name="the old classifier")
    new = program_of(inputs.new.gradients, example, name="the new classifier")
    state = state_under(old, new, example)
    spec = derive_spec(old, example, name="the old classifier")
    matching = MatchingOptions(restarts=options.restarts, seed=options.seed)
    return Alignment(old, spec, state, match_weights(spec, [old.state], [state], matching).permutations)


def function_barrier(
    alignment: Alignment, inputs: TransferInputs, split: Split, options: TransferOptions, progress: Progress
) -> FunctionBarrier:
    """Measure the barrier on one part of the sample.

    Where there are batch norms it is measured twice: with the mixture of their statistics, which is right for networks
    that are nearly the same, and with statistics measured anew on the other part. The lower error barrier counts.
    """
    labels = inputs.sample.labels
    assert labels is not None, "load_transfer_inputs refuses images without labels"
    classes = len(inputs.bundle.manifest.labels)
    images = np.ascontiguousarray(inputs.sample.pixels.transpose(0, 3, 1, 2))
    most = options.barrier_images
    data, statistics = (
        LabelledImages(images[rows[:most]], labels[rows[:most]], classes) for rows in (split.fit, split.calibration)
    )
    ways = (None, statistics) if has_statistics(alignment.program) else (None,)
    points = line(options.barrier_points)
    different = [alignment.new, alignment.aligned] if alignment.moved else [alignment.new]
    with progress.stage("Function barrier", len(different) * len(ways) * len(points)) as advance:

        def lowest(state: State) -> Barrier:
            states = [alignment.program.state, state]
            found = (
                barrier(alignment.program, states, points, data, statistics=way, on_progress=advance) for way in ways
            )
            return min(found, key=lambda one: one.error)

        measured = [lowest(state) for state in different]
    return FunctionBarrier(naive=measured[0], aligned=measured[-1])


class _Network(nn.Module):
    """A program with any weights, of canonical images, as a module."""

    def __init__(self, program: Program, state: State) -> None:
        super().__init__()
        self._program = program
        self._names = list(state)
        for place, value in enumerate(state.values()):
            self.register_buffer(f"tensor{place}", value)

    def forward(self, images: Tensor) -> Tensor:
        state = {name: self.get_buffer(f"tensor{place}") for place, name in enumerate(self._names)}
        return self._program.logits(images, state)


def aligned_inputs(alignment: Alignment, inputs: TransferInputs, *, threads: int | None) -> TransferInputs:
    """The same with the new network's units where the old one's are, so that hidden layers can be read alike.

    Raises:
        AnalysisError: The aligned network can't be exported, or answers differently.
    """
    spec = ImageSpec(
        height=inputs.classifier.spec.height,
        width=inputs.classifier.spec.width,
        channel_order=ChannelOrder.GRAY if inputs.classifier.spec.channels == 1 else ChannelOrder.RGB,
    )
    labels = inputs.bundle.manifest.labels
    aligned = TorchClassifier(
        _Network(alignment.program, alignment.aligned), spec, labels=labels, output_kind=OutputKind.LOGITS
    )
    try:
        made = loaded_from_torch(
            aligned,
            name=inputs.classifier.description,
            digest=inputs.new.loaded.source_digest,
            labels=labels,
            threads=threads,
        )
        loaded = tapped(made, threads=threads)
    except ClassifierError as error:
        raise AnalysisError(f"the aligned network can't be exported: {error}") from error
    apart = disagreement(inputs.classifier, loaded.classifier, inputs.canonical()[:_PROBES])
    if apart > AGREEMENT:
        raise AnalysisError(f"the aligned network answers differently, by {apart:.1%}")
    note = f"its units stand where the old classifier's do ({alignment.moved:.0%} of them changed places)"
    new: CalibrationInputs = replace(
        inputs.new, loaded=replace(loaded, notes=(*loaded.notes, note)), gradients=aligned, origin=None
    )
    return replace(inputs, new=new)
