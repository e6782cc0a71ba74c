"""Classifiers of digits as they come out of retraining: nearly the old one, quite another, the same in disguise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from detector import embedded
from detector.classifiers.options import SpecOptions
from detector.classifiers.program import Program
from detector.cli.remote import load_detector
from detector.research.permutation.spec import permuted, random_permutations
from detector.research.permutation.tracing import derive_spec
from detector.training.architectures import build_network
from detector.training.kinds import OptimiserKind
from detector.training.plan import Optimiser, TrainingPlan
from detector.training.trainer import Training, drawn
from detector.transfer.inputs import load_transfer_inputs
from detector.transfer.options import TransferOptions
from detector.transfer.pipeline import transfer
from detector.transfer.recalibration import Sources
from tests.support.bundles import calibration_images
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from detector.embedded import EmbeddedDefault
    from detector.transfer.inputs import TransferInputs
    from detector.transfer.pipeline import TransferResult

QUICK: Final = TransferOptions(attack_images=40, barrier_points=5)
_STEPS: Final = 300
_TUNING_STEPS: Final = 20
_FURTHER_STEPS: Final = 100


def old_module(digits: EmbeddedDefault) -> nn.Module:
    """The embedded classifier's network."""
    module = embedded._network()
    module.load_state_dict(torch.export.load(digits.gradients_file).state_dict)
    return module.eval()


def fine_tuned(digits: EmbeddedDefault, file: Path) -> Path:
    """Trained for a little longer, gently."""
    return _trained(digits, old_module(digits), _TUNING_STEPS, 1e-5, file)


def trained_further(digits: EmbeddedDefault, file: Path) -> Path:
    """Trained on, at a rate that changes its answers."""
    return _trained(digits, old_module(digits), _FURTHER_STEPS, 1e-3, file)


def another_seed(digits: EmbeddedDefault, file: Path) -> Path:
    """Trained from another start, on the same images."""
    module, _ = drawn(7, embedded._network)
    return _trained(digits, module, _STEPS, 2e-3, file)


def another_architecture(digits: EmbeddedDefault, file: Path) -> Path:
    """A network of other layers."""
    module, _ = drawn(0, lambda: build_network("flatcnn-16-32", (1, 8, 8), 10))
    return _trained(digits, module, _STEPS, 2e-3, file)


def broken(digits: EmbeddedDefault, file: Path) -> Path:
    """The old network with as much noise on its weights as they are large: right on some images."""
    return _noisy(digits, 1.0, file)


def blinding(digits: EmbeddedDefault, file: Path) -> Path:
    """The old network with less noise on its weights: it classifies, and its scorer sees nothing."""
    return _noisy(digits, 0.6, file)


def _noisy(digits: EmbeddedDefault, share: float, file: Path) -> Path:
    module, generator = old_module(digits), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(share * parameter.std() * torch.randn(parameter.shape, generator=generator))
    return saved(module, file)


def disguised(digits: EmbeddedDefault, file: Path) -> Path:
    """The old network with its hidden units in another order: the same function."""
    module = old_module(digits)
    images, _ = calibration_images(digits)
    example = torch.from_numpy(images[:4])
    program = Program.of(module, example, name="digits")
    spec = derive_spec(program, example)
    module.load_state_dict(permuted(spec, program.state, random_permutations(spec, 3)))
    return saved(module, file)


def saved(module: nn.Module, file: Path) -> Path:
    """A network as a `torch.export` program, whatever it answers."""
    example = torch.zeros(2, *embedded.SPEC.shape)
    program = torch.export.export(module.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, file)
    return file


def _trained(digits: EmbeddedDefault, module: nn.Module, steps: int, rate: float, file: Path) -> Path:
    images, labels = calibration_images(digits)
    plan = TrainingPlan(
        optimiser=Optimiser(kind=OptimiserKind.ADAMW, learning_rate=rate, weight_decay=1e-2), steps=steps, batch=50
    )
    generator = torch.Generator().manual_seed(0)
    Training(module, torch.from_numpy(images), torch.from_numpy(labels), plan, generator).run()
    return saved(module, file)


def transfer_inputs(
    digits: EmbeddedDefault, bundle: Path, classifier: Path, images: Path, *, labels: Path | None = None
) -> TransferInputs:
    """What `isthmus transfer` loads for a classifier of digits."""
    return load_transfer_inputs(
        load_detector(bundle, threads=1),
        classifier,
        images,
        spec=SpecOptions(),
        old_gradients=digits.gradients_file,
        labels=labels,
        progress=Recorder(),
        threads=1,
    )


def transferred(
    inputs: TransferInputs, out: Path, *, options: TransferOptions = QUICK, recalibrate: bool = False
) -> TransferResult:
    """A transfer of seconds."""
    sources = Sources(classifier="retrained.pt2", images="sample.npz", out=out)
    return transfer(inputs, options, sources, progress=Recorder(), recalibrate=recalibrate, threads=1)
