"""Whether a release's archives are in the bucket, and are what their names say."""

from collections.abc import Iterator

from contract.release import read_release
from contract.strict import ContractError
from pipeline.aws import Account, bucket_exists
from pipeline.cli import Place
from pipeline.doctor.findings import Finding, fail, ok, warn
from pipeline.objects import is_there
from pipeline.package import RELEASE_FILE


def check_artifacts(account: Account, place: Place, bucket: str) -> Iterator[Finding]:
    """The archives of build/release.tfvars.json."""
    file = place.build / RELEASE_FILE
    if not file.exists():
        yield warn(f"{file} does not exist: there is no release", "make train package")
        return
    try:
        release = read_release(file)
    except ContractError as error:
        yield fail(" ".join(str(error).split()), "make package")
        return
    s3 = account.client("s3")
    if not bucket_exists(s3, bucket):
        yield warn(f"release {release.version}: there is no bucket {bucket} yet", "make apply")
        return
    for artifact in (release.function, release.model, release.training):
        try:
            there = is_there(s3, bucket, artifact.key, artifact.sha256)
        except ContractError as error:
            yield fail(str(error), f"aws s3 rm s3://{bucket}/{artifact.key} && make upload")
            continue
        if there:
            yield ok(f"release {release.version}: {artifact.key}")
        else:
            yield fail(
                f"release {release.version}: s3://{bucket}/{artifact.key} is missing",
                "make upload, or make package upload",
            )
