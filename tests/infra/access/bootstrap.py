"""What `make bootstrap` gives an account: the deployer's role, and the boundary of all others."""

from tests.infra.access.roles import Document, Role

from pipeline.boundary import boundary_policy
from pipeline.deployer import deployer_policies, trust
from pipeline.rights import Project

PROJECT = Project(
    name="kennel",
    account_id="123456789012",
    region="us-east-1",
    kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    own_repositories=("kennel",),
    own_vpc=True,
    http_api=True,
)
"""Everything on, so that every statement is there."""


def deployer() -> Role:
    """The role that deploys."""
    return Role(name="kennel-deployer", trust=trust(PROJECT), policies=deployer_policies(PROJECT))


def boundary() -> Document:
    """The most that any other role of the project can do."""
    return boundary_policy(PROJECT)


def at_most() -> Role:
    """A role made of the boundary alone: it may do all that the boundary lets a role do."""
    return Role(name="kennel-boundary", trust={"Statement": []}, policies={"all": boundary()})
