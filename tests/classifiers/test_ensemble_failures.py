from __future__ import annotations

from dataclasses import replace

import pytest

from detector.classifiers.ensemble import MAX_NETWORKS, ensemble_of
from detector.classifiers.torch import TorchClassifier
from detector.errors import ClassifierError
from tests.classifiers.test_ensemble import SPEC, network


def test_an_ensemble_of_none_or_of_too_many_is_refused() -> None:
    for count in (0, MAX_NETWORKS + 1):
        with pytest.raises(ClassifierError, match=f"1 to {MAX_NETWORKS} networks, not {count}"):
            ensemble_of([network(0)] * count)


def test_networks_that_differ_are_refused_by_what_differs() -> None:
    first, labels = network(0), ("a", "b", "c", "d")
    others = {
        r"network 3 takes images .*mean=\(0\.5,\)": TorchClassifier(first.module, replace(SPEC, mean=(0.5,))),
        "network 3 puts out probabilities, the first one logits": network(1, softmax=True),
        r"network 3 has classes \('class_0', 'class_1'\)": network(1, classes=2),
        r"network 3 has classes \('a', 'b'": TorchClassifier(network(1).module, SPEC, labels=labels),
        "network 3 has a batch of 1": TorchClassifier(network(1).module, SPEC, fixed_batch=1),
    }
    for message, other in others.items():
        with pytest.raises(ClassifierError, match=message):
            ensemble_of([first, network(2), other])
