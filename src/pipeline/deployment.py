"""One run of `make apply`: what was there before it, and how it goes on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from contract.release import Release
from contract.serving import OWN_IMAGE
from contract.stack import Stack
from contract.strict import ContractError, parse
from pipeline.aws import Account, bucket_exists
from pipeline.canary import PlannedTrial, open_trial, planned_trial, watch
from pipeline.changes import costs, summary
from pipeline.cli import Failed, Place, confirm, say
from pipeline.cost.limit import hold_limit
from pipeline.image import build_image, image_exists, image_tag, image_variables, project_exists
from pipeline.live import (
    endpoint_reasons,
    live_instances,
    remove_endpoint,
    settled,
    who_answers,
)
from pipeline.package import RELEASE_FILE
from pipeline.releases import deployed_code, record
from pipeline.restore import remove_refused, restored, serving_names, take_refused
from pipeline.stacks import STACK_FILE, live_parts, write_stack
from pipeline.state import state_bucket
from pipeline.takeover import sweep, take_over
from pipeline.terraform import PLUGIN_DIED, Change, Terraform, TerraformFailed
from pipeline.unfinished import Note
from pipeline.upload import packaged, upload_release
from pipeline.verify import golden_of, verify


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What the person who deploys wants."""

    plan_only: bool = False
    """Show what would change, and stop."""
    full_plan: bool = False
    """Show every argument as well."""
    without_release: bool = False
    """Remove the endpoint and the function, though they serve."""
    yes: bool = False
    """Do not ask."""


