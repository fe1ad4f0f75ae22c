"""Asks the deployed service about a picture, as a caller does: through the Lambda function."""

import base64
import json
from pathlib import Path
from typing import Any

from contract.messages import MAX_PICTURE_BYTES, Prediction, Reply
from contract.stack import Function
from contract.strict import ContractError, parse, require
from pipeline.aws import Client
from pipeline.cli import Failed


class Refused(Failed):
    """The service answered with an error.

    Attributes:
        code: a key of `contract.messages.STATUS_OF_ERROR`, or AWS's name of the error.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"The service answered {code}: {message}")
        self.code = code


def picture_request(picture: str, top_k: int) -> dict[str, Any]:
    """The request for a picture.

    Args:
        picture: a file, or `s3://...` below the prefix that the settings allow.
        top_k: how many labels to ask for.

    Raises:
        ContractError: there is no such file, or it is too large to be sent.
    """
    if picture.startswith("s3://"):
        return {"s3_uri": picture, "top_k": top_k}
    path = Path(picture)
    require(
        path.is_file(),
        f"{picture or 'IMAGE'} is no file; name a picture: make predict IMAGE=dog.jpg",
    )
    return bytes_request(path.read_bytes(), top_k)


def bytes_request(picture: bytes, top_k: int) -> dict[str, Any]:
    """The request for a picture's bytes.

    Raises:
        ContractError: they are too many to be sent.
    """
    text = base64.b64encode(picture).decode()
    require(
        len(text) < MAX_PICTURE_BYTES,
        f"The picture has {len(picture):,} bytes, more than a Lambda request can carry. "
        "Make it smaller, or put it below s3://<bucket>/pictures/ and name that.",
    )
    return {"image_base64": text, "top_k": top_k}


def ask(client: Client, function: Function, request: dict[str, Any]) -> Reply:
    """Invoke the function.

    Raises:
        Refused: the answer is an error.
    """
    try:
        response = client.invoke(
            FunctionName=function.name,
            Qualifier=function.alias,
            Payload=json.dumps(request).encode(),
        )
    except client.exceptions.TooManyRequestsException as error:
        raise Refused("too_many_requests", str(error)) from error
    answer = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        raise Refused("internal", str(answer.get("errorMessage", answer)))
    body = answer["body"] if "statusCode" in answer else answer
    return _reply(json.loads(body) if isinstance(body, str) else body)


def _reply(body: Any) -> Reply:
    if isinstance(body, dict) and "error" in body:
        error = body["error"]
        raise Refused(error["code"], error["message"])
    try:
        return parse(Reply, body, "the reply")
    except ContractError as error:
        raise Refused("bad_gateway", str(error)) from error


def table(predictions: tuple[Prediction, ...]) -> str:
    """Labels and probabilities, one a line, with a bar each."""
    width = max((len(p.label) for p in predictions), default=0)
    return "\n".join(
        f"  {p.label:<{width}}  {p.probability:7.2%}  {'█' * round(20 * p.probability)}"
        for p in predictions
    )
