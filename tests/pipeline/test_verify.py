import dataclasses
import io
import json
import tarfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.models import write_model
from tests.pipeline.test_package import REPOSITORY

from contract.model_card import file_sha256, write_card
from contract.stack import Function
from contract.strict import ContractError
from pipeline.asking import Refused, ask, bytes_request, picture_request, table
from pipeline.aws import Account
from pipeline.cli import Failed
from pipeline.package import package_release
from pipeline.verify import GoldenPicture, golden_of, verify
from training.runtimes.judge import absent

FUNCTION = Function(alias="live", api_url=None, name="kennel", url="")
GOLDEN = GoldenPicture(picture=b"picture", label="dog", probability=0.8)


class Lambda:
    """AWS's Lambda as boto3 shows it, with one answer after the other; the last one stays."""

    class exceptions:  # noqa: N801 - boto3's name
        class TooManyRequestsException(Exception):  # noqa: N818 - boto3's name
            pass

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def invoke(self, **call: Any) -> dict[str, Any]:
        self.asked.append(call)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


def answer(version: str, label: str = "dog", probability: float = 0.8) -> dict[str, Any]:
    predictions = [{"label": label, "probability": probability}]
    body = {"model_version": version, "predictions": predictions}
    return {"statusCode": 200, "body": body}


def error(code: str) -> dict[str, Any]:
    return {"statusCode": 503, "body": {"error": {"code": code, "message": "Try again."}}}


def test_the_new_models_right_answer_verifies() -> None:
    client = Lambda(answer("new", probability=0.83))

    reply = verify(client, FUNCTION, "new", GOLDEN)

    assert reply.model_version == "new"
    assert client.asked[0]["Qualifier"] == "live"


@pytest.mark.parametrize(("probability", "right"), [(0.8, True), (0.63, True), (0.7, False)])
def test_what_an_accepted_runtime_said_verifies_too(probability: float, right: bool) -> None:
    golden = dataclasses.replace(GOLDEN, of_runtimes=(0.79, 0.61))
    client = Lambda(answer("new", probability=probability))

    with nullcontext() if right else pytest.raises(Failed):
        verify(client, FUNCTION, "new", golden)


def test_another_models_answer_does_not() -> None:
    with pytest.raises(Failed, match="answered by model old; new was deployed"):
        verify(Lambda(answer("old")), FUNCTION, "new", GOLDEN, patience_seconds=0)


def test_answers_of_the_old_model_are_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.verify.PAUSE_SECONDS", 0)

    reply = verify(
        Lambda(answer("old"), error("unavailable"), answer("old"), answer("new")),
        FUNCTION, "new", GOLDEN,
    )  # fmt: skip

    assert reply.model_version == "new"


@pytest.mark.parametrize(
    "wrong", [answer("new", label="cat"), answer("new", probability=0.7)], ids=["label", "number"]
)
def test_a_wrong_answer_of_the_new_model_does_not(wrong: dict[str, Any]) -> None:
    with pytest.raises(Failed, match="Serving does not compute what training did"):
        verify(Lambda(wrong), FUNCTION, "new", GOLDEN, patience_seconds=0)


def test_no_answer_is_said_with_the_services_own_words() -> None:
    with pytest.raises(Failed, match=r"got no answer.*unavailable: Try again"):
        verify(Lambda(error("unavailable")), FUNCTION, "new", GOLDEN, patience_seconds=0)


def test_an_error_that_will_not_pass_is_not_waited_for() -> None:
    client = Lambda(error("bad_request"), answer("new"))

    with pytest.raises(Refused, match="bad_request"):
        verify(client, FUNCTION, "new", GOLDEN)

    assert len(client.asked) == 1


def test_the_golden_picture_comes_from_the_releases_archive(tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    release = package_release(REPOSITORY, tmp_path)

    golden = golden_of(release, tmp_path, None, "bucket")

    assert golden == GoldenPicture(picture=b"a picture", label="dog", probability=0.8)


def test_what_accepted_runtimes_say_of_it_comes_along(tmp_path: Path) -> None:
    card = write_model(tmp_path / "model")
    names = ("openvino.xml", "openvino.bin")
    for name in names:
        (tmp_path / "model" / name).write_bytes(b"")
    files = card.files | {name: file_sha256(tmp_path / "model" / name) for name in names}
    refused = absent("int8", "it is slow", 0.5)
    accepted = dataclasses.replace(
        absent("bf16", "", 0.5), accepted=True, refused=None, golden_probability=0.7
    )
    new = dataclasses.replace(card, files=files, runtimes=(accepted, refused))
    write_card(new, tmp_path / "model")
    release = package_release(REPOSITORY, tmp_path)

    golden = golden_of(release, tmp_path, None, "bucket")

    assert golden.of_runtimes == (0.7,)
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        assert set(names) <= set(archive.getnames())


@pytest.mark.slow
def test_the_golden_picture_of_another_release_than_the_one_here_comes_from_the_bucket(
    account: Account, bucket: str, tmp_path: Path
) -> None:
    write_model(tmp_path / "model")
    release, archive = package_release(REPOSITORY, tmp_path), tmp_path / "model.tar.gz"
    s3 = account.client("s3")
    s3.put_object(Bucket=bucket, Key=release.model.key, Body=archive.read_bytes())
    archive.write_bytes(b"the archive of a later release")

    golden = golden_of(release, tmp_path, s3, bucket)

    assert golden == GoldenPicture(picture=b"a picture", label="dog", probability=0.8)


@pytest.mark.slow
def test_an_archive_in_the_bucket_that_was_overwritten_is_not_believed(
    account: Account, bucket: str, tmp_path: Path
) -> None:
    write_model(tmp_path / "model")
    release, archive = package_release(REPOSITORY, tmp_path), tmp_path / "model.tar.gz"
    s3 = account.client("s3")
    s3.put_object(Bucket=bucket, Key=release.model.key, Body=archive.read_bytes() + b"\0")
    archive.unlink()

    with pytest.raises(ContractError, match="somebody overwrote it"):
        golden_of(release, tmp_path, s3, bucket)


def test_a_reply_of_another_shape_is_refused() -> None:
    with pytest.raises(Refused, match="bad_gateway: the reply has an unknown key"):
        ask(Lambda({"statusCode": 200, "body": {"label": "dog"}}), FUNCTION, {})


def test_a_picture_too_large_for_lambda_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="more than a Lambda request can carry"):
        bytes_request(b"\0" * 4_600_000, top_k=5)


def test_a_picture_may_be_named_by_its_address() -> None:
    assert picture_request("s3://bucket/pictures/dog.jpg", 3) == {
        "s3_uri": "s3://bucket/pictures/dog.jpg",
        "top_k": 3,
    }


def test_a_missing_picture_is_named() -> None:
    with pytest.raises(ValueError, match="no-such-dog.jpg is no file"):
        picture_request("no-such-dog.jpg", 3)


def test_the_table_has_one_line_per_label() -> None:
    reply = ask(Lambda(answer("new")), FUNCTION, {})

    assert table(reply.predictions).split() == ["dog", "80.00%", "█" * 16]
