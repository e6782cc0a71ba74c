# ruff: noqa: INP001 - a script
"""Print what pip shall install for one of the images, from pyproject.toml: ``requirements.py cpu|gpu|offline``.

A script of the build stages, run by a bare Python. The project asks for onnxruntime-gpu, which runs without a GPU, too,
but is eleven times as large as onnxruntime. Both hold the module ``onnxruntime``: an image may have one of them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

RUNTIME: Final = "onnxruntime-gpu"
EXTRAS: Final = {
    "cpu": ("tracing",),
    "gpu": ("tracing",),
    "offline": ("calibrate", "attacks", "ray", "tracing"),
}


def requirements(image: str, project: dict[str, object], constraints: str) -> list[str]:
    """What an image needs beside the project's own code.

    Args:
        image: A key of `EXTRAS`.
        project: The table ``project`` of pyproject.toml.
        constraints: The contents of constraints.txt.

    Raises:
        SystemExit: The pages do not say what is needed; the message names it.
    """
    if image not in EXTRAS:
        raise SystemExit(f"requirements.py: no image {image!r}; one of {', '.join(EXTRAS)}")
    optional = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for extra in EXTRAS[image] for line in optional[extra])]  # type: ignore[index,misc] # checked by the tests, which read the real file
    found = [line for line in asked if _name(line) == RUNTIME]
    pinned = re.search(rf"^{RUNTIME}==(\S+)$", constraints, re.MULTILINE)
    if len(found) != 1 or not pinned:
        raise SystemExit(f"requirements.py: {RUNTIME} must be a dependency, and pinned in constraints.txt")
    runtime = {"cpu": "onnxruntime", "gpu": f"{RUNTIME}[cuda,cudnn]"}.get(image, RUNTIME)
    return [f"{runtime}=={pinned[1]}" if line is found[0] else line for line in asked]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


if __name__ == "__main__":
    here = Path.cwd()
    project = tomllib.loads((here / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = requirements(sys.argv[1], project, (here / "constraints.txt").read_text(encoding="utf-8"))
    sys.stdout.writelines(f"{line}\n" for line in lines)
