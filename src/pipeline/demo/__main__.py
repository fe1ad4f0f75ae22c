"""`make demo`: photos become a deployed service on this laptop, with no account and no Docker.

Every step is a verb of the Makefile, run as a person would type it. The full output of each
lies in <build>/log/; a page with pictures and predictions is left in <build>/summary.html.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from contract.messages import Reply
from contract.model_card import read_card
from contract.release import read_release
from contract.stack import read_stack
from contract.strict import ContractError
from pipeline.asking import ask, bytes_request
from pipeline.aws import Account
from pipeline.cli import Failed, say
from pipeline.demo.callers import Callers
from pipeline.demo.page import Answer, write_page
from pipeline.demo.story import Story
from pipeline.package import RELEASE_FILE
from pipeline.stacks import STACK_FILE, live_parts

HYPERPARAMETERS = Path("examples/hyperparameters.json")
CALLERS = 2
"""Fewer than the function's reserved concurrency, so that none is turned away."""
TOP_K = 3
RANDOM = "RANDOM WEIGHTS"

Ask = Callable[[bytes], Reply]


def run_demo(build: Path, keep: bool) -> Path:
    """Tell the whole story.

    Args:
        build: everything that is made lies below.
        keep: leave the service up.

    Returns:
        The summary page.

    Raises:
        Failed: a step failed; the message holds the end of its output.
    """
    for made in (RELEASE_FILE, STACK_FILE):
        (build / made).unlink(missing_ok=True)
    story = Story(build / "log")
    photos = build / "data" / "photos"
    knobs = [f"BUILD={build}", f"DATA={photos}"]
    second = build / "second.json"
    trained = model_of(build)

    story.make("data", *knobs, outcome=f"labelled photos in {photos}")
    story.make("apply", *knobs, outcome="bucket, roles, notebook, EC2 training")
    told = story.make("train", *knobs, f"HYPERPARAMETERS={HYPERPARAMETERS}", outcome=trained)
    if RANDOM in told:
        say("     No ImageNet weights on this machine: the backbone's weights are random.")
    story.make("package", *knobs, outcome=release_of(build))
    story.make("upload", *knobs, outcome="three archives, named by their content")
    story.make("apply", *knobs, outcome="endpoint and function; golden picture answered")
    answers = predict_held_out(story, photos, service(build))
    story.make("plan", *knobs, outcome=no_changes)
    other_seed(HYPERPARAMETERS, second)
    story.make("train-ec2", *knobs, f"HYPERPARAMETERS={second}", outcome=trained)
    roll_over(story, build, knobs, next(iter(sorted((photos / "test").rglob("*.jpg")))))
    if not keep:
        story.make("destroy", *knobs, outcome="nothing is left")
    page = build / "summary.html"
    write_page(page, story.chapters, answers, story.seconds)
    return page


def no_changes(output: str) -> str:
    """The outcome of a plan of what stands already.

    Raises:
        Failed: the plan has changes.
    """
    if "No changes" not in output:
        raise Failed(f"The second plan is not empty:\n{output}")
    return "no changes: what stands is what was asked for"


def model_of(build: Path) -> Callable[[str], str]:
    """The outcome of a training: how good the model in the build folder is."""

    def outcome(output: str) -> str:
        card = read_card(build / "model")
        where = "on the instance, now stopped: " if "is switched off" in output else ""
        accuracy = (card.test or card.validation).accuracy
        return f"{where}{card.network.backbone}, {accuracy:.1%} of the test pictures right"

    return outcome


def release_of(build: Path) -> Callable[[str], str]:
    """The outcome of packaging: the release's version."""
    return lambda _: f"release {read_release(build / RELEASE_FILE).version}"


def other_seed(source: Path, target: Path) -> None:
    """Write the same hyperparameters with another seed, for a model that is another one."""
    values = json.loads(source.read_text(encoding="utf-8"))
    target.write_text(json.dumps(values | {"seed": values["seed"] + 1}), encoding="utf-8")


def service(build: Path) -> Ask:
    """The deployed service, as a caller sees it."""
    stack = read_stack(build / STACK_FILE)
    _, function = live_parts(stack)
    client = Account(stack.region).client("lambda")
    return lambda picture: ask(client, function, bytes_request(picture, TOP_K))


def predict_held_out(story: Story, photos: Path, asked: Ask) -> list[Answer]:
    """Ask about one picture of each class that training never saw."""
    began = time.monotonic()
    answers = []
    for folder in sorted(path for path in (photos / "test").iterdir() if path.is_dir()):
        picture = min(folder.glob("*.jpg"))
        sent = time.monotonic()
        reply = asked(picture.read_bytes())
        milliseconds = 1000 * (time.monotonic() - sent)
        label = folder.name.split(".", 1)[-1]
        answers.append(Answer(picture=picture, label=label, reply=reply, milliseconds=milliseconds))
    right = sum(answer.right for answer in answers)
    outcome = f"{right} of {len(answers)} held-out pictures named rightly"
    story.tell("make predict", outcome, time.monotonic() - began)
    return answers


def roll_over(story: Story, build: Path, knobs: list[str], picture: Path) -> None:
    """Deploy the newly trained model while callers go on asking.

    Raises:
        Failed: a caller got no answer, or one from neither model.
    """
    old = read_release(build / RELEASE_FILE).version
    story.make("package", *knobs, outcome=release_of(build))
    new = read_release(build / RELEASE_FILE).version
    data = picture.read_bytes()
    asked = service(build)
    with Callers(lambda: asked(data).model_version, CALLERS) as callers:
        story.make("upload", *knobs, outcome="three archives, named by their content")
        story.make("apply", *knobs, outcome="one endpoint updated in place")
    if callers.failures or set(callers.versions) != {old, new}:
        raise Failed(
            f"Rolling {old} over to {new} was not seamless: {dict(callers.versions)} answered, "
            f"{dict(callers.failures)} failed."
        )
    counts = f"{callers.versions[old]} answers from {old}, then {callers.versions[new]} from {new}"
    story.tell("  meanwhile", f"{counts}, none failed", 0.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build/demo"))
    parser.add_argument("--keep", action="store_true", help="leave the service up")
    options = parser.parse_args(argv)
    began = time.monotonic()
    say("Kennel: photos become a deployed service, on this laptop.")
    try:
        page = run_demo(options.build, options.keep)
    except (Failed, ContractError) as error:
        sys.stderr.write(f"\nError: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; the local AWS is being stopped.\n")
        return 130
    say(f"Done in {time.monotonic() - began:.0f} s. Pictures and predictions: {page}")
    if options.keep:
        say(f"The service is up: make predict BUILD={options.build} IMAGE=picture.jpg")
        say(f"Stop it: make local-down BUILD={options.build}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
