"""Networks of one architecture from wherever classifiers come from, side by side, so that they can be aligned.

Each has a program of its own, which may be written differently; what counts is that all have the same tensors and that
the first one's program, given another's tensors, answers as that one does.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from detector.classifiers.base import OutputKind, PixelType
from detector.classifiers.gradients import load_torch_source
from detector.classifiers.outputs import probe_images
from detector.classifiers.torch import TorchClassifier, class_tensor, encode_tensor, logit_rows
from detector.errors import AnalysisError
from detector.research.permutation.program import Program
from detector.research.permutation.tracing import derive_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from detector.classifiers.base import ImageSpec
    from detector.classifiers.options import SpecOptions
    from detector.research.permutation.spec import PermutationSpec, State

MAX_NETWORKS: Final = 16
_FEWEST = 2
_PROBES = 5
_TOLERANCE = 1e-3  # of the largest logit: float32 sums in another order
_INSIDE = "network."


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
        traced = [_traced(each, probe, name) for name, each in zip(names, classifiers, strict=True)]
        program, states = traced[0], tuple(dict(one.state) for one in traced)
        for name, state in zip(names, states, strict=True):
            _check_tensors(name, state, names[0], states[0])
        spec = derive_spec(program, probe, name=names[0])
        for name, own, state in zip(names, traced, states, strict=True):
            spec.check(state, name=name)
            _check_answers(name, own, program, state, probe)
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


class _Canonical(nn.Module):
    """A classifier's module behind what it wants of images, so that it takes canonical ones and gives logits."""

    def __init__(self, classifier: TorchClassifier) -> None:
        super().__init__()
        self.network = classifier.module
        self._spec: ImageSpec = classifier.spec
        self._kind: OutputKind = classifier.output_kind

    def forward(self, images: Tensor) -> Tensor:
        return logit_rows(class_tensor(self.network(encode_tensor(self._spec, images))).flatten(1), self._kind)


def _traced(classifier: TorchClassifier, probe: Tensor, name: str) -> Program:
    """Its program, from canonical images to logits, with tensors named as its module names them."""
    program = Program.of(_Canonical(classifier), probe, name=name)
    own = {key: key.removeprefix(_INSIDE) for key in program.state}
    return replace(
        program,
        inputs=tuple(None if key is None else own.get(key, key) for key in program.inputs),
        state={own[key]: value for key, value in program.state.items()},
        buffers=frozenset(own[key] for key in program.buffers),
    )


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


def _check_tensors(name: str, state: State, first_name: str, first: State) -> None:
    """Whether a network has the first one's tensors; what layers share in one of them, they share in the other."""
    if missing := sorted(first.keys() - state.keys()):
        raise AnalysisError(f"{name}: has no tensor {_named(missing)}, which {first_name} has; is it another network?")
    if more := sorted(state.keys() - first.keys()):
        raise AnalysisError(f"{name}: has a tensor {_named(more)}, which {first_name} has not; is it another network?")


def _named(tensors: list[str]) -> str:
    more = f" (and {len(tensors) - 1} more)" if len(tensors) > 1 else ""
    return tensors[0] + more


def _check_answers(name: str, own: Program, program: Program, state: State, probe: Tensor) -> None:
    with torch.no_grad():
        wanted, found = own.logits(probe), program.logits(probe, state)
    if not bool((found - wanted).abs().max() <= _TOLERANCE * max(float(wanted.abs().max()), 1e-6)):
        raise AnalysisError(
            f"{name}: has the first network's tensors and computes something else with them: another architecture"
        )
