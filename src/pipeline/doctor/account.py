"""Who asks, and where."""

from collections.abc import Iterator

from pipeline.aws import Account
from pipeline.doctor.findings import Finding, fail, ok


def check_region(account: Account) -> Iterator[Finding]:
    """Whether the settings' region exists and is switched on."""
    regions = account.client("ec2").describe_regions(AllRegions=True)["Regions"]
    found = {region["RegionName"]: region.get("OptInStatus") for region in regions}
    if account.region not in found:
        yield fail(f"there is no region {account.region}", "correct region in the settings")
    elif found[account.region] == "not-opted-in":
        yield fail(
            f"region {account.region} is switched off in this account",
            f"aws account enable-region --region-name {account.region}",
        )
    else:
        yield ok(f"region {account.region}")
