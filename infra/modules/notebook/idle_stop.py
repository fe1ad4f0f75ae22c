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

JUPYTER = "https://localhost:8443/api"


def ask(path, jupyter=JUPYTER):
    """A list from Jupyter; a server that does not answer has nothing running."""
    trust_itself = ssl._create_unverified_context()  # noqa: S323 - its own certificate, on loopback
    try:
        with urllib.request.urlopen(f"{jupyter}/{path}", timeout=10, context=trust_itself) as reply:
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


def main():
    limit_seconds = 60 * int(sys.argv[1])
    now = time.time()
    with open("/proc/uptime") as file:
        started = now - float(file.read().split()[0])
    idle_seconds = now - last_use(ask("kernels"), ask("terminals"), started, now)
    print(f"idle for {idle_seconds / 60:.0f} of {limit_seconds / 60:.0f} minutes")
    if idle_seconds >= limit_seconds:
        with open("/opt/ml/metadata/resource-metadata.json") as file:
            name = json.load(file)["ResourceName"]
        stop = ["aws", "sagemaker", "stop-notebook-instance", "--notebook-instance-name", name]
        subprocess.run(stop, check=True)


if __name__ == "__main__":
    main()
