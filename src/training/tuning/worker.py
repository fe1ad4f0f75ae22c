"""A process that runs trials one after the other, so that a trial that dies dies alone.

It reads one JSON object a line and writes one a line; what anything else writes to stdout goes
to stderr. It ends when whoever started it does.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from contract.strict import ContractError
from training.tuning.trial import PrunedError, TrialLog, Trials
from training.tuning.wire import data_from, settings_from

OUT_OF_MEMORY = 75
"""The exit status after a trial that got no memory: the next one gets a fresh process."""
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


class Channel:
    """Lines to and from the search."""

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self.sink = sink
        self.lines: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.source = source
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.source:
            self.lines.put(json.loads(line))
        os._exit(0)  # the search is gone; a trial that nobody waits for is of no use

    def receive(self) -> dict[str, Any]:
        """The next object; waits for it."""
        return self.lines.get()

    def send(self, event: str, **facts: Any) -> None:
        """Say something to the search."""
        self.sink.write(json.dumps({"event": event, **facts}) + "\n")
        self.sink.flush()


def be_the_first_to_go() -> None:
    """Where memory runs out, Linux is to end this process and not the search."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether a trial failed because it got no memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY)


def run_trial(trials: Trials, order: Mapping[str, Any], channel: Channel) -> bool:
    """Run one trial and say how it ended.

    Returns:
        Whether this process is fit for another one.
    """
    number, folder = order["trial"], Path(order["folder"])
    settings = settings_from(order["settings"])

    def tell_epoch(epoch: int, loss: float) -> None:
        channel.send("epoch", trial=number, epoch=epoch, loss=loss)
        if order["stoppable"] and not channel.receive()["go_on"]:
            raise PrunedError

    def tell(event: str, text: str, facts: Mapping[str, Any]) -> None:
        channel.send(event, trial=number, text=text, facts=facts)

    log = TrialLog(folder, tell_epoch, tell)
    try:
        loss = trials.run(settings, log)
    except PrunedError:
        channel.send("stopped", trial=number, curve=log.curve)
    except ContractError as error:
        channel.send("failed", trial=number, curve=log.curve, reason=str(error))
    except Exception as error:  # whatever a trial dies of, the next one is another
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        if ran_out_of_memory(error):
            channel.send("no_memory", trial=number, curve=log.curve, reason="it ran out of memory.")
            return False
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        channel.send("failed", trial=number, curve=log.curve, reason=reason)
    else:
        channel.send("done", trial=number, curve=log.curve, loss=loss)
    return True


def main() -> int:
    """Run the trials that stdin asks for."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    be_the_first_to_go()
    channel = Channel(sys.stdin, sink)
    first = channel.receive()
    trials = Trials(data_from(first["data"]), first["weights"], Path(first["cache_dir"]))
    channel.send("ready")
    while run_trial(trials, channel.receive(), channel):
        pass
    return OUT_OF_MEMORY


if __name__ == "__main__":
    raise SystemExit(main())
