"""Stop this notebook instance when nobody has used it for so many minutes.

Runs from cron with the system's Python 3.7. A busy kernel is use; otherwise the last use is the
latest sign of life of any kernel or terminal, or the start of the machine.
"""

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from calendar import timegm
from pathlib import Path

JUPYTER = "https://localhost:8443/api"
METADATA = "/opt/ml/metadata/resource-metadata.json"


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
    """Epoch seconds of the last sign of use."""
    if any(kernel["execution_state"] == "busy" for kernel in kernels):
        return now
    return max([started] + [seconds_of(it["last_activity"]) for it in kernels + terminals])


def main(minutes, jupyter=JUPYTER, metadata=METADATA):
    """Look once."""
    limit_seconds = 60 * int(minutes)
    now = time.time()
    started = now - float(Path("/proc/uptime").read_text().split()[0])
    idle_seconds = now - last_use(ask(jupyter, "kernels"), ask(jupyter, "terminals"), started, now)
    sys.stdout.write(f"idle for {idle_seconds / 60:.0f} of {limit_seconds / 60:.0f} minutes\n")
    if idle_seconds >= limit_seconds:
        name = json.loads(Path(metadata).read_text())["ResourceName"]
        stop = ["aws", "sagemaker", "stop-notebook-instance", "--notebook-instance-name", name]
        subprocess.run(stop, check=True)


if __name__ == "__main__":
    main(sys.argv[1])
