"""What a model leaves open is stated by the user, or asked for by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.classifiers.base import ChannelOrder, ImageSpec, Layout, PixelType
from detector.classifiers.options import SpecOptions, infer_spec, pixel_type
from detector.errors import ClassifierError

FLOAT = PixelType.FLOAT32


def test_grey_models_have_one_channel() -> None:
    wanted = ImageSpec(height=8, width=9, channel_order=ChannelOrder.GRAY)
    assert infer_spec(("batch", 1, 8, 9), FLOAT) == wanted
    assert SpecOptions(height=8, width=9, channel_order=ChannelOrder.GRAY).to_spec() == wanted


def test_open_sizes_are_stated() -> None:
    options = SpecOptions(height=224, width=160, layout=Layout.NHWC, channel_order=ChannelOrder.BGR)
    wanted = ImageSpec(height=224, width=160, layout=Layout.NHWC, channel_order=ChannelOrder.BGR)
    assert infer_spec((None, None, None, None), FLOAT, options) == wanted


def test_open_channels_are_asked_for() -> None:
    with pytest.raises(ClassifierError, match="pass channel_order"):
        infer_spec((None, None, 8, 8), FLOAT, SpecOptions(layout=Layout.NCHW))


def test_an_ambiguous_layout_is_stated() -> None:
    assert infer_spec((None, 3, 3, 3), FLOAT, SpecOptions(layout=Layout.NHWC)).layout is Layout.NHWC


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (SpecOptions(height=9), "height"),
        (SpecOptions(dtype=PixelType.UINT8, value_range=(0.0, 255.0)), "dtype"),
        (SpecOptions(channel_order=ChannelOrder.GRAY), "channel_order"),
        (SpecOptions(mean=(0.5,)), "mean"),
        (SpecOptions(value_range=(1.0, 0.0)), "value_range"),
    ],
)
def test_contradictions_name_the_field(options: SpecOptions, field: str) -> None:
    with pytest.raises(ClassifierError, match=field):
        infer_spec(("batch", 3, 8, 8), FLOAT, options)


def test_uint8_means_raw_pixels() -> None:
    assert infer_spec(("batch", 3, 8, 8), PixelType.UINT8).value_range == (0.0, 255.0)
    with pytest.raises(ClassifierError, match="uint8 input takes raw pixels"):
        infer_spec(("batch", 3, 8, 8), PixelType.UINT8, SpecOptions(mean=(1.0, 1.0, 1.0)))


BEFORE = ImageSpec(
    height=9,
    width=9,
    channel_order=ChannelOrder.BGR,
    value_range=(0.0, 255.0),
    mean=(1.0, 2.0, 3.0),
    std=(4.0, 5.0, 6.0),
)
RAW = replace(BEFORE, dtype=PixelType.UINT8, mean=(), std=())


def test_what_nobody_states_is_as_it_was() -> None:
    assert infer_spec(("batch", 3, 8, 8), FLOAT, SpecOptions(before=BEFORE)) == replace(BEFORE, height=8, width=8)
    grey = replace(BEFORE, channel_order=ChannelOrder.GRAY, mean=(0.5,), std=())
    assert SpecOptions(height=9, width=9, before=grey).to_spec() == grey


def test_whoever_states_one_of_them_states_them_all() -> None:
    options = SpecOptions(value_range=(-1.0, 1.0), before=BEFORE)
    assert infer_spec(("batch", 3, 8, 8), FLOAT, options) == ImageSpec(height=8, width=8, value_range=(-1.0, 1.0))


@pytest.mark.parametrize(("before", "dtype"), [(BEFORE, PixelType.UINT8), (RAW, FLOAT), (RAW, PixelType.UINT8)])
def test_between_raw_pixels_and_floats_only_the_order_of_channels_is_as_it_was(
    before: ImageSpec, dtype: PixelType
) -> None:
    found = infer_spec(("batch", 3, 9, 9), dtype, SpecOptions(before=before))
    assert found == replace(infer_spec(("batch", 3, 9, 9), dtype), channel_order=ChannelOrder.BGR)


def test_other_element_types_are_refused() -> None:
    with pytest.raises(ClassifierError, match=r"tensor\(double\); float32, float16 or uint8 is expected"):
        pixel_type("tensor(double)")
