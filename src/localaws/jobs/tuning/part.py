"""Answers the calls about tuning jobs.

Not imitated, and refused by name: several training job definitions, Autotune, fallback instances,
completion on convergence. The number of parallel training jobs is as small as in a new account.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply
from localaws.jobs import constraints
from localaws.jobs.listing import page
from localaws.jobs.record import ENDED
from localaws.jobs.tuning import checks
from localaws.jobs.tuning.record import Tuning
from localaws.jobs.tuning.search import Search, StartJob, StopJob, request_of

_SORT_JOBS = {
    "CreationTime": "CreationTime",
    "Name": "HyperParameterTuningJobName",
    "Status": "HyperParameterTuningJobStatus",
}
_SORT_CHILDREN = {
    "CreationTime": "CreationTime",
    "Name": "TrainingJobName",
    "Status": "TrainingJobStatus",
}


class TuningJobs:
    """Takes tuning jobs, runs them, and says how they went."""

    def __init__(
        self,
        aws: LocalAws,
        start_job: StartJob,
        stop_job: StopJob,
        check_job: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._aws = aws
        self._start_job = start_job
        self._stop_job = stop_job
        self._check_job = check_job
        self._lock = threading.Lock()
        self._tunings: dict[str, Tuning] = {}
        self._searches: dict[str, Search] = {}
        self.handlers: Mapping[Operation, Handler] = {
            ("sagemaker", operation): handler
            for operation, handler in (
                ("CreateHyperParameterTuningJob", self._create),
                ("DeleteHyperParameterTuningJob", self._delete),
                ("DescribeHyperParameterTuningJob", self._describe),
                ("ListHyperParameterTuningJobs", self._list),
                ("ListTrainingJobsForHyperParameterTuningJob", self._list_children),
                ("StopHyperParameterTuningJob", self._stop),
            )
        }

    def end(self) -> None:
        """Start no more training jobs; those that run are ended by their own part."""
        with self._lock:
            for search in self._searches.values():
                search.end()

    def close(self) -> None:
        """Wait for the end of every search."""
        with self._lock:
            searches = list(self._searches.values())
        for search in searches:
            search.close()

    def _create(self, call: Call) -> Reply:
        constraints.check(call)
        params = _with_objective(call.params)
        checks.check(call.params)
        self._check_job(request_of(params, {}, 1))
        name = params["HyperParameterTuningJobName"]
        region, account = self._aws.region, self._aws.account_id
        arn = f"arn:aws:sagemaker:{region}:{account}:hyper-parameter-tuning-job/{name}"
        parents = self._parents(params)
        with self._lock:
            if name in self._tunings:
                raise AwsError(
                    "ResourceInUse",
                    "Hyper parameter tuning job names must be unique within an AWS account and "
                    f"region, and a tuning job with this name already exists ({arn})",
                )
            # moto's record is the one that is asked for tags.
            records = self._aws.records_client("sagemaker")
            records.create_hyper_parameter_tuning_job(**{"Tags": [], **call.params})
            tuning = Tuning(arn=arn, params=params, parents=parents)
            search = Search(tuning, self._start_job, self._stop_job)
            self._tunings[name], self._searches[name] = tuning, search
        search.start()
        return wire.result(call, {"HyperParameterTuningJobArn": arn})

    def _parents(self, params: Mapping[str, Any]) -> list[Tuning]:
        config = params.get("WarmStartConfig")
        if not config:
            return []
        named = [
            one["HyperParameterTuningJobName"] for one in config["ParentHyperParameterTuningJobs"]
        ]
        parents = [self._named(name) for name in named]
        checks.check_parents(params, parents)
        return parents

    def _describe(self, call: Call) -> Reply:
        return wire.result(call, self._find(call).description())

    def _stop(self, call: Call) -> Reply:
        tuning = self._find(call)
        if tuning.status != "InProgress":
            raise AwsError(
                "ValidationException",
                "The request was rejected because the hyperparameter tuning job is in status "
                f"{tuning.status}.",
            )
        self._searches[tuning.name].stop()
        return wire.result(call, {})

    def _delete(self, call: Call) -> Reply:
        tuning = self._find(call)
        if tuning.status not in ENDED:
            raise AwsError(
                "ValidationException",
                f"The hyperparameter tuning job {tuning.name} is in status {tuning.status}; stop "
                "it before you delete it.",
            )
        with self._lock:
            del self._tunings[tuning.name], self._searches[tuning.name]
        records = self._aws.records_client("sagemaker")
        records.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=tuning.name)
        return wire.result(call, {})

    def _list(self, call: Call) -> Reply:
        with self._lock:
            found = [tuning.summary() for tuning in self._tunings.values()]
        names = ("HyperParameterTuningJobName", "HyperParameterTuningJobStatus")
        members = page(call.params, found, *names, _SORT_JOBS)
        return wire.result(call, _renamed(members, "HyperParameterTuningJobSummaries"))

    def _list_children(self, call: Call) -> Reply:
        found = self._find(call).children()
        asked = dict(call.params)
        if asked.get("SortBy") == "FinalObjectiveMetricValue":
            metric = "FinalHyperParameterTuningJobObjectiveMetric"
            found = [one for one in found if metric in one]
            ascending = asked.get("SortOrder") != "Descending"
            found.sort(key=lambda one: one[metric]["Value"], reverse=not ascending)
            asked["SortBy"] = None
        members = page(asked, found, "TrainingJobName", "TrainingJobStatus", _SORT_CHILDREN)
        return wire.result(call, _renamed(members, "TrainingJobSummaries"))

    def _find(self, call: Call) -> Tuning:
        return self._named(call.params["HyperParameterTuningJobName"])

    def _named(self, name: str) -> Tuning:
        with self._lock:
            tuning = self._tunings.get(name)
        if tuning is None:
            raise AwsError("ResourceNotFound", f"There is no hyperparameter tuning job {name}.")
        return tuning


def _with_objective(given: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the objective's name among the static hyperparameters, as SageMaker adds."""
    params = dict(given)
    definition = dict(params.get("TrainingJobDefinition") or {})
    config = params["HyperParameterTuningJobConfig"]
    objective = config.get("HyperParameterTuningJobObjective") or definition.get("TuningObjective")
    if definition and objective:
        static = definition.get("StaticHyperParameters") or {}
        named = {checks.OBJECTIVE: objective["MetricName"]}
        params["TrainingJobDefinition"] = {
            **definition,
            "StaticHyperParameters": {**named, **static},
        }
    return params


def _renamed(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {name if key == "Summaries" else key: value for key, value in members.items()}
