"""A picture's bytes to the network's input, for every picture that people send."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.events.draw_pictures import exif_rotated, pictures, png_chunk, saved, scene
from tests.events.samples import picture

from contract.messages import MAX_PICTURE_PIXELS, RequestError
from contract.model_card import InputSpec
from contract.preprocessing import decode, eval_pixels, eval_view, normalise

SPEC = InputSpec(resize_px=36, size_px=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
GOOD = [
    "rgb.jpg", "rgb.png", "rgb.webp", "grey.jpg", "cmyk.jpg", "rgba.png", "rgba.webp",
    "grey_16_bits.png", "one_bit.png", "palette_transparent.png", "rotated.jpg",
]  # fmt: skip


def pixels(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.asarray(decode(data, 36)).astype(np.int16)


def refusal(data: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decode(data, 36)
    return caught.value


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_picture_becomes_upright_rgb(name: str) -> None:
    image = decode(picture(name), 36)

    assert (image.mode, image.size) == ("RGB", (48, 36))


@pytest.mark.parametrize("name", [name for name in GOOD if name != "one_bit.png"])
def test_the_network_sees_finite_numbers_of_the_right_shape(name: str) -> None:
    image_CSS = eval_view(picture(name), SPEC)

    assert image_CSS.shape == (3, 32, 32)
    assert image_CSS.dtype == np.float32
    assert np.isfinite(image_CSS).all()
    assert np.abs(image_CSS).max() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    upright = np.asarray(scene()).astype(np.int16)

    difference = np.abs(pixels(exif_rotated(orientation)) - upright)

    assert difference.mean() < 2


def test_broken_exif_counts_as_upright() -> None:
    data = saved(scene(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 40)

    assert decode(data, 36).size == (48, 36)


def test_exif_of_the_largest_size_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "x" * 60_000

    assert decode(saved(scene(), "JPEG", exif=exif), 36).size == (36, 48)


def test_cmyk_keeps_its_colours() -> None:
    difference = np.abs(pixels(picture("cmyk.jpg")) - np.asarray(scene()))

    assert b"Adobe" in picture("cmyk.jpg")
    assert difference.mean() < 6


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((10, 20, 30, 255), (0, 0, 20, 40))

    result = pixels(saved(image, "PNG"))

    assert result[5, 5].tolist() == [10, 20, 30]
    assert result[5, 35].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB"])
def test_a_transparent_colour_of_any_mode_becomes_white(mode: str) -> None:
    image = Image.new(mode, (40, 40), (0, 0) if mode == "LA" else 0)
    options = {"LA": {}, "RGB": {"transparency": (0, 0, 0)}}.get(mode, {"transparency": 0})

    result = pixels(saved(image, "PNG", **options))

    assert (result == 255).all()


def test_sixteen_bits_are_scaled_also_when_the_picture_is_dark() -> None:
    grey = np.array([[0, 128, 255, 257], [514, 32896, 65278, 65535]], np.uint16)
    data = saved(Image.fromarray(grey), "PNG")

    result = pixels(data)[..., 0]

    assert result.tolist() == [[0, 0, 1, 1], [2, 128, 254, 255]]


def test_a_transparent_grey_of_sixteen_bits_becomes_white() -> None:
    header = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" + struct.pack(">HH", 0, 32896))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(kind, content)
        for kind, content in (
            (b"IHDR", header), (b"tRNS", b"\0\0"), (b"IDAT", rows), (b"IEND", b""),
        )
    )  # fmt: skip

    assert pixels(data)[0, :, 0].tolist() == [255, 128]


def test_the_first_picture_of_a_camera_file_with_several_is_used() -> None:
    second = scene().transpose(Image.Transpose.ROTATE_180)
    data = saved(scene(), "MPO", save_all=True, append_images=[second], quality=95)

    difference = np.abs(pixels(data) - np.asarray(scene()))

    assert difference.mean() < 6


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("animated.gif", "unsupported_media_type"),
        ("animated.webp", "unsupported_media_type"),
        ("bomb.png", "too_large"),
        ("empty.jpg", "bad_request"),
        ("header_only.png", "bad_request"),
        ("text.txt", "unsupported_media_type"),
        ("truncated.jpg", "bad_request"),
    ],
)
def test_what_is_no_whole_picture_is_refused(name: str, code: str) -> None:
    assert refusal(picture(name)).code == code


def test_an_animated_png_is_refused() -> None:
    turned = scene().transpose(Image.Transpose.ROTATE_180)
    data = saved(scene(), "PNG", save_all=True, append_images=[turned])

    assert refusal(data).code == "unsupported_media_type"


@pytest.mark.parametrize("width", [10_000, 100_000], ids=["pillow-warns", "pillow-refuses"])
def test_too_many_pixels_are_refused_by_the_header_alone(width: int) -> None:
    header = struct.pack(">IIBBBBB", width, 10_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"")

    error = refusal(data)

    assert error.code == "too_large"
    assert f"{MAX_PICTURE_PIXELS:,}" in error.message


def test_a_text_that_unpacks_to_gigabytes_is_refused() -> None:
    whole = picture("rgb.png")
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 5_000_000))

    assert refusal(whole[:33] + text + whole[33:]).code == "bad_request"


@pytest.mark.parametrize("name", ["rgb.jpg", "rgb.png", "rgb.webp"])
def test_a_file_cut_anywhere_is_a_picture_or_refused(name: str) -> None:
    whole = picture(name)

    for length in range(0, len(whole), 7):
        _decode_or_refuse(whole[:length])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(pictures())),
    flips=st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), max_size=8),
    tail=st.binary(max_size=16),
)
@example(name="rgb.jpg", flips=[(0, 255)], tail=b"")
def test_altered_bytes_are_a_picture_or_refused(
    name: str, flips: list[tuple[int, int]], tail: bytes
) -> None:
    data = bytearray(picture(name) or b"\0")
    for place, change in flips:
        data[place % len(data)] ^= change

    _decode_or_refuse(bytes(data) + tail)


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP"]),
    rest=st.binary(max_size=200),
)
def test_any_bytes_are_a_picture_or_refused(start: bytes, rest: bytes) -> None:
    _decode_or_refuse(start + rest)


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 600), height=st.integers(1, 600), mode=st.sampled_from("1LP"))
def test_any_size_and_shape_fits_the_network(width: int, height: int, mode: str) -> None:
    data = saved(Image.new(mode, (width, height)), "PNG")

    assert eval_view(data, SPEC).shape == (3, 32, 32)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(1600, 1200), (903, 1501)])
def test_decoding_a_jpeg_at_a_smaller_scale_hardly_shows(size: tuple[int, int], mode: str) -> None:
    spec = InputSpec(resize_px=73, size_px=64, mean=SPEC.mean, std=SPEC.std)
    noise = np.random.default_rng(7).integers(0, 256, (12, 16, 3), np.uint8)
    photo = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)
    data = saved(photo, "JPEG", quality=90)
    whole = Image.open(io.BytesIO(data)).convert("RGB")

    scaled = decode(data, spec.resize_px)
    difference = np.abs(
        eval_pixels(scaled, spec).astype(np.int16) - eval_pixels(whole, spec).astype(np.int16)
    )

    assert min(scaled.size) < min(size) / 2
    assert min(scaled.size) >= 2 * spec.resize_px
    assert difference.mean() < 1.5  # of 255; this is noise of full contrast, photos differ less
    assert difference.max() <= 16


def test_normalising_is_what_the_card_says() -> None:
    pixels_SSC = np.zeros((2, 2, 3), np.uint8)
    pixels_SSC[0, 0] = 255

    image_CSS = normalise(pixels_SSC, SPEC)

    wanted = [(1 - mean) / std for mean, std in zip(SPEC.mean, SPEC.std, strict=True)]
    assert image_CSS[:, 0, 0] == pytest.approx(wanted, abs=1e-6)
    assert image_CSS[:, 1, 1] == pytest.approx(
        [-m / s for m, s in zip(SPEC.mean, SPEC.std, strict=True)], abs=1e-6
    )


def _decode_or_refuse(data: bytes) -> None:
    try:
        image = decode(data, 36)
    except RequestError as error:
        outcome = str(error.status)
    else:
        outcome = image.mode
    assert outcome in ("RGB", "400", "413", "415")
