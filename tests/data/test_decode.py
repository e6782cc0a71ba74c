"""Encoded images become the pixels that a viewer would show."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from detector.data.decode import decode_image, fit_image, fit_pixels, image_suffix
from tests.support.pictures import encoded, picture


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_files_of_the_right_size_keep_their_pixels(kind: str) -> None:
    pixels = picture(0, 20, 30)
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_image(encoded(pixels, kind, **options), (3, 20, 30))
    np.testing.assert_array_equal(decoded, pixels)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


def test_a_jpeg_is_close_to_its_original() -> None:
    smooth = np.broadcast_to(np.arange(0, 250, 5, dtype=np.uint8)[:, None, None], (50, 40, 3)).copy()
    decoded = decode_image(encoded(smooth, "JPEG", quality=95), (3, 50, 40))
    assert np.abs(decoded.astype(int) - smooth).max() <= 6


def test_a_huge_jpeg_decoded_small_is_what_full_decoding_gives() -> None:
    rows, columns = np.mgrid[0:1200, 0:1600]
    waves = np.stack([np.sin(rows / 90), np.cos(columns / 70), np.sin((rows + columns) / 110)], axis=-1)
    image = Image.fromarray((127 + 120 * waves).astype(np.uint8))
    data = encoded(image, "JPEG", quality=95)
    slow = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR), dtype=int)
    assert np.abs(decode_image(data, (3, 32, 32)) - slow).max() <= 4


def test_the_whole_image_is_stretched() -> None:
    halves = np.zeros((10, 40, 1), np.uint8)
    halves[:, 20:] = 200
    decoded = decode_image(encoded(halves), (1, 8, 8))[:, :, 0]
    assert (decoded[:, :3] == 0).all()
    assert (decoded[:, 5:] == 200).all()


def test_scaling_down_averages() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None]
    inner = decode_image(encoded(checks), (1, 8, 8))[1:-1, 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 3


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_applied(turn: int) -> None:
    upright = picture(1, 6, 4)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(np.ascontiguousarray(stored), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_image(data, (3, 6, 4)), upright)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as the module's own filter does outside of pytest
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"])
def test_unreadable_metadata_does_not_hurt_the_pixels(exif: bytes) -> None:
    pixels = picture(2)
    np.testing.assert_array_equal(decode_image(encoded(pixels, "PNG", exif=exif), (3, 8, 8)), pixels)


def test_transparency_is_laid_over_white() -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, :, 0] = 200
    pixels[2:, :, 3] = 255
    pixels[1, :, 3] = 51
    decoded = decode_image(encoded(Image.fromarray(pixels)), (3, 4, 4))
    np.testing.assert_array_equal(decoded[:, 0], [[255, 255, 255], [244, 204, 204], [200, 0, 0], [200, 0, 0]])


def test_invisible_colour_does_not_bleed_when_scaled() -> None:
    pixels = np.full((64, 64, 4), 0, np.uint8)
    pixels[:, :, 1] = 255  # a green nobody sees
    pixels[20:40, 20:40] = (0, 0, 0, 255)
    decoded = decode_image(encoded(Image.fromarray(pixels)), (3, 8, 8)).astype(int)
    assert np.ptp(decoded, axis=2).max() <= 1


def test_a_palette_with_a_transparent_entry() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    decoded = decode_image(encoded(image, "PNG", transparency=0), (3, 1, 2))
    np.testing.assert_array_equal(decoded, [[[255, 255, 255], [0, 0, 255]]])


def test_a_colour_key_is_transparent() -> None:
    pixels = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    decoded = decode_image(encoded(pixels, "PNG", transparency=(10, 20, 30)), (3, 1, 2))
    np.testing.assert_array_equal(decoded, [[[255, 255, 255], [40, 50, 60]]])


def test_sixteen_bit_grey_keeps_the_upper_byte() -> None:
    deep = np.array([[0, 255, 256, 32_768, 65_535]], np.uint16)
    decoded = decode_image(encoded(Image.fromarray(deep)), (1, 1, 5))
    np.testing.assert_array_equal(decoded[0, :, 0], [0, 0, 1, 128, 255])


def test_bilevel_images_become_grey() -> None:
    image = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    np.testing.assert_array_equal(decode_image(encoded(image), (1, 1, 2))[0, :, 0], [0, 255])


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    decoded = decode_image(encoded(red, "JPEG", quality=95), (3, 16, 16)).astype(int)
    assert np.abs(decoded - [255, 0, 0]).max() <= 8


@pytest.mark.parametrize(("channels", "expected"), [(1, [76]), (3, [255, 0, 0])])
def test_colour_and_grey_follow_the_classifier(channels: int, expected: list[int]) -> None:
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    np.testing.assert_array_equal(decode_image(encoded(red), (channels, 2, 2))[0, 0], expected)


def test_the_first_frame_of_an_animation_counts() -> None:
    first, second = Image.new("RGB", (4, 4), (9, 9, 9)), Image.new("RGB", (4, 4), (200, 200, 200))
    data = encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True)
    np.testing.assert_array_equal(decode_image(data, (3, 4, 4)), np.full((4, 4, 3), 9))


def test_pixels_in_memory_are_scaled_like_a_file() -> None:
    pixels = picture(3, 21, 17)
    expected = decode_image(encoded(pixels), (1, 8, 8))
    np.testing.assert_array_equal(fit_pixels(pixels, (1, 8, 8)), expected)
    np.testing.assert_array_equal(fit_image(Image.fromarray(pixels), (1, 8, 8)), expected)


def test_grey_pixels_serve_a_colour_classifier() -> None:
    pixels = picture(4, channels=1)
    np.testing.assert_array_equal(fit_pixels(pixels, (3, 8, 8)), np.repeat(pixels, 3, axis=2))


def test_threads_do_not_disturb_each_other() -> None:
    files = [encoded(picture(seed, 40, 50), kind) for seed in range(20) for kind in ("PNG", "JPEG", "WEBP")]
    alone = [decode_image(file, (3, 16, 16)) for file in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda file: decode_image(file, (3, 16, 16)), files))
    np.testing.assert_array_equal(together, alone)


def test_decoding_never_loads_torch() -> None:
    code = "import sys, detector.data.decode; print(sorted({'torch', 'torchvision', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("BMP", ".bmp")])
def test_files_are_told_apart_by_their_content(kind: str, suffix: str) -> None:
    assert image_suffix(encoded(picture(1), kind)) == suffix
    assert image_suffix(b"a text") == ".bin"
