"""The log of a SageMaker job, as it grows."""

from botocore.exceptions import ClientError

from pipeline.aws import Client, error_code, pages

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class JobLog:
    """The new lines of a job's log, from CloudWatch."""

    def __init__(self, logs: Client, job: str) -> None:
        self._logs = logs
        self._job = job
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> list[str]:
        """Lines that were not returned before."""
        try:
            streams = [
                stream["logStreamName"]
                for stream in pages(
                    self._logs,
                    "describe_log_streams",
                    "logStreams",
                    logGroupName=LOG_GROUP,
                    logStreamNamePrefix=f"{self._job}/",
                )
            ]
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return []
            raise
        return [line for stream in streams for line in self._new_of(stream)]

    def _new_of(self, stream: str) -> list[str]:
        lines = []
        while True:
            token = self._tokens.get(stream)
            found = self._logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True,
                **({"nextToken": token} if token else {}),
            )  # fmt: skip
            lines += [event["message"].rstrip() for event in found["events"]]
            self._tokens[stream] = found["nextForwardToken"]
            if not found["events"]:
                return lines
