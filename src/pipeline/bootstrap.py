"""`make bootstrap`: prepares an account once, so that deploying needs no administrator.

Makes the bucket of Terraform's state, the boundary of all project roles, and the deployer: a role
with exactly the rights that the other verbs use. Run again, it brings all of it up to date.
REMOVE=1 takes it away again, when nothing of the stage stands.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from contract.settings import Settings
from contract.strict import require
from pipeline.aws import Account, bucket_exists
from pipeline.boundary import boundary_policy
from pipeline.cli import confirm, find_place, run_verb, say, verb_parser
from pipeline.deployer import deployer_policies, trust
from pipeline.principals import (
    attached,
    ensure_linked_role,
    ensure_policy,
    ensure_role,
    has_role,
    remove_policy,
    remove_role,
)
from pipeline.rights import Project
from pipeline.state import (
    ensure_state_bucket,
    has_resources,
    partition_of,
    remove_state_bucket,
    state_bucket,
)

LINKED = ("sagemaker.application-autoscaling.amazonaws.com", "spot.amazonaws.com")
"""Services that act with a role of their own, which an account has once; AWS writes its rights."""


def project_of(settings: Settings, account_id: str) -> Project:
    """Whose rights are written, from the settings of a stage."""
    return Project(
        name=settings.name,
        account_id=account_id,
        region=settings.region,
        partition=partition_of(settings.region),
        boundary_arn=settings.permissions_boundary_arn,
        kms_key_arn=settings.storage.kms_key_arn,
        own_repositories=tuple(
            dict.fromkeys(
                name
                for image in (settings.endpoint.image, settings.training_job.image)
                if (name := _own_repository(image, account_id, settings.region))
            )
        ),
        own_vpc=settings.network.mode == "own",
        http_api=settings.function.api is not None,
        job_type=settings.training_job.instance_type,
    )


def _own_repository(image: str, account_id: str, region: str) -> str | None:
    own = rf"{account_id}\.dkr\.ecr\.{region}\.amazonaws\.com(?:\.cn)?/([^:@]+)"
    found = re.match(own, image)
    return found[1] if found else None


def require_boundary(account: Account, settings: Settings) -> None:
    """See that who deploys as the deployer gives the boundary to the roles.

    Raises:
        ContractError: IAM would refuse to make them.
    """
    project = project_of(settings, account.account_id())
    caller = str(account.client("sts").get_caller_identity()["Arn"])
    require(
        settings.permissions_boundary_arn is not None
        or f":assumed-role/{settings.name}-deployer/" not in caller,
        "The deployer may only make roles within the boundary. Set permissions_boundary_arn in "
        f'the settings of stage {settings.stage} to "{project.boundary}".',
    )


def is_bootstrapped(account: Account, name: str) -> bool:
    """Whether there is a deployer."""
    return has_role(account.client("iam"), f"{name}-deployer")


def is_of_bootstrap(name: str, found: str) -> bool:
    """Whether something that bears the stack's name is what bootstrap made.

    Args:
        name: of the stack.
        found: a kind and a name, as `find_leftovers` has them.
    """
    kind, _, named = found.rpartition(" ")
    own = (f"{name}-boundary", f"{name}-deployer")
    return kind in {"policy", "role"} and (
        named in own or (kind == "policy" and named.startswith(f"{name}-deployer-"))
    )


def bootstrap(account: Account, project: Project, tags: dict[str, str]) -> None:
    """Make what is missing, and bring the rest up to date."""
    iam = account.client("iam")
    ensure_state_bucket(account, project.name, say)
    for service in LINKED:
        ensure_linked_role(iam, service)
    if project.boundary == project.own_boundary:
        ensure_policy(iam, project.boundary, boundary_policy(project), tags, say)
    role = f"{project.name}-deployer"
    ensure_role(iam, role, "Deploys, and nothing else.", trust(project), tags, say)
    policies = {
        project.iam(f"policy/{name}"): policy for name, policy in deployer_policies(project).items()
    }
    for arn, policy in policies.items():
        ensure_policy(iam, arn, policy, tags, say)
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    for arn in attached(iam, role):
        if arn not in policies:
            iam.detach_role_policy(RoleName=role, PolicyArn=arn)
            remove_policy(iam, arn)
            say(f"Removed the policy {arn}: these settings do not need it.")


def advice(project: Project, stage: str, settings_file: Path) -> list[str]:
    """How to go on."""
    role = f"{project.name}-deployer"
    lines = [f"The account {project.account_id} is ready for {project.name}."]
    if project.boundary_arn is None:
        lines += [
            f"Put this into {settings_file}; the deployer makes no role without it:",
            f'  "permissions_boundary_arn": "{project.boundary}",',
        ]
    if stage == "local":
        return [*lines, f"Then deploy with the deployer's rights: make apply ROLE={role}"]
    return [
        *lines,
        "Let people and CI take the role by sts:AssumeRole on",
        f"  {project.iam(f'role/{role}')}",
        "and name it in ~/.aws/config:",
        f"  [profile {role}]",
        f"  role_arn = {project.iam(f'role/{role}')}",
        "  source_profile = default",
        f"  region = {project.region}",
        f"Then deploy with its rights: AWS_PROFILE={role} make apply STAGE={stage}",
    ]


def remove(account: Account, project: Project) -> None:
    """Take away what bootstrap made."""
    iam = account.client("iam")
    role = f"{project.name}-deployer"
    require(has_role(iam, role), f"There is no {role}: nothing was prepared here.")
    for arn in remove_role(iam, role):
        remove_policy(iam, arn)
        say(f"Removed the policy {arn}.")
    say(f"Removed the role {role}.")
    if remove_policy(iam, project.own_boundary):
        say(f"Removed the policy {project.own_boundary}.")
    bucket = state_bucket(project.name, project.account_id, project.region)
    if bucket_exists(account.client("s3"), bucket):
        remove_state_bucket(account, bucket)
        say(f"Removed the bucket {bucket}, with the history of Terraform's state.")


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare an account."""
    parser = verb_parser(__doc__)
    parser.add_argument("--remove", action="store_true", help="take it all away again")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return run_verb(parser, argv, _bootstrap)


def _bootstrap(options: argparse.Namespace) -> None:
    place = find_place(options)
    settings = place.settings
    account = Account(settings.region)
    project = project_of(settings, account.account_id())
    asked = settings.stage == "local" or options.yes
    say(f"Stage {settings.stage}: account {project.account_id}, region {project.region}.")
    if not options.remove:
        if not asked:
            confirm("Make a bucket, policies and a role here? They cost nothing to have.")
        bootstrap(account, project, {**settings.tags, "project": settings.name})
        for line in advice(project, settings.stage, place.settings_file):
            say(line)
        return
    bucket = state_bucket(project.name, project.account_id, project.region)
    require(
        not has_resources(account.client("s3"), bucket),
        f"{project.name} still stands; `make destroy STAGE={settings.stage}` removes it first.",
    )
    if not asked:
        confirm(f"Remove the deployer of {project.name}, and all history of Terraform's state?")
    remove(account, project)


if __name__ == "__main__":
    raise SystemExit(main())
