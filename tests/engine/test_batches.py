from __future__ import annotations

import threading

import numpy as np
import pytest

from detector.classifiers.session import open_session
from detector.engine.batches import FixedBatches, batch_sizes
from tests.support.graphs import chain

SHAPE = (3, 8, 8)
IMAGES = np.random.default_rng(3).random((23, *SHAPE), np.float32)


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, (1,)), (2, (1, 2)), (53, (1, 2, 4, 8, 16, 32)), (64, (1, 2, 4, 8, 16, 32, 64))]
)
def test_sizes_are_powers_of_two(most: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(most) == sizes


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_every_number_of_images_gets_the_answers_of_a_plain_run(count: int) -> None:
    runtime = open_session(chain([6, 5]), threads=1).runtime
    outputs = [entry.name for entry in runtime.get_outputs()][::-1]
    fixed = FixedBatches(runtime, SHAPE, batch_sizes(8), outputs=outputs, device="cpu")
    name = runtime.get_inputs()[0].name
    wanted = runtime.run(outputs, {name: IMAGES[:count]})
    for _ in range(2):  # nothing of the batch before is left
        found = fixed.run(IMAGES[:count])
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        fixed.run(1 - IMAGES[:8])


def test_threads_take_turns() -> None:
    runtime = open_session(chain([6, 5]), threads=1).runtime
    outputs = [entry.name for entry in runtime.get_outputs()]
    fixed = FixedBatches(runtime, SHAPE, batch_sizes(4), outputs=outputs, device="cpu")
    wanted = [fixed.run(IMAGES[i : i + 2])[0] for i in range(20)]
    wrong: list[int] = []

    def ask(i: int) -> None:
        answers = [fixed.run(IMAGES[i : i + 2])[0] for _ in range(20)]
        wrong.extend(i for answer in answers if not np.allclose(answer, wanted[i], rtol=1e-5, atol=1e-6))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
