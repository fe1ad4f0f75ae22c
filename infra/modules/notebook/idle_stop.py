"""Stop this notebook instance when nobody has used it for so many minutes.

Runs from cron with the system's Python 3.7. A busy kernel is use, and so is a busy machine: a
training in a terminal may work for hours without a word. Otherwise the last use is the latest sign
of life of any kernel or terminal, or the start of the machine.
"""

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from calendar import timegm
from pathlib import Path

JUPYTER = "https://localhost:8443/api"
METADATA = "/opt/ml/metadata/resource-metadata.json"
NOTES = "/run/kennel-idle-stop.json"
PROC = "/proc"
BUSY_CORES = 0.25
"""What a machine does by itself stays far below; whatever computes for somebody is above."""


def ask(jupyter, path):
    """A list from Jupyter; a server that does not answer has nothing running."""
    itself = ssl._create_unverified_context()  # noqa: S323 - its own certificate, on loopback
    url = f"{jupyter}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=10, context=itself) as reply:  # noqa: S310
            return json.load(reply)
    except (OSError, ValueError):
        return []


def seconds_of(stamp):
    """Epoch seconds of a time like 2026-11-22T16:17:58.123Z."""
    return timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))


def last_use(kernels, terminals, started, now):
    """Epoch seconds of the last sign of use that Jupyter knows of."""
    if any(kernel["execution_state"] == "busy" for kernel in kernels):
        return now
    return max([started] + [seconds_of(it["last_activity"]) for it in kernels + terminals])


def last_work(uptime_seconds, now, notes, proc):
    """Epoch seconds of when the machine was last seen busy, kept in a file between looks."""
    user, nice, system = (Path(proc) / "stat").read_text().split()[1:4]
    worked = (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")
    try:
        before = json.loads(Path(notes).read_text())
    except (OSError, ValueError):  # the first look since the start
        before = {"uptime": 0, "worked": 0, "busy_at": 0}
    seconds = uptime_seconds - before["uptime"]
    cores = (worked - before["worked"]) / seconds if seconds > 0 else 0
    busy_at = now if cores >= BUSY_CORES else before["busy_at"]
    Path(notes).write_text(
        json.dumps({"uptime": uptime_seconds, "worked": worked, "busy_at": busy_at})
    )
    return busy_at


def main(minutes, jupyter=JUPYTER, metadata=METADATA, notes=NOTES, proc=PROC, now=None):
    """Look once."""
    limit_seconds = 60 * int(minutes)
    now = now or time.time()
    uptime_seconds = float((Path(proc) / "uptime").read_text().split()[0])
    used = last_use(ask(jupyter, "kernels"), ask(jupyter, "terminals"), now - uptime_seconds, now)
    idle_seconds = now - max(used, last_work(uptime_seconds, now, notes, proc))
    sys.stdout.write(f"idle for {idle_seconds / 60:.0f} of {limit_seconds / 60:.0f} minutes\n")
    if idle_seconds >= limit_seconds:
        name = json.loads(Path(metadata).read_text())["ResourceName"]
        stop = ["aws", "sagemaker", "stop-notebook-instance", "--notebook-instance-name", name]
        subprocess.run(stop, check=True)


if __name__ == "__main__":
    main(sys.argv[1])
