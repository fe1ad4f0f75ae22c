"""The same closed loop by well-known tools, to check our client by."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from contract.strict import ContractError, require

INSTALL = {
    "wrk": "apt-get install wrk, or https://github.com/wg/wrk",
    "hey": "apt-get install hey, or https://github.com/rakyll/hey",
}
_LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "{kind}"
local file = io.open("{body}", "rb")
wrk.body = file:read("*all")
file:close()
"""
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a tool reports."""

    rate: float
    """Requests per second."""
    p50_ms: float
    p99_ms: float


def ask_tool(
    name: str, url: str, body: Path, *, kind: str, connections: int, seconds: float, core: int
) -> Told:
    """Run wrk or hey on a core.

    Args:
        name: of the tool.
        url: where to.
        body: a file; each request sends it.
        kind: its content type.
        connections: how many send at a time.
        seconds: how long.
        core: where the tool runs.

    Raises:
        ContractError: it is not installed, or some of its requests failed.
    """
    require(shutil.which(name) is not None, f"{name} is not on PATH: {INSTALL[name]}.")
    whole = max(1, round(seconds))
    if name == "wrk":
        script = body.with_suffix(".lua")
        script.write_text(_LUA.format(body=body, kind=kind), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "30s",
                   "--latency", "-s", str(script), url]  # fmt: skip
    else:
        command = ["hey", "-z", f"{whole}s", "-c", str(connections), "-m", "POST", "-t", "30",
                   "-T", kind, "-D", str(body), url]  # fmt: skip
    run = subprocess.run(
        ["taskset", "-c", str(core), *command], capture_output=True, text=True, check=True
    )
    return read_wrk(run.stdout) if name == "wrk" else read_hey(run.stdout)


def read_wrk(text: str) -> Told:
    """Read wrk's report.

    Raises:
        ContractError: some requests failed, or it is no such report.
    """
    for bad in ("Non-2xx", "Socket errors"):
        line = next((line.strip() for line in text.splitlines() if bad in line), "")
        require(not line, f"wrk: {line}")
    found = {p: re.search(rf"^ +{p}% +([\d.]+)(us|ms|s)$", text, re.MULTILINE) for p in (50, 99)}
    rate = re.search(r"Requests/sec: +([\d.]+)", text)
    p50, p99 = found[50], found[99]
    if rate is None or p50 is None or p99 is None:
        raise ContractError(f"wrk's report is not understood:\n{text}")
    return Told(
        rate=float(rate[1]),
        p50_ms=float(p50[1]) * _UNITS[p50[2]],
        p99_ms=float(p99[1]) * _UNITS[p99[2]],
    )


def read_hey(text: str) -> Told:
    """Read hey's report; it gives no 99th percentile of fewer than some hundred requests.

    Raises:
        ContractError: some requests failed, or it is no such report.
    """
    statuses = set(re.findall(r"\[(\d{3})\]\t", text))
    require(statuses <= {"200"}, f"hey: statuses {', '.join(sorted(statuses))}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p50 = re.search(r"50%+ in ([\d.]+) secs", text)
    p99 = re.search(r"99%+ in ([\d.]+) secs", text)
    if rate is None or p50 is None:
        raise ContractError(f"hey's report is not understood:\n{text}")
    return Told(
        rate=float(rate[1]),
        p50_ms=1000 * float(p50[1]),
        p99_ms=1000 * float(p99[1]) if p99 else 0.0,
    )
