"""Networks and their own attacks: each network's images attacked by its gradients, and seen at every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from detector.research.representation.parting import AttackedProbe, parting
from detector.research.representation.path_geometry import path_geometry
from detector.research.representation.probe import layers_of
from detector.shards.base import Job, Shard
from detector.training.trainer import load_weights

if TYPE_CHECKING:
    from detector.classifiers.torch import TorchClassifier
    from detector.progress import Advance
    from detector.research.representation.path_jobs import Trained
    from detector.shards.base import Models
    from detector.shards.stages import Arrays


def attacked_job(title: str, trained: Trained, shared: AttackedProbe) -> Job:
    """Each network's images attacked; a network is a shard.

    Args:
        title: For people who watch.
        trained: Looked at once, at the end.
        shared: On what.

    Returns:
        Arrays (networks, ...): those of `parting`, and of `path_geometry` for the images as they are.
    """
    steps = len(shared.attacks.kinds(gradients=True))
    cut = tuple(Shard(i, slice(i, i + 1), steps) for i in range(trained.count))
    return Job(title, _attacked, shared, lambda shard: trained.only(shard.number), cut)


def _attacked(models: Models, shared: AttackedProbe, trained: Trained, advance: Advance) -> Arrays:
    del models
    network = layers_of(trained.recipe).with_weights(trained.weights, 0, 0)
    path = shared.probe.path(network)
    found = parting(network, path, _classifier(trained), shared, advance)
    found |= path_geometry(path, shared.probe.space).arrays()
    return {name: value[None] for name, value in found.items()}


def _classifier(trained: Trained) -> TorchClassifier:
    with torch.random.fork_rng(devices=[]):
        module = trained.recipe.network()
    load_weights(module, {name: value[0, 0] for name, value in trained.weights.items()})
    return trained.recipe.classifier(module)
