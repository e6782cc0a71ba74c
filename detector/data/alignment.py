"""Do the data's labels mean the classifier's classes?"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.data.layout import is_index
from detector.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.data.source import ImageSet

_LOGGER = logging.getLogger("isthmus")
_SHOWN: Final = 8
_UNEVEN: Final = 10


def align_labels(images: ImageSet, classifier_labels: tuple[str, ...]) -> ImageSet:
    """Number a set's labels as the classifier does.

    Tried in this order: class names that are the classifier's (whatever their case, ``_`` and ``-`` as spaces);
    class names that are all whole numbers, taken as class indices; as many class names as the classifier has, none of
    them known to it, by their order (logged as a warning, for it is a guess). Labels without names are class indices.

    Args:
        images: Any set; one without labels comes back as it is.
        classifier_labels: One per class, in output order.

    Returns:
        The set with class indices for labels and the classifier's labels for `class_names`.

    Raises:
        DataError: The names or the indices don't fit the classifier.
    """
    if images.labels is None:
        return images
    if images.class_names is None:
        labels = images.labels
    else:
        used = np.unique(images.labels)
        labels = _mapping(images.class_names, used, classifier_labels)[images.labels]
    _check_range(labels, len(classifier_labels))
    return replace(images, labels=labels, class_names=classifier_labels)


def check_classes(labels: NDArray[np.int64], classes: int | Sequence[str]) -> list[str]:
    """What is odd about how images spread over the classes.

    Args:
        labels: int64 (N,), class indices.
        classes: The classes' names, or how many there are.

    Returns:
        Warnings for people, none if all is well: classes without any image, classes with very few.
    """
    names = [f"class {i}" for i in range(classes)] if isinstance(classes, int) else list(classes)
    counts = np.bincount(labels, minlength=len(names))[: len(names)]
    warnings = []
    if missing := [name for name, count in zip(names, counts, strict=True) if count == 0]:
        warnings.append(f"no image of {_some(missing)}; add some, or nothing can be promised for them")
    typical = float(np.median(counts))
    if scarce := [f"{n} ({c})" for n, c in zip(names, counts, strict=True) if 0 < c * _UNEVEN < typical]:
        warnings.append(f"few images of {_some(scarce)}, where {typical:.0f} are typical; add some")
    return warnings


def _mapping(data: tuple[str, ...], used: NDArray[np.int64], classifier: tuple[str, ...]) -> NDArray[np.int64]:
    """The class index of each of the data's class names, -1 for one that is neither known nor used."""
    indices, needed = _by_name(data, classifier), [data[i] for i in used]
    unknown = [name for name in needed if _plain(name) not in indices]
    if not unknown:
        return np.array([indices.get(_plain(name), -1) for name in data], dtype=np.int64)
    if all(is_index(name) for name in data):
        return np.array([int(name) for name in data], dtype=np.int64)
    if len(data) == len(classifier) and len(unknown) == len(needed):
        _LOGGER.warning(
            "the data's classes (%s) are none of the classifier's (%s); taken in their order, first to first - "
            "if that is wrong, give the classifier's labels or rename the class folders",
            _some(list(data)),
            _some(list(classifier)),
        )
        return np.arange(len(data))
    raise DataError(
        f"the classifier knows no {_some(unknown)}: it has {len(classifier)} classes ({_some(list(classifier))}), the "
        f"data {len(data)}; rename the data's classes as the classifier's, or give the classifier's labels in a file"
    )


def _by_name(data: tuple[str, ...], classifier: tuple[str, ...]) -> dict[str, int]:
    twice = [name for name, count in Counter(_plain(label) for label in classifier).items() if count > 1]
    if ambiguous := [name for name in data if _plain(name) in twice]:
        raise DataError(
            f"the classifier has two classes named {_some(ambiguous)}; name the data's classes by their indices instead"
        )
    return {_plain(label): i for i, label in enumerate(classifier)}


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _check_range(labels: NDArray[np.int64], classes: int) -> None:
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise DataError(
            f"label {outside[0]} is no class of the classifier, which has {classes} (0 to {classes - 1}); "
            f"{outside.size} image(s) have such labels"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
