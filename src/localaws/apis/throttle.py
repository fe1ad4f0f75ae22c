"""How many requests a route lets through: a bucket of tokens that fills up again."""

import threading
import time
from dataclasses import dataclass, field


@dataclass(kw_only=True, slots=True)
class Bucket:
    """A token for each request; `burst` of them at most, `rate` new ones a second."""

    burst: float
    rate: float
    _tokens: float = field(init=False)
    _filled: float = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._tokens, self._filled = self.burst, time.monotonic()

    def take(self, now: float | None = None) -> bool:
        """Whether there is a token for one more request.

        Args:
            now: time.monotonic(), unless a test says another time.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
