"""Runs one training job from its first download to its last upload."""

import logging
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localaws import processes
from localaws.core import LocalAws
from localaws.images import ImageError, pull_image
from localaws.jobs import toolkit
from localaws.jobs.objects import (
    Checkpoints,
    DataError,
    fetch_archive,
    fetch_channel,
    send_archive,
)
from localaws.jobs.record import Job
from localaws.recorder import Recorder
from localaws.roles import role_client

log = logging.getLogger(__name__)
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
STOP_GRACE_SECONDS = 120.0
"""Between SIGTERM and SIGKILL, as on AWS; scripts may save a last checkpoint in it."""
CHECKPOINT_SECONDS = 1.0
LOOK_SECONDS = 0.1
LAST_LINES = 20
"""How much of its output a failed script's reason quotes."""


class Run:
    """One job's processes; `start` returns at once."""

    def __init__(self, aws: LocalAws, recorder: Recorder, job: Job) -> None:
        self._aws = aws
        self._recorder = recorder
        self._job = job
        params = job.params
        self._role_arn: str = params["RoleArn"]
        root = aws.folder / "jobs" / job.name
        self._root = root
        self._hosts = toolkit.hosts(root, params["ResourceConfig"].get("InstanceCount", 1))
        self._names = [host.name for host in self._hosts]
        self._metrics = [
            (metric["Name"], re.compile(metric["Regex"]))
            for metric in params["AlgorithmSpecification"].get("MetricDefinitions", [])
        ]
        self._processes: list[processes.Process] = []
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=job.name, daemon=True)

    def start(self) -> None:
        """Run it, in the background."""
        self._thread.start()

    def close(self) -> None:
        """End everything at once: the local AWS is going down."""
        self._closed = True
        self._job.stop_asked.set()
        for process in self._processes:
            process.kill()
        self._thread.join(10)

    def _run(self) -> None:
        job = self._job
        try:
            job.enter("Starting")
            image = job.params["AlgorithmSpecification"].get("TrainingImage", "")
            pull_image(self._aws, self._role_arn, image)
            s3 = role_client(self._aws, "s3", self._role_arn, job.name)
            job.enter("Downloading")
            self._prepare(s3)
            checkpoints = self._checkpoints(s3)
            if checkpoints:
                checkpoints.restore()
            outcome, secondary, reason = self._train(checkpoints)
            if not self._closed:
                job.enter("Uploading")
                self._upload(s3, with_model=outcome != "Failed")
            job.end(outcome, secondary, reason)
        except ImageError as error:
            job.end("Failed", "Failed", f"ClientError: {error}")
        except DataError as error:
            job.end("Failed", "Failed", str(error))
        except Exception as error:
            log.exception("Training job %s", job.name)
            job.end("Failed", "Failed", f"InternalServerError: {error!r}")
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def _prepare(self, s3: Any) -> None:
        params = self._job.params
        for host in self._hosts:
            toolkit.write_config(host, params, self._names)
        for channel in params.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            folders = [
                host.base / "input" / "data" / channel["ChannelName"] for host in self._hosts
            ]
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            fetch_channel(s3, source["S3Uri"], folders, sharded=sharded)
        _, own = toolkit.split(params.get("HyperParameters", {}))
        code = own.get("sagemaker_submit_directory")
        for host in self._hosts if code else []:
            fetch_archive(s3, str(code), host.base / "code")
            if (host.base / "code" / "requirements.txt").exists():
                self._say(host, "requirements.txt is not installed here; this computer's Python "
                                "must have what it names.")  # fmt: skip

    def _checkpoints(self, s3: Any) -> Checkpoints | None:
        config = self._job.params.get("CheckpointConfig")
        if not config:
            return None
        first = self._hosts[0]
        folder = Path(first.local(config.get("LocalPath") or "/opt/ml/checkpoints"))
        return Checkpoints(s3, config["S3Uri"], folder)

    def _train(self, checkpoints: Checkpoints | None) -> tuple[str, str, str | None]:
        """Run the script on every host; the job's status, secondary status and failure."""
        job = self._job
        if job.stop_asked.is_set():
            return "Stopped", "Stopped", None
        job.enter("Training")
        started = round(time.time())
        for host in self._hosts:
            self._processes.append(self._start(host, started))
            self._report(host)
        seconds = job.params.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400)
        deadline = time.monotonic() + seconds
        sync_at = time.monotonic() + CHECKPOINT_SECONDS
        ended: tuple[str, str] | None = None
        while ended is None and any(process.alive for process in self._processes):
            if job.stop_asked.wait(LOOK_SECONDS):
                ended = ("Stopped", "Stopped")
            elif time.monotonic() > deadline:
                ended = ("Stopped", "MaxRuntimeExceeded")
            elif any(process.exit_code for process in self._processes):
                break
            if checkpoints and time.monotonic() > sync_at:
                checkpoints.send()
                sync_at = time.monotonic() + CHECKPOINT_SECONDS
        self._end_processes()
        if checkpoints:
            checkpoints.send()
        if ended:
            return *ended, None
        for host, process in zip(self._hosts, self._processes, strict=True):
            if process.exit_code:
                return "Failed", "Failed", self._reason(host, process.exit_code)
        return "Completed", "Completed", None

    def _start(self, host: toolkit.Host, started: int) -> processes.Process:
        params = self._job.params
        command = toolkit.command(host, params)
        environment = {
            **toolkit.environment(host, params, self._names),
            **self._aws.serve_credentials(self._role_arn, self._job.name),
            "AWS_ENDPOINT_URL": self._aws.url,
            "AWS_REGION": self._aws.region,
            "TRAINING_JOB_ARN": self._job.arn,
        }
        stream = f"{self._job.name}/{host.name}-{started}"
        listen = self._listener(stream)
        listen(f"Invoking script with the following command: {' '.join(command)}")
        return processes.start(
            command, root=host.root, env=environment, on_line=listen, cwd=host.base / "code"
        )

    def _listener(self, stream: str) -> Callable[[str], None]:
        def listen(line: str) -> None:
            self._recorder.line(LOG_GROUP, stream, line, self._role_arn)
            self._last_lines.append(line)
            for name, pattern in self._metrics:
                for found in pattern.finditer(line):
                    self._measure(name, found)

        return listen

    def _measure(self, name: str, found: "re.Match[str]") -> None:
        try:
            value = float(found[1] if found.re.groups else found[0])
        except (TypeError, ValueError):
            return
        self._job.measure(name, value)
        dimensions = {"TrainingJobName": self._job.name}
        self._recorder.metric(LOG_GROUP, name, value, "None", dimensions, self._role_arn)

    def _report(self, host: toolkit.Host) -> None:
        """What AWS measures on a host, it writes with the job's role; here once, at the start."""
        disk = shutil.disk_usage(self._root)
        used = 100 * disk.used / disk.total
        dimensions = {"Host": f"{self._job.name}/{host.name}"}
        self._recorder.metric(
            LOG_GROUP, "DiskUtilization", used, "Percent", dimensions, self._role_arn
        )

    def _say(self, host: toolkit.Host, line: str) -> None:
        stream = f"{self._job.name}/{host.name}-prepare"
        self._recorder.line(LOG_GROUP, stream, line, self._role_arn)

    def _end_processes(self) -> None:
        enders = [
            threading.Thread(target=process.terminate, args=(STOP_GRACE_SECONDS,))
            for process in self._processes
            if process.alive
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        for process in self._processes:
            process.wait_all(10)

    def _reason(self, host: toolkit.Host, code: int) -> str:
        file = host.base / "output" / "failure"
        if file.is_file():
            return f"AlgorithmError: {file.read_text(errors='replace').strip()}, exit code: {code}"
        last = "\n".join(self._last_lines)[-800:]
        return (
            f"AlgorithmError: ExecuteUserScriptError:\nExitCode {code}\n"
            f'ErrorMessage "{last}"\nexit code: {code}'
        )

    def _upload(self, s3: Any, *, with_model: bool) -> None:
        target = self._job.params["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        target += f"/{self._job.name}/output"
        outputs = [host.base / "output" / "data" for host in self._hosts]
        if any(item.is_file() for folder in outputs for item in folder.rglob("*")):
            send_archive(s3, f"{target}/output.tar.gz", outputs, self._root / "output.tar.gz")
        if with_model:
            models = [host.base / "model" for host in self._hosts]
            send_archive(s3, f"{target}/model.tar.gz", models, self._root / "model.tar.gz")
            self._job.model_uri = f"{target}/model.tar.gz"
