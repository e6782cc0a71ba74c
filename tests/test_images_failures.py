from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.errors import InvalidInputError
from detector.images import to_canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (3, 5, 4)


def _with(value: float, row: int = 2) -> NDArray[Any]:
    images = np.full((4, 5, 4, 3), 0.5, np.float32)
    images[row, 4, 3, 2] = value
    return images


REFUSED: dict[str, tuple[NDArray[Any], str, str]] = {
    "integers": (np.zeros((1, 5, 4, 3), np.int64), "pictures", "int64"),
    "booleans": (np.zeros((1, 5, 4, 3), bool), "pictures", "bool"),
    "complex": (np.zeros((1, 5, 4, 3), complex), "pictures", "complex128"),
    "objects": (np.full((1, 5, 4, 3), None), "pictures", "object"),
    "text": (np.full((1, 5, 4, 3), "x"), "pictures", "<U1"),
    "no axes": (np.zeros((), np.uint8), "pictures", r"\(\)"),
    "one axis": (np.zeros(60, np.uint8), "pictures", r"\(60,\)"),
    "five axes": (np.zeros((1, 1, 5, 4, 3), np.uint8), "pictures", r"\(1, 1, 5, 4, 3\)"),
    "empty": (np.zeros((0, 5, 4, 3), np.uint8), "pictures", "empty"),
    "channels first": (np.zeros((1, 3, 5, 4), np.uint8), "pictures", r"axes are \(N, height, width, channels\)"),
    "alpha": (np.zeros((1, 5, 4, 4), np.uint8), "pictures", "3 channel.* not 4"),
    "grey": (np.zeros((5, 4), np.uint8), "pictures", "3 channel.* not 1"),
    "size": (np.zeros((1, 4, 5, 3), np.uint8), "pictures", "5 x 4 pixels expected, not 4 x 5"),
    "NaN": (_with(np.nan), r"pictures\[102\]", "NaN"),
    "infinite": (_with(np.inf), r"pictures\[102\]", "infinite"),
    "overflow": (_with(0).astype(np.float64) + 1e300, r"pictures\[100\]", "infinite"),
    "below": (_with(-0.01), r"pictures\[102\]", "-0.01"),
    "above": (_with(1.01), r"pictures\[102\]", "1.01"),
    "0..255 floats": (_with(255.0, row=0), r"pictures\[100\]", "send uint8 for 0..255"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_field_the_image_and_the_matter(name: str) -> None:
    images, field, message = REFUSED[name]
    with pytest.raises(InvalidInputError, match=f"^{field}: .*{message}"):
        to_canonical(images, SHAPE, field="pictures", first=100)


def test_the_first_of_several_bad_images_is_named() -> None:
    images = np.full((4, 5, 4, 3), 0.5, np.float32)
    images[1:] = np.nan
    with pytest.raises(InvalidInputError) as caught:
        to_canonical(images, SHAPE)
    assert caught.value.field == "images[1]"
