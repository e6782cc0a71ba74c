"""Networks of one architecture from wherever classifiers come from, side by side, so that they can be aligned.

Each has a program of its own, which may be written differently and call its tensors otherwise; what counts is that the
first one's program, given another's tensors, answers as that one does.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from detector.classifiers.base import PixelType
from detector.classifiers.gradients import load_torch_source
from detector.classifiers.outputs import probe_images
from detector.classifiers.torch import TorchClassifier
from detector.errors import AnalysisError
from detector.research.permutation.architecture import program_of, state_under
from detector.research.permutation.tracing import derive_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from detector.classifiers.options import SpecOptions
    from detector.classifiers.program import Program, State
    from detector.research.permutation.spec import PermutationSpec

MAX_NETWORKS: Final = 16
_FEWEST = 2
_PROBES = 5


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks of one architecture.

    Args:
        names: What to call each.
        classifiers: They themselves.
        program: What the first one computes, from canonical images to logits; it runs with the state of any.
        spec: Its symmetries.
        states: Parameters and buffers of each, by the program's names.
    """

    names: tuple[str, ...]
    classifiers: tuple[TorchClassifier, ...]
    program: Program
    spec: PermutationSpec
    states: tuple[State, ...]

    @classmethod
    def of(cls, names: Sequence[str], classifiers: Sequence[TorchClassifier]) -> Networks:
        """Put classifiers side by side.

        Raises:
            AnalysisError: There are fewer than two or more than `MAX_NETWORKS`; one can't be traced, or is not of the
                first one's architecture; says which, and what differs.
        """
        if not _FEWEST <= len(classifiers) <= MAX_NETWORKS:
            raise AnalysisError(f"networks: {_FEWEST} to {MAX_NETWORKS} are taken, not {len(classifiers)}")
        first = classifiers[0]
        for name, other in zip(names, classifiers, strict=True):
            _check_conventions(name, other, first)
        probe = torch.from_numpy(probe_images(first.spec, _PROBES))
        program, *others = (program_of(each, probe, name=name) for name, each in zip(names, classifiers, strict=True))
        states = (program.state, *(_under(program, *other, probe) for other in zip(others, names[1:], strict=True)))
        spec = derive_spec(program, probe, name=names[0])
        for name, state in zip(names, states, strict=True):
            spec.check(state, name=name)
        return cls(tuple(names), tuple(classifiers), program, spec, states)

    def classifier(self, state: State, *, name: str) -> TorchClassifier:
        """A network of this architecture as a classifier, of the first one's conventions.

        Args:
            state: Its parameters and buffers, by the program's names.
            name: What to call it in descriptions and errors.
        """
        first = self.classifiers[0]
        with warnings.catch_warnings():
            # Copying a program that was loaded, torch makes tree specs in a way it calls deprecated itself.
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
            module = copy.deepcopy(first.module)
        # A tensor that layers share stands under its first name alone; filling that in place fills them all.
        module.load_state_dict(dict(state), strict=False)
        return TorchClassifier(module, first.spec, labels=first.labels, output_kind=first.output_kind, name=name)


def open_networks(sources: Sequence[str], options: SpecOptions, labels: tuple[str, ...] | None = None) -> Networks:
    """Open networks of one architecture.

    Args:
        sources: As for `load_torch_source`.
        options: What is known of how they want their images.
        labels: One name per class.

    Raises:
        ClassifierError: One can't be opened, or contradicts an argument.
        AnalysisError: As for `Networks.of`.
    """
    return Networks.of(sources, [load_torch_source(each).classifier(options, labels=labels) for each in sources])


def _check_conventions(name: str, classifier: TorchClassifier, first: TorchClassifier) -> None:
    if classifier.spec.dtype is PixelType.UINT8:
        raise AnalysisError(f"{name}: takes uint8 pixels; give the network behind them, which takes floats")
    if classifier.fixed_batch is not None:
        raise AnalysisError(f"{name}: takes {classifier.fixed_batch} images at once; export it for any number")
    for what, found, wanted in (
        ("takes images", classifier.spec, first.spec),
        ("puts out", classifier.output_kind, first.output_kind),
        ("has so many classes:", len(classifier.labels), len(first.labels)),
    ):
        if found != wanted:
            raise AnalysisError(f"{name}: {what} {found}, the first network {wanted}; merge networks of one kind")


def _under(first: Program, other: Program, name: str, probe: Tensor) -> State:
    """A network's tensors by the first one's names."""
    try:
        return state_under(first, other, probe)
    except AnalysisError as error:
        raise AnalysisError(f"{name}: this network and the first can't be merged, for {error}") from error
