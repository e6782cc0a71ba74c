"""Torchvision data sets by name: ``torchvision:CIFAR10?root=/data&train=false``.

After the question mark stand the data set's own arguments, ``name=value`` joined by ``&`` and percent-encoded where
needed; ``true`` and ``false`` are booleans, whole numbers are numbers, numbers joined by commas are tuples, everything
else is text. Nothing is downloaded unless ``download=true`` is among them.

Torchvision itself unpickles the files of a few sets (CIFAR among them), after it has compared their MD5 with the
published one. Where that is not good enough, give the images as a folder, zip or .npz.
"""

from __future__ import annotations

import inspect
import operator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from PIL import Image

from detector.data.decode import fit_image
from detector.data.source import ImageSource
from detector.errors import DataError, InvalidInputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from detector.classifiers.base import UInt8Array
    from detector.data.source import Reader

PREFIX: Final = "torchvision:"
_EXAMPLE: Final = f"{PREFIX}CIFAR10?root=/data&train=false"
# These would take code, not values, and images must come as they are.
_NOT_SETTABLE: Final = frozenset({"self", "transform", "target_transform", "transforms", "loader", "is_valid_file"})


class TorchvisionSource(ImageSource):
    """The images of a torchvision data set, named ``CIFAR10[0]``, ``CIFAR10[1]``, ...

    Args:
        name: The data set's name.
        dataset: The data set, of (image, target) pairs. Its labels are known before decoding where it has `targets`
            or `labels`, as most have; else a part of it can't be spread evenly over the classes.
    """

    def __init__(self, name: str, dataset: Any) -> None:
        classes = getattr(dataset, "classes", None)
        super().__init__(
            names=[f"{name}[{i}]" for i in range(len(dataset))],
            labels=_known_labels(dataset),
            class_names=tuple(str(c) for c in classes) if classes else None,
        )
        self._dataset = dataset

    def _reader(self, shape: tuple[int, int, int]) -> AbstractContextManager[Reader]:
        def read(index: int) -> tuple[UInt8Array, int | None]:
            name = self.names[index]
            try:
                image, target = self._dataset[index]
                if isinstance(image, Image.Image):
                    return fit_image(image, shape), operator.index(target)
            except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError):
                pass
            raise InvalidInputError("is not a readable (image, class index) pair", field=name)

        return nullcontext(read)


def open_torchvision(source: str) -> TorchvisionSource:
    """Open a torchvision data set.

    Args:
        source: Such as ``torchvision:CIFAR10?root=/data&train=false``.

    Raises:
        DataError: No such data set or argument, or its files are not there.
        MissingExtraError: Torchvision is not installed.
    """
    name, _, query = source.removeprefix(PREFIX).partition("?")
    factory = _factory(name)
    arguments = _arguments(query, factory, name)
    try:
        return TorchvisionSource(name, factory(**arguments))
    except DataError:
        raise
    except Exception as error:  # torchvision reports missing files and wrong values by any exception
        settable = inspect.signature(factory).parameters
        hint = "; add download=true to fetch it" if "download" in settable and not arguments["download"] else ""
        raise DataError(f"{source}: {error}{hint}") from error


def _factory(name: str) -> Callable[..., Any]:
    try:
        from detector.classifiers.torchvision_compat import mend_torchvision

        mend_torchvision()
        from torchvision import datasets
    except ImportError as error:
        raise MissingExtraError("torchvision", extra="calibrate", purpose=f"the data set {PREFIX}{name}") from error
    factory: Callable[..., Any] | None = getattr(datasets, name, None) if name in datasets.__all__ else None
    if factory is None or not (isinstance(factory, type) and issubclass(factory, datasets.VisionDataset)):
        raise DataError(f"{PREFIX}{name}: torchvision has no data set of this name; write it as in {_EXAMPLE}")
    return factory


def _arguments(query: str, factory: Callable[..., Any], name: str) -> dict[str, Any]:
    settable = [p for p in inspect.signature(factory).parameters if p not in _NOT_SETTABLE]
    arguments: dict[str, Any] = {"download": False} if "download" in settable else {}
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=32)
    except ValueError as error:
        raise DataError(f"{PREFIX}{name}?{query}: write the arguments as in {_EXAMPLE}") from error
    for key, text in given:
        if key not in settable:
            raise DataError(f"{PREFIX}{name} takes no argument {key}; it takes {', '.join(settable)}")
        arguments[key] = _value(text)
    return arguments


def _value(text: str) -> bool | int | str | tuple[int, ...]:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    parts = text.split(",")
    if all(part.removeprefix("-").isdecimal() for part in parts):
        numbers = tuple(int(part) for part in parts)
        return numbers[0] if len(numbers) == 1 else numbers
    return text


def _known_labels(dataset: Any) -> list[int] | None:
    for attribute in ("targets", "labels"):
        labels = getattr(dataset, attribute, None)
        if labels is not None and len(labels) == len(dataset):
            try:
                return [operator.index(label) for label in labels]
            except TypeError:  # targets that are no class indices, such as boxes
                return None
    return None
