"""Pictures on their way to the endpoint: which are made smaller, and that answers stay right."""

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from tests.events.samples import FOLDER, picture
from tests.inference.invoke_endpoint import Context, endpoint_server
from tests.inference.serving import Server

Load = Callable[..., ModuleType]
GOOD = b'{"model_version": "0123456789ab", "predictions": []}'


def large(name: str = "rgb.jpg", kind: str = "JPEG", **more: Any) -> bytes:
    """A sample, 1600 pixels wide."""
    with Image.open(io.BytesIO(picture(name))) as image:
        height = round(1600 * image.height / image.width)
        wide = image.resize((1600, height), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    wide.save(out, kind, **more)
    return out.getvalue()


def sent(load: Load, body: bytes, **variables: str) -> tuple[bytes, str]:
    """What reaches the endpoint, and as what."""
    event = {"image_base64": base64.b64encode(body).decode()}
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        reply = load(endpoint.url, **{"SHRINK_PX": "512", **variables}).handle(event, Context())
    assert reply["statusCode"] == 200
    return endpoint.seen[0].body, endpoint.seen[0].headers["content-type"]


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    exif[0x010E] = "where we live"
    return exif


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        (large(quality=95), "RGB"),
        (large("grey.jpg", quality=95), "L"),
        (large(kind="PNG"), "RGB"),
        (large(kind="WEBP", quality=95), "RGB"),
    ],
    ids=["jpeg", "grey", "png", "webp"],
)
def test_a_large_picture_is_sent_as_a_smaller_jpeg(body: bytes, mode: str, load: Load) -> None:
    smaller, kind = sent(load, body)

    assert kind == "image/jpeg"
    assert len(smaller) < len(body)
    with Image.open(io.BytesIO(smaller)) as image:
        assert (image.format, image.mode, min(image.size)) == ("JPEG", mode, 512)


def test_what_the_endpoint_turns_is_turned_once_and_nothing_else_is_told(load: Load) -> None:
    smaller, _ = sent(load, large(quality=95, exif=oriented(6)))

    with Image.open(io.BytesIO(smaller)) as image:
        assert dict(image.getexif()) == {0x0112: 6}


@pytest.mark.parametrize(
    "name",
    [
        file.name
        for file in sorted((FOLDER / "pictures").iterdir())
        if file.suffix in {".jpg", ".png", ".webp"} and file.stat().st_size
    ],
)
def test_a_small_or_broken_or_special_picture_goes_as_it_came(name: str, load: Load) -> None:
    body = picture(name)

    assert sent(load, body)[0] == body


@pytest.mark.parametrize(
    "body",
    [
        large("rgba.png", kind="PNG"),
        large(kind="PNG", transparency=(255, 255, 255)),
        large(quality=95)[:-2000],
        large("cmyk.jpg", kind="JPEG", quality=95),
    ],
    ids=["transparent", "one colour transparent", "cut short", "cmyk"],
)
def test_a_large_one_that_only_the_endpoint_knows_how_to_read_goes_as_it_came(
    body: bytes, load: Load
) -> None:
    assert sent(load, body)[0] == body


def test_a_picture_that_would_not_become_smaller_goes_as_it_came(load: Load) -> None:
    out = io.BytesIO()
    Image.new("RGB", (600, 600), (10, 20, 30)).save(out, "WEBP")

    assert sent(load, out.getvalue())[0] == out.getvalue()


def test_one_with_more_pixels_than_the_endpoint_takes_is_not_decoded(load: Load) -> None:
    out = io.BytesIO()
    Image.new("L", (5000, 4001)).save(out, "PNG")

    assert sent(load, out.getvalue())[0] == out.getvalue()


def test_without_pillow_there_is_one_warning_and_the_picture_goes_as_it_came(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    event = {"image_base64": base64.b64encode(BODY).decode()}
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        handler = load(endpoint.url, SHRINK_PX="512")
        for _ in range(2):
            handler.handle(event, Context())

    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["not shrinking", "request", "request"]
    assert [seen.body for seen in endpoint.seen] == [BODY, BODY]


def test_the_archives_own_pillow_is_found_beside_the_code(load: Load) -> None:
    sent(load, BODY)

    folder = Path(str(sys.modules["shrink"].__file__)).parent / "vendor"
    assert Path(sys.path[-1]).parent == folder
    assert Path(sys.path[-1]).name.startswith(f"{sys.implementation.cache_tag}-")


def test_without_the_setting_nothing_is_touched_and_pillow_is_not_imported(load: Load) -> None:
    event = {"image_base64": base64.b64encode(BODY).decode()}
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        load(endpoint.url).handle(event, Context())

    assert endpoint.seen[0].body == BODY
    assert "shrink" not in sys.modules


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rgb.jpg", "rotated.jpg", "grey.jpg", "rgb.png"])
def test_the_answer_stays_the_same(name: str, load: Load, server: Server) -> None:
    with Image.open(io.BytesIO(picture(name))) as image:
        exif = image.getexif()
    body = large(name, quality=95, exif=exif)
    smaller, kind = sent(load, body)
    assert len(smaller) < len(body)

    replies = [
        json.loads(server.send("POST", "/invocations", each, {"content-type": kind}).text)
        for each in (body, smaller)
    ]

    before, after = (reply["predictions"] for reply in replies)
    assert before[0]["label"] == after[0]["label"]
    probabilities = {one["label"]: one["probability"] for one in after}
    for one in before:
        assert abs(one["probability"] - probabilities[one["label"]]) < 0.02


BODY = large(quality=95)
