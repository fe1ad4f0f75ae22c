"""`make predict IMAGE=dog.jpg`: what the deployed service says about a picture."""

import argparse
import time
from collections.abc import Sequence
from typing import Any

from contract.messages import DEFAULT_TOP_K, Reply
from contract.stack import Stack
from pipeline.asking import ask, bytes_request, picture_request, table
from pipeline.aws import account_of
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.stacks import live_parts, stack_of


def ask_service(stack: Stack, picture: bytes, top_k: int = DEFAULT_TOP_K) -> Reply:
    """Ask the service of a stack about a picture's bytes; from any thread.

    Raises:
        ContractError: nothing serves yet, or the picture is too large.
        Refused: the answer is an error.
    """
    return _ask(stack, bytes_request(picture, top_k))


def _ask(stack: Stack, request: dict[str, Any]) -> Reply:
    _, function = live_parts(stack)
    return ask(account_of(stack.region).client("lambda"), function, request)


def main(argv: Sequence[str] | None = None) -> int:
    """Predict."""
    parser = verb_parser(__doc__)
    parser.add_argument("image", help="a JPEG, PNG or WEBP file, or s3://bucket/pictures/...")
    parser.add_argument("--top-k", type=int, default=DEFAULT_TOP_K, metavar="N")
    return run_verb(parser, argv, _predict)


def _predict(options: argparse.Namespace) -> None:
    request = picture_request(options.image, options.top_k)
    stack = stack_of(find_place(options))
    started = time.monotonic()
    reply = _ask(stack, request)
    milliseconds = 1000 * (time.monotonic() - started)
    say(options.image)
    say(table(reply.predictions))
    say(f"  model {reply.model_version}, answered in {milliseconds:.0f} ms")


if __name__ == "__main__":
    raise SystemExit(main())
