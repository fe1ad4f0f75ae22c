"""Runs training in several processes at once, as torchrun starts them.

A program of its own: it imports torch once, and the processes are children that are forked from
it. They find each other through gloo, as on one box. Each line that it reads is a JSON list: one of
the functions below that end in `_together`, and its arguments; the answer is a line of JSON.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from contract.hyperparameters import Hyperparameters, from_text
from contract.model_card import Network
from contract.network import build_classifier
from training.answers import answers
from training.data import read_data
from training.finetune import finetune
from training.loop import Epoch, Watcher
from training.main import main
from training.processes import joined, number
from training.run import input_spec, make_repeatable
from training.runlog import RunLog, Silence
from training.state import State

PROCESSES = 2


class Gradients(Watcher):
    """Keeps the gradients and the loss of every step."""

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}

    def after_step(self, state: State, loss: Tensor) -> None:
        """Take a copy."""
        place = f"{state.epoch}.{state.step}"
        self.seen[f"{place}.loss"] = loss.clone()
        for name, weight in state.model.named_parameters():
            if weight.grad is not None:
                self.seen[f"{place}.{name}"] = weight.grad.clone()

    def after_epoch(self, state: State, epoch: Epoch) -> None:  # noqa: ARG002 (the hook's shape)
        """Keep what the epoch's loss was."""
        self.seen[f"{epoch.number}.mean"] = torch.tensor([epoch.train_loss, epoch.valid.loss])


def free_port() -> int:
    """A port that nobody listens at: a store here would be a thread, and forks deadlock."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def forked(work: Callable[[dict[str, str]], int], processes: int, folder: Path) -> list[int]:
    """Call a function in each of so many new processes.

    Returns:
        Their exit codes; minus a signal's number for one that was killed.
    """
    port = free_port()
    children = []
    sys.stdout.flush()
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with (folder / f"said{rank}").open("a") as file:
                    os.dup2(file.fileno(), 1)
                    os.dup2(file.fileno(), 2)
                env = {
                    "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
                    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),

                    "GLOO_SOCKET_IFNAME": "lo",
                }  # fmt: skip
                os.environ.update(env if processes > 1 else {})
                code = work(env if processes > 1 else {})
            finally:
                os._exit(code)
        children.append(child)
    ended = [os.waitpid(child, 0)[1] for child in children]
    return [os.waitstatus_to_exitcode(status) for status in ended]


def gradients_together(data: str, folder: str, *texts: str) -> dict[str, object]:
    """The largest difference in anything of any step, between one process and several."""
    settings = from_text(dict(text.split("=") for text in texts), Hyperparameters())

    def work(env: dict[str, str]) -> int:
        with joined(env):
            pictures = read_data(Path(data))
            make_repeatable(settings.seed)
            network = Network(backbone=settings.backbone, hidden_units=0)
            classifier = build_classifier(network, len(pictures.classes))
            watcher, spec, cache = Gradients(), input_spec(settings), Path(folder) / "cache"
            log = Silence(Path(folder)) if number() else RunLog(Path(folder))
            looked = answers(classifier.backbone, pictures.pictures, spec, log, "features")
            finetune(classifier, pictures, spec, settings, log, [watcher], cache_dir=cache)
            found = {**watcher.seen, "features": looked}
            torch.save(found, Path(folder) / f"{env.get('WORLD_SIZE', 1)}-{number()}.pt")
        return 0

    codes = [forked(work, count, Path(folder)) for count in (1, PROCESSES)]
    one, *several = (
        torch.load(Path(folder) / name, weights_only=True)
        for name in ("1-0.pt", *(f"{PROCESSES}-{rank}.pt" for rank in range(PROCESSES)))
    )
    gap = {
        name: max(float((other[name] - one[name]).norm() / (one[name].norm() + 1e-12))
                  for other in several)
        for name in one
    }  # fmt: skip
    first = {name: value for name, value in gap.items() if name.startswith("1.1.")}
    return {
        "codes": codes,
        "steps": sum(name.endswith(".loss") for name in one),
        "first_step": max(first.values()),
        "features_alike": all(torch.equal(other["features"], one["features"]) for other in several),
        "losses": max(gap[name] for name in one if name.endswith((".loss", ".mean"))),
        "in_step": all(torch.equal(several[0][n], other[n]) for other in several for n in one),
    }  # fmt: skip


def run_together(folder: str, processes: str, strike: str, *arguments: str) -> dict[str, object]:
    """`training.main` in several processes.

    Args:
        folder: for what they say.
        processes: how many.
        strike: `rank:signal:call` sends a signal to a process in its so-manyeth step; `none`
            sends none.
        arguments: of `training.main`.
    """

    def work(env: dict[str, str]) -> int:
        if strike != "none":
            rank, name, call = strike.split(":")
            if env.get("RANK", "0") == rank:
                watch(int(call), signal.Signals[name])
        return main(arguments)

    codes = forked(work, int(processes), Path(folder))
    said = [(Path(folder) / f"said{rank}").read_text() for rank in range(int(processes))]
    return {"codes": codes, "said": said}


def watch(call: int, number: signal.Signals) -> None:
    """Send this process a signal in its so-manyeth step."""
    calls = 0

    def look(module: torch.nn.Module, _: object) -> None:
        nonlocal calls
        step = type(module).__name__ == "Classifier" and torch.is_grad_enabled()
        calls += step
        if step and calls == call:
            os.kill(os.getpid(), number)

    torch.nn.modules.module.register_module_forward_pre_hook(look)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        action, *words = json.loads(line)
        print(json.dumps(globals()[f"{action}_together"](*words)), flush=True)  # noqa: T201
