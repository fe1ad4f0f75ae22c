"""Container images: nothing is pulled, but the role that would pull one is asked.

An image of this account must be in its registry.
"""

import re

from localaws.core import LocalAws

_ADDRESS = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)[:@](.+)")
_LAYERS = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")


class ImageError(Exception):
    """The role may not pull the image, or there is none; the message is what AWS says."""


def pull_image(aws: LocalAws, role_arn: str, image: str) -> None:
    """Ask whether a role may pull an image, as SageMaker does before it starts a container.

    Args:
        aws: whose IAM decides.
        role_arn: of the model or the job.
        image: its address; one outside ECR needs no rights.

    Raises:
        ImageError: it may not, or this account has no such image.
    """
    found = _ADDRESS.match(image)
    if found is None:
        return
    repository = {"registryId": found[1], "repositoryName": found[3]}
    calls = {"GetAuthorizationToken": {}, **dict.fromkeys(_LAYERS, repository)}
    for operation, params in calls.items():
        if not aws.may(role_arn, "SageMaker", "ecr", operation, params):
            raise ImageError(
                f'The role "{role_arn}" does not have {operation} permission for the image: '
                f'"{image}".'
            )
    if found[1] == aws.account_id and not _is_there(aws, found[3], found[4]):
        raise ImageError(f"Requested image {image} not found.")


def _is_there(aws: LocalAws, repository: str, version: str) -> bool:
    ecr = aws.records_client("ecr")
    wanted = {"imageDigest": version} if version.startswith("sha256:") else {"imageTag": version}
    try:
        ecr.describe_images(repositoryName=repository, imageIds=[wanted])
    except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException):
        return False
    return True
