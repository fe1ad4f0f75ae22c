"""What needs depend on besides a call: tags, launch templates, boundaries, as moto keeps them."""

from collections.abc import Mapping
from typing import Any

from localaws.iam.policies import IamRecords
from localaws.records import ACCOUNT_ID


class KnownRecords:
    """Reads EC2's and IAM's records."""

    def __init__(self, region: str) -> None:
        self.region = region

    @property
    def _backend(self) -> Any:
        from moto.ec2.models import ec2_backends

        return ec2_backends[ACCOUNT_ID][self.region]

    def tags(self, service: str, resource: str) -> Mapping[str, str]:
        """See needs.Known: only EC2's tags are known."""
        return dict(self._backend.tags.get(resource, {})) if service == "ec2" else {}

    def route_table(self, association_id: str) -> str | None:
        """See needs.Known."""
        for table in list(self._backend.route_tables.values()):
            if association_id in {one["RouteTableAssociationId"] for one in table.associations}:
                return str(table.id)
        return None

    def boundary_of(self, role_name: str) -> str | None:
        """See needs.Known."""
        role = IamRecords().role(role_name)
        return role.boundary_arn if role else None

    def bucket_key(self, bucket: str) -> str | None:
        """See needs.Known."""
        from moto.s3.models import s3_backends

        found = s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket)
        rules = ((found.encryption if found else None) or {}).get("Rule") or {}
        chosen = rules.get("ApplyServerSideEncryptionByDefault") or {}
        key = chosen.get("KMSMasterKeyID")
        return str(key) if key else None

    def launch_template(self, specification: Mapping[str, Any]) -> Mapping[str, Any]:
        """See needs.Known."""
        backend = self._backend
        wanted = specification.get("LaunchTemplateId")
        if not wanted:
            names = backend.launch_template_name_to_ids
            wanted = names.get(specification.get("LaunchTemplateName"))
        template = backend.launch_templates.get(wanted)
        if template is None:
            return {}
        version = str(specification.get("Version") or "$Default")
        try:
            data: Mapping[str, Any] = template.get_version(version).data
        except (IndexError, ValueError):
            return {}
        return data
