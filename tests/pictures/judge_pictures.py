"""Looks at pictures from standard input, within limits that the kernel keeps.

Each picture is its length (eight bytes) and its bytes; the reply is a line of JSON. Limits of time
are the kernel's: a picture that takes longer ends this process.
"""

import json
import resource
import sys
from pathlib import Path

from contract.messages import RequestError
from contract.model_card import InputSpec
from contract.preprocessing import eval_view

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def judge(data: bytes, spec: InputSpec) -> tuple[int, str]:
    """Status and sentence, as the server would answer; anything else ends this process."""
    try:
        eval_view(data, spec)
    except RequestError as error:
        return error.status, error.message
    return 200, ""


def main() -> None:
    spec = InputSpec(resize_px=int(sys.argv[1]), size_px=int(sys.argv[1]) * 7 // 8,
                     mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))  # fmt: skip
    while length := sys.stdin.buffer.read(8):
        data = sys.stdin.buffer.read(int.from_bytes(length, "big"))
        before = _start_peak()
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        status, message = judge(data, spec)
        grown = _peak() - before
        verdict = {"status": status, "message": message, "grown": grown}
        sys.stdout.write(f"{json.dumps(verdict)}\n")
        sys.stdout.flush()


def _start_peak() -> int:
    """The memory that is held now, in bytes; from here on the peak is counted anew."""
    if CLEAR.exists():
        CLEAR.write_text("5")
        return _of_status("VmRSS")
    return _peak()


def _peak() -> int:
    if CLEAR.exists():
        return _of_status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes, where there is no /proc


def _of_status(name: str) -> int:
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
