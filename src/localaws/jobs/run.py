"""Runs one training job from its first download to its last upload."""

import logging
import math
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from localaws import interrupt
from localaws.core import LocalAws
from localaws.images import ImageError, pull_image
from localaws.jobs import toolkit
from localaws.jobs.containers import LOG_GROUP, Containers
from localaws.jobs.hosts import free_port, hosts
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
CHECKPOINT_SECONDS = 1.0
_OUTCOMES = {
    "exited": ("Completed", "Completed"),
    "stopped": ("Stopped", "Stopped"),
    "too long": ("Stopped", "MaxRuntimeExceeded"),
    "waited too long": ("Stopped", "MaxWaitTimeExceeded"),
}


class Run:
    """One job's processes; `start` returns at once."""

    def __init__(self, aws: LocalAws, recorder: Recorder, job: Job) -> None:
        self._aws = aws
        self._recorder = recorder
        self._job = job
        params = job.params
        self._role_arn: str = params["RoleArn"]
        self._root = aws.folder / "jobs" / job.name
        count = params["ResourceConfig"].get("InstanceCount", 1)
        self._hosts = hosts(self._root, count)
        limits = params.get("StoppingCondition", {})
        self._seconds_left = float(limits.get("MaxRuntimeInSeconds", 86_400))
        waiting = limits.get("MaxWaitTimeInSeconds") if self._spot else None
        self._wait_until = time.monotonic() + waiting if waiting else math.inf
        self._sync_at = 0.0
        self._containers: Containers | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=job.name, daemon=True)

    def start(self) -> None:
        """Run it, in the background."""
        self._thread.start()

    def close(self) -> None:
        """End everything at once: the local AWS is going down."""
        self._closed = True
        self._job.stop_asked.set()
        if self._containers:
            self._containers.kill()
        self._thread.join(10)

    @property
    def _spot(self) -> bool:
        return bool(self._job.params.get("EnableManagedSpotTraining"))

    def _run(self) -> None:
        job = self._job
        try:
            s3 = role_client(self._aws, "s3", self._role_arn, job.name)
            outcome = None
            while outcome is None:
                outcome = self._attempt(s3)
            status, secondary, reason = outcome
            if not self._closed:
                job.enter("Uploading")
                self._upload(s3, with_model=status != "Failed")
            job.end(status, secondary, reason)
        except ImageError as error:
            job.end("Failed", "Failed", f"ClientError: {error}")
        except DataError as error:
            job.end("Failed", "Failed", str(error))
        except Exception as error:
            log.exception("Training job %s", job.name)
            job.end("Failed", "Failed", f"InternalServerError: {error!r}")
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def _attempt(self, s3: Any) -> tuple[str, str, str | None] | None:
        """Start from nothing but checkpoints.

        Returns:
            The job's status, secondary status and failure; None when its hosts were taken away.
        """
        job = self._job
        job.enter("Starting")
        image = job.params["AlgorithmSpecification"].get("TrainingImage", "")
        pull_image(self._aws, self._role_arn, image)
        job.enter("Downloading")
        for host in self._hosts:
            shutil.rmtree(host.root, ignore_errors=True)
        self._prepare(s3)
        checkpoints = self._checkpoints(s3)
        for one in checkpoints:
            one.restore()
        if job.stop_asked.is_set():
            return "Stopped", "Stopped", None
        return self._train(checkpoints)

    def _prepare(self, s3: Any) -> None:
        params = self._job.params
        names = [host.name for host in self._hosts]
        port = free_port()
        for host in self._hosts:
            toolkit.write_config(host, host.localised(params), names)
            host.write_programs(port)
        for channel in params.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            folders = [
                host.base / "input" / "data" / channel["ChannelName"] for host in self._hosts
            ]
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            fetch_channel(s3, source["S3Uri"], folders, sharded=sharded)
        for host in self._hosts:
            host.localise_drivers()
        _, own = toolkit.split(params.get("HyperParameters", {}))
        code = own.get("sagemaker_submit_directory")
        for host in self._hosts if code else []:
            fetch_archive(s3, str(code), host.base / "code")
            if (host.base / "code" / "requirements.txt").exists():
                line = (
                    "requirements.txt is not installed here; this computer's Python must have "
                    "what it names."
                )
                stream = f"{self._job.name}/{host.name}-prepare"
                self._recorder.line(LOG_GROUP, stream, line, self._role_arn)

    def _checkpoints(self, s3: Any) -> list[Checkpoints]:
        config = self._job.params.get("CheckpointConfig")
        if not config:
            return []
        path = config.get("LocalPath") or "/opt/ml/checkpoints"
        return [Checkpoints(s3, config["S3Uri"], Path(host.local(path))) for host in self._hosts]

    def _train(self, checkpoints: list[Checkpoints]) -> tuple[str, str, str | None] | None:
        """Run the script on every host; as `_attempt`."""
        job = self._job
        job.enter("Training")
        started = time.monotonic()
        interruption = self._root / interrupt.FILE if self._spot else None
        containers = self._containers = Containers(self._aws, self._recorder, job, self._hosts)
        containers.start()

        def synchronise() -> None:
            if time.monotonic() > self._sync_at:
                for one in checkpoints:
                    one.send()
                self._sync_at = time.monotonic() + CHECKPOINT_SECONDS

        run_until = started + self._seconds_left
        end = containers.wait(run_until, self._wait_until, interruption, synchronise)
        failure = containers.failure() if end == "exited" else None
        if failure or self._closed:
            containers.kill()
        else:
            containers.end(synchronise)
        for one in checkpoints:
            one.send()
        self._seconds_left -= time.monotonic() - started
        job.trained(time.monotonic() - started)
        if interruption and end == "interrupted":
            interruption.unlink(missing_ok=True)
            if not job.stop_asked.is_set():
                job.enter("Interrupted")
                return None
            end = "stopped"
        if failure:
            return "Failed", "Failed", failure
        return *_OUTCOMES[end], None

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
