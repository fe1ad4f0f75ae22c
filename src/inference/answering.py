"""From a request to its reply, whoever carries both: our server, AWS's image, or Ray Serve."""

import csv
import dataclasses
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.messages import CSV_TYPE, JSON_TYPE, LINES_TYPE, Reply, RequestError
from inference.predictor import Answer, Predictor
from inference.requests import Asked, Wanted, parse_request

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """An HTTP reply, and what the log says of it."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The first label and the number of pictures, or the error's code and message."""


def respond(
    predictor: Predictor,
    body: bytes,
    *,
    content_type: str | None = None,
    accept: str | None = None,
    attributes: str | None = None,
    left_seconds: float | None = None,
) -> Response:
    """Answer one request; whatever is wrong with it becomes a reply.

    Args:
        predictor: loaded and warmed up.
        body: as it came.
        content_type: the header; None when there was none.
        accept: the header; anything unknown means JSON.
        attributes: the header X-Amzn-SageMaker-Custom-Attributes.
        left_seconds: how long the caller will still wait; None for ever.
    """
    deadline = None if left_seconds is None else time.monotonic() + left_seconds
    try:
        begun = time.perf_counter()
        asked = parse_request(body, content_type, attributes)
        parsed_ms = round(1000 * (time.perf_counter() - begun), 2)
        answers = look(predictor, asked, deadline)
        return _written(answers, asked.several, accept, parsed_ms)
    except RequestError as error:
        return refusal(error)
    except Exception:
        _LOG.exception("a request failed")
        return refusal(internal_error())


def look(
    predictor: Predictor, asked: Asked, deadline: float | None = None
) -> list[Answer | RequestError]:
    """Look at every picture of a request.

    Args:
        predictor: loaded and warmed up.
        asked: what the request asks for.
        deadline: by `time.monotonic`; pictures that come later in the list are not looked at
            any more.

    Raises:
        RequestError: the one picture of a request cannot be had, or is not one.
    """
    if not asked.several:
        return [_one(predictor, asked.pictures[0], deadline)]
    answers: list[Answer | RequestError] = []
    for wanted in asked.pictures:
        try:
            answers.append(_one(predictor, wanted, deadline))
        except RequestError as error:
            answers.append(error)
        except Exception:
            _LOG.exception("a picture failed")
            answers.append(internal_error())
    return answers


def write(
    replies: Sequence[Reply | RequestError], several: bool, accept: str | None
) -> tuple[str, str]:
    """The body of a reply and its content type.

    Args:
        replies: one for each picture.
        several: whether the request was a list.
        accept: text/csv and application/jsonlines give a line for each picture; JSON is what
            anything else gives.
    """
    kind = _accepted(accept)
    if kind == CSV_TYPE:
        return _csv(replies), kind
    if kind == LINES_TYPE:
        return "".join(f"{_text(_result(reply))}\n" for reply in replies), kind
    if not several:
        return _text(_whole(replies[0])), JSON_TYPE
    versions = [reply.model_version for reply in replies if isinstance(reply, Reply)]
    results = [_result(reply) for reply in replies]
    return _text({"model_version": next(iter(versions), None), "results": results}), JSON_TYPE


def refusal(error: RequestError) -> Response:
    """The reply to a request that is refused."""
    return Response(
        status=error.status,
        content_type=JSON_TYPE,
        body=json.dumps(error.body()).encode(),
        headers={"retry-after": "1"} if error.code == "unavailable" else {},
        facts={"code": error.code, "message": error.message},
    )


def internal_error() -> RequestError:
    """What a caller learns of a fault of ours; the rest is in the log."""
    return RequestError("internal", "The server failed on this request. Try again later.")


def _one(predictor: Predictor, wanted: Wanted | RequestError, deadline: float | None) -> Answer:
    if isinstance(wanted, RequestError):
        raise wanted
    if deadline is not None and time.monotonic() >= deadline:
        raise RequestError("timeout", "The request's time was over before this picture's turn.")
    return predictor.answer(wanted)


def _written(
    answers: Sequence[Answer | RequestError], several: bool, accept: str | None, parsed_ms: float
) -> Response:
    looked = [answer for answer in answers if isinstance(answer, Answer)]
    replies = [answer.reply if isinstance(answer, Answer) else answer for answer in answers]
    stages = {name for answer in looked for name in answer.stage_ms}
    stage_ms = {"parse": parsed_ms} | {
        name: round(sum(answer.stage_ms[name] for answer in looked), 2) for name in sorted(stages)
    }
    facts: dict[str, Any] = {"pictures": len(answers), "refused": len(answers) - len(looked)}
    if not several:
        facts = {"label": looked[0].reply.predictions[0].label}
    text, kind = write(replies, several, accept)
    return Response(
        status=200, content_type=kind, body=text.encode(), stage_ms=stage_ms, facts=facts
    )


def _accepted(accept: str | None) -> str:
    wanted = [part.partition(";")[0].strip().lower() for part in (accept or "").split(",")]
    known = (kind for kind in wanted if kind in (CSV_TYPE, JSON_TYPE, LINES_TYPE))
    return next(known, JSON_TYPE)


def _csv(replies: Sequence[Reply | RequestError]) -> str:
    """A line for each picture: label, probability, label, probability ...; or `,<code>`."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    for reply in replies:
        if isinstance(reply, RequestError):
            rows.writerow(["", reply.code])
        else:
            pairs = ((p.label, p.probability) for p in reply.predictions)
            rows.writerow([cell for pair in pairs for cell in pair])
    return out.getvalue()


def _result(reply: Reply | RequestError) -> dict[str, Any]:
    if isinstance(reply, RequestError):
        return reply.body()
    return {"predictions": [dataclasses.asdict(prediction) for prediction in reply.predictions]}


def _whole(reply: Reply | RequestError) -> dict[str, Any]:
    return reply.body() if isinstance(reply, RequestError) else dataclasses.asdict(reply)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