class Deployment:
    """Terraform, the endpoint and the function on their way to what was asked for."""

    def __init__(
        self, place: Place, wishes: Wishes, account: Account, terraform: Terraform
    ) -> None:
        self._place = place
        self._wishes = wishes
        self._account = account
        self._began = datetime.now(UTC)
        self._root = self._terraform = terraform
        before = terraform.output("stack")
        self._before = None if before is None else parse(Stack, before, "the output `stack`")
        name = place.settings.name
        self._note = Note(
            account.client("s3"), state_bucket(name, account.account_id(), account.region)
        )
        self._unfinished = self._note.read()
        self._trial = planned_trial(account, place.settings, self._before, say)

    def run(self, release: Release | None) -> None:
        """Deploy a release, or all that needs none."""
        self._settle()
        if release is None:
            self._refuse_to_remove()
            say("Without a release: everything but the endpoint and the function.")
            self._converge(None)
            return
        say(f"Release {release.version}.")
        s3 = self._account.client("s3")
        if self._before is None or not bucket_exists(s3, self._before.bucket):
            for artifact in (release.model, release.training, release.function):
                packaged(artifact, self._place.build)
            self._refuse_too_dear(release)
            say("There is no bucket for the archives yet, so what needs no release comes first.")
            self._before = self._converge(None)
        if self._before is not None and not self._wishes.plan_only:
            upload_release(s3, self._before.bucket, release, self._place.build, say)
        if self._place.settings.endpoint.image == OWN_IMAGE:
            self._find_image()
        stack = self._converge(release)
        if stack is not None and stack.endpoint is not None:
            self._try_changed_code(stack, release)
            self._prove(stack, release)
        elif stack is not None:
            say(
                "The endpoint is off, by endpoint.mode in the settings: the function stays and "
                "answers callers with 503. Nothing was verified."
            )

    def build_image(self) -> None:
        """Build the endpoint's own image, with what builds it where that is missing."""
        account, name = self._account, self._place.settings.name
        if self._before is None or not project_exists(account, name):
            say("There is nothing that builds images yet, so that comes first.")
            self._make_only("module.image")
        bucket = f"{name}-{account.account_id()}-{account.region}"
        build_image(account, name, bucket, self._place.build)

    def _find_image(self) -> None:
        """See that the registry has the endpoint's own image before anything wants to run it."""
        tag = image_tag()
        if image_exists(self._account, self._place.settings.name, tag):
            return
        say(f"The repository does not have image {tag}.")
        if not self._wishes.plan_only:
            self.build_image()

    def _make_only(self, target: str) -> None:
        """Make one part of the stack, and what it needs."""
        changes = self._plan(None, targets=(target,))
        say(summary(changes))
        if changes is not None:
            self._ask(changes)
            self._terraform.apply()

    def _settle(self) -> None:
        """Let an endpoint come to rest that is being made, changed or scaled."""
        name = self._place.settings.name
        status = settled(self._account, name, say)
        if self._unfinished is None:
            return
        say(f"An apply did not come to its end: {self._unfinished}. What it made is taken over.")
        if self._wishes.plan_only:
            return
        if status == "Failed" and (self._before is None or self._before.endpoint is None):
            remove_endpoint(self._account, name)
            say(f"Removed the endpoint {name}, which could not be made.")
        self._keep_what_serves()
        sweep(self._account, name, self._terraform.pull_state())

    def _refuse_to_remove(self) -> None:
        before = self._before
        if before is None or before.function is None or self._wishes.without_release:
            return
        live = f"Model {before.model_version} serves"
        if before.endpoint is None:
            live = f"Function {before.function.name} stands, with its endpoint off"
        raise ContractError(
            f"{live}, and {self._place.build / RELEASE_FILE} does not exist: this "
            "would remove it. `make package` makes the file, `make rollback` goes to a verified "
            "release, --without-release removes endpoint and function.",
        )

    def _refuse_too_dear(self, release: Release) -> None:
        """Look at the whole bill before the first half of it is made."""
        if self._place.settings.max_monthly_usd is not None and not self._wishes.plan_only:
            self._plan(release, lock=False)
            hold_limit(self._terraform.planned(), self._place, lambda _: None)

    def _converge(self, release: Release | None) -> Stack | None:
        """Plan, show, ask, apply.

        Returns:
            What exists now; `None` when only a plan was wanted.
        """
        changes = self._plan(release)
        say(self._terraform.show() if self._wishes.full_plan else summary(changes))
        if changes is not None:
            asked = not self._wishes.plan_only
            hold_limit(self._terraform.planned(), self._place, say, refuse=asked)
        if self._wishes.plan_only:
            return None
        if changes is not None:
            self._ask(changes)
            try:
                self._apply(release)
            except TerraformFailed as failure:
                self._keep_what_serves()
                raise Failed(self._explained(failure)) from failure
        stack = write_stack(self._terraform.output("stack"), self._place.build)
        say(f"Stack {stack.name} stands; see {self._place.build / STACK_FILE}.")
        return stack

    def _plan(
        self, release: Release | None, *, lock: bool = True, targets: Sequence[str] = ()
    ) -> tuple[Change, ...] | None:
        files = [self._place.settings_file]
        if release is not None:
            files.append(self._place.build / RELEASE_FILE)
        count = live_instances(self._account, self._before)
        variables = image_variables(self._place.settings)
        if count is not None:
            variables["live_instances"] = count
        if release is not None and self._trial is not None:
            variables["function_trial"] = asdict(self._trial)
        if self._unfinished is None or self._wishes.plan_only or not lock:
            return self._terraform.plan(files, variables, lock=lock, targets=targets)
        self._terraform, changes = take_over(
            self._account,
            self._place.settings,
            self._root,
            lambda terraform: terraform.plan(files, variables, targets=targets),
        )
        return changes

    def _ask(self, changes: Sequence[Change]) -> None:
        if self._place.settings.stage == "local" or self._wishes.yes:
            return
        for cost in costs(changes):
            say(f"This costs: {cost}.")
        confirm(f"Apply this to {self._place.settings.region}?")

    def _apply(self, release: Release | None) -> None:
        self._note.write()
        try:
            self._terraform.apply()
        except TerraformFailed as failure:
            if PLUGIN_DIED not in str(failure):
                raise
            say("Terraform's provider did not answer; planning and applying once more.")
            if self._plan(release) is not None:
                self._terraform.apply()
        self._note.remove()
        self._unfinished = None

    def _keep_what_serves(self) -> None:
        """Make Terraform's state say what an endpoint that was rolled back serves with."""
        if self._before is None or self._before.endpoint is None:
            return
        settled(self._account, self._before.endpoint.name, say)
        serving = serving_names(self._account, self._before.endpoint.name)
        state = restored(self._terraform.pull_state(), serving)
        if state is not None:
            remove_refused(self._account, take_refused(state, serving))
            self._terraform.push_state(state)

    def _explained(self, failure: Failed) -> str:
        """Why it failed, what answers now, and what to do."""
        lines = [
            str(failure),
            *endpoint_reasons(self._account, self._place.settings.name, self._began),
        ]
        before = self._before
        if before is not None and before.function is not None:
            lines.append(who_answers(self._account, before.function, self._place.build))
        return "\n".join(lines)

    def _try_changed_code(self, stack: Stack, release: Release) -> None:
        """Watch a version that a few callers have, then give everybody that one or the old one."""
        _, function = live_parts(stack)
        client, canary = self._account.client("lambda"), self._place.settings.function.canary
        trial = open_trial(client, function)
        if trial is None or canary is None:
            return
        say(trial.announced(canary))
        golden = golden_of(release, self._place.build, self._account.client("s3"), stack.bucket)
        try:
            watch(self._account, function, trial, canary,
                  lambda new: verify(client, new, release.version, golden))  # fmt: skip
        except Failed as failure:
            self._end_trial(release, trial.turned_back)
            raise Failed(f"{failure}\n{trial.told_back(release.version)}") from failure
        self._end_trial(release, None)
        say(f"Everybody has version {trial.new_version} of {function.name}.")

    def _end_trial(self, release: Release, trial: PlannedTrial | None) -> None:
        """Give everybody one version, as it was announced."""
        self._trial = trial
        if self._plan(release) is not None:
            self._apply(release)

    def _prove(self, stack: Stack, release: Release) -> None:
        """Ask the golden question; write the release down when the answer is right."""
        _, function = live_parts(stack)
        code = deployed_code(self._account.client("lambda"), function)
        if code != release.function.sha256:
            raise Failed(
                f"Function {function.name} runs code with SHA-256 {code}; the release says "
                f"{release.function.sha256}. Has somebody else deployed it? Apply again."
            )
        s3 = self._account.client("s3")
        golden = golden_of(release, self._place.build, s3, stack.bucket)
        try:
            reply = verify(self._account.client("lambda"), function, release.version, golden)
        except Failed as failure:
            raise Failed(self._explained(failure)) from failure
        first = reply.predictions[0]
        say(f"Model {reply.model_version} answers its golden picture through {function.name}: "
            f"{first.label}, {first.probability:.1%}.")  # fmt: skip
        record(s3, stack.bucket, release)
