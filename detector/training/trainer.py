"""The loop: a network is trained step by step, and where it stands can be put aside and taken up again.

What a step does follows from the plan, the state and the data alone, to the last bit on one processor. Random numbers
are drawn on the CPU, so that the same examples are seen in the same order wherever the network is. On a GPU the
gradients of pooling are added up in no fixed order, so there two runs agree only nearly.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from detector.classifiers.torch import set_mode
from detector.errors import AnalysisError
from detector.training.adversarial import attacked
from detector.training.augmentation import augmented
from detector.training.kinds import Sampling
from detector.training.plan import set_step_size, step_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from detector.progress import Advance
    from detector.shards.stages import Arrays
    from detector.training.plan import TrainingPlan

_M = TypeVar("_M")
_LEVELS = 255
_WEIGHTS, _OPTIMISER = "weights/", "optimiser/"


def drawn(seed: int, build: Callable[[], _M]) -> tuple[_M, torch.Generator]:
    """What is built with the random numbers of a seed, and a generator of those that follow.

    PyTorch's own generator is left as it was.
    """
    generator = torch.Generator()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = build()
        generator.set_state(torch.get_rng_state())
    return built, generator


def default_device() -> torch.device:
    """A GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Training:
    """A network that is being trained.

    Args:
        module: Trained in place, on the device it is on.
        inputs: (N, ...), float32, or uint8 images, which become float32 in [0, 1]. On the module's device, or on the
            CPU, from which batches are then sent.
        targets: (N, ...), what `objective` compares with; int64 classes for cross-entropy.
        plan: How.
        generator: Of the order of examples and their augmentation; on the CPU, used up by the training.
        objective: Mean loss of a batch: what the module puts out, and the targets.
        encode: From images in [0, 1] to what the module takes, after augmentation; None for a module that takes them.

    Raises:
        AnalysisError: There is no example, or not one target for each, or what is no image is to be augmented or
            attacked.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        plan: TrainingPlan,
        generator: torch.Generator,
        *,
        objective: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
        encode: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if not len(inputs) or len(inputs) != len(targets):
            raise AnalysisError(
                f"training: {len(inputs)} examples and {len(targets)} targets; one for each is expected"
            )
        changed = plan.augmentation.shift or plan.augmentation.flips or plan.adversary
        if inputs.ndim != 4 and changed:  # noqa: PLR2004 - (N, C, H, W)
            raise AnalysisError(
                f"training: only images can be augmented or attacked, not inputs of shape {tuple(inputs.shape)}"
            )
        self.module = module
        self.plan = plan
        self.step = 0
        self._inputs, self._targets = inputs, targets
        self._generator = generator
        self._objective = objective
        self._encode = encode
        self._device = next(module.parameters()).device
        self._optimiser = plan.optimiser.over(module.parameters())
        self._sizes = step_sizes(plan)
        self._order = torch.empty(0, dtype=torch.int64)  # of the examples in this epoch

    def run(
        self,
        until: int | None = None,
        *,
        on_step: Callable[[Training], None] | None = None,
        advance: Advance | None = None,
    ) -> None:
        """Train.

        Args:
            until: The step before which to stop; None for all that are planned.
            on_step: Called after every step; may look at the network, put it in evaluation mode, and change its
                weights, as pruning does.
            advance: Told of every step.

        Raises:
            AnalysisError: The loss is no finite number any more.
        """
        end = self.plan.steps if until is None else min(until, self.plan.steps)
        if self.step >= end:
            return
        set_mode(self.module, training=True)
        with _deterministic(self._device):
            loss = torch.zeros(())
            while self.step < end:
                loss = self._take_step()
                if on_step:
                    on_step(self)
                    set_mode(self.module, training=True)
                if advance:
                    advance(1)
        if not loss.isfinite():  # once it is not, it stays so
            raise AnalysisError(f"training: the loss is not finite before step {self.step}; lower the learning rate")

    def _take_step(self) -> Tensor:
        rows = self._next_rows()
        inputs = self._inputs[rows.to(self._inputs.device)].to(self._device)
        if inputs.dtype is torch.uint8:
            inputs = inputs.float() / _LEVELS
        inputs = augmented(inputs, self.plan.augmentation, self._generator)
        targets = self._targets[rows.to(self._targets.device)].to(self._device)

        def loss_of(images: Tensor) -> Tensor:
            return self._objective(self.module(self._encode(images) if self._encode else images), targets)

        if adversary := self.plan.adversary:
            level = adversary.level_at(self.step)
            inputs = attacked(
                self.module, inputs, loss_of, level=level, steps=adversary.steps, generator=self._generator
            )
        set_step_size(self._optimiser, self._sizes[self.step])
        self._optimiser.zero_grad()
        loss = loss_of(inputs)
        torch.autograd.backward(loss)
        self._optimiser.step()
        self.step += 1
        return loss.detach()

    def _next_rows(self) -> Tensor:
        count, batch = len(self._inputs), self.plan.batch
        if self.plan.sampling is Sampling.REPLACEMENT:
            return torch.randint(count, (batch,), generator=self._generator)
        place = self.step % -(-count // batch)
        if place == 0:
            self._order = torch.randperm(count, generator=self._generator)
        return self._order[place * batch : (place + 1) * batch]

    def clear(self, gone: Mapping[str, Tensor]) -> None:
        """Set weights to zero, and what the optimiser remembers of them.

        Args:
            gone: By a parameter's name which of its weights: bool, of its shape, on its device.
        """
        parameters = dict(self.module.named_parameters())
        with torch.no_grad():
            for name, where in gone.items():
                parameter = parameters[name]
                remembered = self._optimiser.state.get(parameter, {}).values()
                for value in (parameter, *(v for v in remembered if isinstance(v, torch.Tensor))):
                    if value.shape == where.shape:
                        value.masked_fill_(where, 0)

    def state(self) -> Arrays:
        """Where the training stands: all that `restore` needs to go on to the very same end."""
        kept: dict[str, Tensor] = {_WEIGHTS + name: value for name, value in self.module.state_dict().items()}
        for number, entries in self._optimiser.state_dict()["state"].items():
            kept |= {f"{_OPTIMISER}{number}/{name}": v for name, v in entries.items() if isinstance(v, torch.Tensor)}
        kept |= {"order": self._order, "randomness": self._generator.get_state(), "step": torch.tensor(self.step)}
        return {name: value.detach().cpu().numpy().copy() for name, value in kept.items()}

    def restore(self, state: Arrays) -> None:
        """Go back, or on, to where a training of the same plan stood.

        Raises:
            AnalysisError: It is the state of another network.
        """
        load_weights(self.module, weights_of(state))
        entries: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            if key.startswith(_OPTIMISER):
                number, name = key.removeprefix(_OPTIMISER).split("/")
                entries.setdefault(int(number), {})[name] = torch.tensor(value)
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": entries, "param_groups": groups})
        self._order, self.step = torch.tensor(state["order"]), int(state["step"])
        self._generator.set_state(torch.tensor(state["randomness"]))


def weights_of(state: Arrays) -> Arrays:
    """The network's own part of a training's state: its parameters and buffers by name."""
    return {key.removeprefix(_WEIGHTS): value for key, value in state.items() if key.startswith(_WEIGHTS)}


def load_weights(module: nn.Module, weights: Arrays) -> None:
    """Give a network weights that `weights_of` found.

    Raises:
        AnalysisError: They are another network's.
    """
    try:
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    except RuntimeError as error:
        raise AnalysisError(f"these weights are another network's: {' '.join(str(error).split())}") from error


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Let cuDNN choose no algorithm by its speed, nor one that adds in any order."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
        yield
