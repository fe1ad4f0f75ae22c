"""The deployer's rights and the boundary of all other roles, asked as the plan's policies are."""

from pathlib import Path

import pytest
from tests.infra.access import bootstrap, doors, gates, sweep, tables
from tests.infra.access.definition import actions
from tests.infra.access.findings import policy_findings
from tests.infra.access.roles import Role
from tests.infra.access.sweep import World
from tests.infra.access.unscoped import UNSCOPED
from tests.infra.reviewed import Reviewed

pytestmark = pytest.mark.slow
FILE = Path(bootstrap.__file__).with_name("bootstrap.txt")
# Whoever deploys writes roles and policies; all of it within the boundary and the names of the
# project, as the reviewed table shows.
ITS_WORK = [
    "iam:addroletoinstanceprofile",
    "iam:createinstanceprofile",
    "iam:createrole",
    "iam:deleteinstanceprofile",
    "iam:deleterole",
    "iam:deleterolepolicy",
    "iam:passrole",
    "iam:putrolepermissionsboundary",
    "iam:putrolepolicy",
    "iam:removerolefrominstanceprofile",
    "iam:updateassumerolepolicy",
    "iam:updaterole",
    "lambda:addpermission",
    "lambda:removepermission",
    "lambda:updatefunctioncode",
    "logs:putresourcepolicy",
    "s3:deletebucketpolicy",
    "s3:putbucketpolicy",
    "s3:putbucketpublicaccessblock",
    "sns:createtopic",
    "sns:settopicattributes",
    "sqs:createqueue",
    "sqs:setqueueattributes",
]
EQUAL = {
    # AWS has no name that begins so, but those below /apis/, which are named beside it.
    "kennel-deployer, FindHttpApis: any name that begins so",
    "kennel-deployer, ManageHttpApis: any name that begins so",
    # With an HTTP API the deployer may manage what without one it may only find.
    "kennel-deployer, FindHttpApis: dropped statement",
}


@pytest.fixture(scope="module")
def world() -> World:
    return sweep.read_world()


def test_the_deployer_and_the_boundary_allow_what_was_reviewed(
    world: World, reviewed: Reviewed
) -> None:
    roles = [bootstrap.deployer(), bootstrap.at_most()]

    reviewed.check(FILE, tables.of_roles(roles, world))


@pytest.mark.parametrize("role", [bootstrap.deployer(), bootstrap.at_most()], ids=lambda r: r.name)
def test_every_widened_or_narrowed_statement_is_caught(role: Role, world: World) -> None:
    assert set(gates.survivors(role, world)) - EQUAL == set()
    assert gates.broken_rules(role) == []
    assert list(gates.dead_grants(role, world)) == []


def test_the_deployer_may_do_nothing_everywhere_that_aws_scopes(world: World) -> None:
    assert gates.unlimited(bootstrap.deployer(), world) == set()


def test_parliament_and_cloudsplaining_find_nothing_but_the_work_of_a_deployer() -> None:
    found = policy_findings(bootstrap.deployer().policies)

    # parliament wants every kind of resource of an action in one statement; the sweep, which asks
    # for each kind, finds grants that are in vain.
    told = {"MISMATCHED_TYPE_BUT_USABLE", "RESOURCE_MISMATCH"}
    rest = [(tool, finding, action) for tool, _, finding, action in found if finding not in told]
    assert {(tool, finding) for tool, finding, _ in rest} == {
        ("parliament", "PERMISSIONS_MANAGEMENT_ACTIONS"),
        ("parliament", "PRIVILEGE_ESCALATION"),
    }
    assert sorted({action for _, _, action in rest}) == ITS_WORK


def test_only_this_account_takes_the_deployer(world: World) -> None:
    takers = doors.takers(bootstrap.deployer(), world, [])

    assert takers == ["arn:aws:iam::123456789012:root by sts:AssumeRole"]


def test_what_is_allowed_everywhere_is_not_scoped_by_aws_and_is_needed() -> None:
    listed = {"iam:ListInstanceProfiles"}  # AWS names a resource for it that no call carries
    everywhere = gates.everywhere([bootstrap.deployer(), bootstrap.at_most()])

    assert everywhere == set(UNSCOPED)
    assert [a for a in sorted(UNSCOPED) if actions()[a].arn_patterns and a not in listed] == []
