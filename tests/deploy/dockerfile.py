"""Reads Dockerfiles, and carries out the stages of one in a folder: no engine is needed where a stage only runs Python.

What a stage writes below its absolute paths lands below its folder; what it copies is checked against .dockerignore.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITTEN = ("/opt/isthmus", "/build")
"""Where the stages write; anything else that a command names is this machine's."""


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined."""

    keyword: str
    value: str

    @property
    def exec_form(self) -> list[str]:
        """The words of an ENTRYPOINT, CMD or HEALTHCHECK that needs no shell."""
        words: list[str] = json.loads(self.value[self.value.index("[") :])
        return words

    @property
    def pairs(self) -> dict[str, str]:
        """What an ENV or LABEL sets."""
        return dict(word.split("=", 1) for word in shlex.split(self.value))


@dataclass(frozen=True)
class Stage:
    """A stage: its name, the one or the image it begins with, and what is done."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def values(self, keyword: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.keyword == keyword]


@dataclass(frozen=True)
class Dockerfile:
    """All stages by name, and the arguments before the first."""

    stages: dict[str, Stage]
    arguments: dict[str, str]

    @classmethod
    def read(cls, file: Path) -> Dockerfile:
        stages: dict[str, Stage] = {}
        arguments: dict[str, str] = {}
        for instruction in _instructions(file.read_text(encoding="utf-8")):
            if instruction.keyword == "FROM":
                base, _, name = instruction.value.partition(" AS ")
                stages[name] = Stage(name, base)
            elif stages:
                next(reversed(stages.values())).instructions.append(instruction)
            else:
                name, _, value = instruction.value.partition("=")
                arguments[name] = value
        return cls(stages, arguments)

    def line(self, name: str) -> list[Stage]:
        """The stages that a stage is made of, the first one first."""
        stage = self.stages[name]
        return [*(self.line(stage.base) if stage.base in self.stages else []), stage]

    def values(self, name: str, keyword: str) -> list[Instruction]:
        """The instructions of a kind that an image is made by, all its stages included."""
        return [instruction for stage in self.line(name) for instruction in stage.values(keyword)]

    def environment(self, name: str) -> dict[str, str]:
        """The variables that an image sets."""
        return {key: value for env in self.values(name, "ENV") for key, value in env.pairs.items()}


def _instructions(text: str) -> Iterator[Instruction]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if line.strip():
            keyword, _, value = line.strip().partition(" ")
            yield Instruction(keyword.upper(), value.strip())


@dataclass(frozen=True)
class Ignore:
    """The patterns of a .dockerignore; of those that match the last one counts."""

    patterns: list[str]

    @classmethod
    def read(cls, file: Path) -> Ignore:
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        return cls([line for line in lines if line and not line.startswith("#")])

    def hides(self, path: str) -> bool:
        hidden = False
        for pattern in self.patterns:
            if self._matches(path, pattern.removeprefix("!")):
                hidden = not pattern.startswith("!")
        return hidden

    @staticmethod
    def _matches(path: str, pattern: str) -> bool:
        """Whether a pattern names the path or a folder that it is in."""
        ways = [str(PurePosixPath(path)), *(str(parent) for parent in PurePosixPath(path).parents if parent.name)]
        if pattern.startswith("**/"):
            ways = [part for way in ways for part in PurePosixPath(way).parts]
            pattern = pattern.removeprefix("**/")
        return any(fnmatchcase(way, pattern) and way.count("/") == pattern.count("/") for way in ways)


@dataclass(frozen=True)
class Build:
    """Carries out stages, each with those it is made of, in a folder of its own below `folder`."""

    dockerfile: Dockerfile
    context: Path
    ignore: Ignore
    folder: Path

    def carry_out(self, name: str) -> Path:
        """The folder that is the stage's root, made now or before."""
        root = self.folder / name
        if root.exists():
            return root
        root.mkdir(parents=True)
        working, variables = "/", {**self.dockerfile.arguments}
        for stage in self.dockerfile.line(name):
            for instruction in stage.instructions:
                match instruction.keyword:
                    case "WORKDIR":
                        working = instruction.value
                        self._inside(root, working).mkdir(parents=True, exist_ok=True)
                    case "ARG":
                        key, _, value = instruction.value.partition("=")
                        variables[key] = value
                    case "ENV":
                        variables |= instruction.pairs
                    case "COPY":
                        self._copy(root, working, shlex.split(instruction.value))
                    case "RUN":
                        self._run(root, working, instruction.value, variables)
                    case other:
                        raise AssertionError(f"{name}: {other} is no instruction of a stage that builds")
        return root

    def _copy(self, root: Path, working: str, words: list[str]) -> None:
        flags = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        into = self._inside(root, str(PurePosixPath(working, target)))
        for source in sources:
            if flags:
                (name,) = (flag.removeprefix("--from=") for flag in flags)
                found = self._inside(self.carry_out(name), source)
            else:
                assert not self.ignore.hides(source), f".dockerignore hides {source}"
                found = self.context / source
            if found.is_dir():
                shutil.copytree(found, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(found, into)

    def _run(self, root: Path, working: str, command: str, variables: dict[str, str]) -> None:
        for path in _WRITTEN:
            command = re.sub(rf"(?<![\w/]){path}\b", str(self._inside(root, path)), command)
        kept = {key: value for key, value in os.environ.items() if key in {"HOME", "LANG"} or key.startswith("PIP_")}
        path = os.pathsep.join((str(Path(sys.executable).parent), "/usr/bin", "/bin"))
        subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self._inside(root, working),
            env={**variables, **kept, "PATH": path},
            check=True,
        )

    @staticmethod
    def _inside(root: Path, path: str) -> Path:
        return root / PurePosixPath(path).relative_to("/")
