"""Batches of a few fixed sizes, in memory that is kept: what a GPU wants, which chooses its kernels for every size."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.classifiers.base import Float32Array


def batch_sizes(most: int) -> tuple[int, ...]:
    """Powers of two up to `most`, which is at least 1."""
    return tuple(1 << power for power in range(most.bit_length()))


class FixedBatches:
    """Runs a graph of one image input on batches of fixed sizes; smaller ones are filled up with their last image.

    Every size is run once when it is made, so that no caller pays for the choice of kernels. Safe to use from several
    threads, which take turns.

    Args:
        runtime: The `onnxruntime.InferenceSession`; its input is float32 (N, ...).
        shape: Of one image.
        sizes: Of batches, rising.
        outputs: Which of the graph's are wanted.
        device: Where inputs are kept: ``cuda`` or ``cpu``.
    """

    def __init__(
        self, runtime: Any, shape: tuple[int, ...], sizes: Sequence[int], *, outputs: Sequence[str], device: str
    ) -> None:
        self._runtime, self._sizes, self._outputs, self._device = runtime, sizes, outputs, device
        self._input = runtime.get_inputs()[0].name
        self._lock = threading.Lock()
        self._kept = {size: self._keep(np.zeros((size, *shape), np.float32)) for size in sizes}
        for size in sizes:
            self.run(np.zeros((size, *shape), np.float32))

    def run(self, images: Float32Array) -> list[Any]:
        """The outputs, in their order.

        Args:
            images: float32 (N, *shape), at least one and at most as many as the largest batch has.
        """
        size = next(size for size in self._sizes if size >= len(images))
        missing = size - len(images)
        batch = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
        with self._lock:
            kept = self._kept[size]
            kept.update_inplace(np.ascontiguousarray(batch))
            binding = self._runtime.io_binding()
            binding.bind_ortvalue_input(self._input, kept)
            for name in self._outputs:
                binding.bind_output(name, self._device)
            self._runtime.run_with_iobinding(binding)
            return [found[: len(images)] for found in binding.copy_outputs_to_cpu()]

    def _keep(self, images: Float32Array) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(images, self._device, 0)
