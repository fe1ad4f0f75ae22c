"""Callers that keep asking while a new model is rolled over."""

import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType


class Callers:
    """Several threads that ask one question after the other until the block ends.

    Attributes:
        versions: how many answers each model version gave.
        failures: what went wrong, with its count.
    """

    def __init__(self, ask: Callable[[], str], threads: int) -> None:
        """Prepare the callers.

        Args:
            ask: asks once and returns the version of the model that answered.
            threads: how many ask at the same time.
        """
        self.versions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._ask = ask
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._go_on, daemon=True) for _ in range(threads)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self) -> None:
        while not self._done.is_set():
            try:
                version = self._ask()
            except Exception as error:  # every kind of failure is what is counted here
                with self._lock:
                    self.failures[f"{type(error).__name__}: {error}"] += 1
            else:
                with self._lock:
                    self.versions[version] += 1
