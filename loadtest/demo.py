"""A bundle, clean and attacked images without any file of others: scikit-learn's digits, as `isthmus demo` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from detector.progress import Progress


@dataclass(frozen=True)
class DemoMaterial:
    """What a load test needs.

    Args:
        bundle: A detector bundle.
        clean: An .npz of images it has not seen.
        attacked: An .npz of those of them that an attack made fool its classifier.
    """

    bundle: Path
    clean: Path
    attacked: Path

    @property
    def is_there(self) -> bool:
        """Whether an earlier call made all of it; the attacked images are written last."""
        return self.attacked.is_file()


def demo_material(folder: Path, progress: Progress) -> DemoMaterial:
    """Make it, unless it is there.

    Args:
        folder: Where to.
        progress: Watches.

    Raises:
        MissingExtraError: What calibrates is not installed.
    """
    found = DemoMaterial(folder / "bundle", folder / "clean.npz", folder / "attacked.npz")
    if found.is_there:
        return found
    from detector.cli.demo_digits import build_demo  # brings torch

    folder.mkdir(parents=True, exist_ok=True)
    samples = {sample.kind: sample for sample in build_demo(folder, reuse=True, progress=progress).samples}
    for kind, file in (("clean", found.clean), ("attacked", found.attacked)):
        np.savez(file, images=samples[kind].pixels, labels=samples[kind].labels)
    return found
