"""STS and IAM: keys that stand for somebody, and who the caller is."""

import time
from collections.abc import Mapping
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, Observer, Operation, Reply
from localaws.iam.identity import Identities, Principal
from localaws.iam.policies import IamRecords
from localaws.records import ACCOUNT_ID

_HOUR = 3600


class IdentityGap:
    """Answers GetCallerIdentity and AssumeRole; learns the keys of users."""

    def __init__(self, identities: Identities, iam: IamRecords, region: str) -> None:
        self._identities = identities
        self._region = region
        self._iam = iam
        self.handlers: Mapping[Operation, Handler] = {
            ("sts", "AssumeRole"): self._assume_role,
            ("sts", "GetCallerIdentity"): self._who,
        }
        self.observers: Mapping[Operation, Observer] = {
            ("iam", "CreateAccessKey"): self._key_made,
            ("iam", "DeleteAccessKey"): self._key_gone,
            ("iam", "UpdateAccessKey"): self._key_changed,
        }

    def _who(self, call: Call) -> Reply:
        arn = call.principal_arn
        user_id = f"AIDA{'LOCALAWS':A<17}"
        if ":assumed-role/" in arn:
            _, name, session = arn.split("/", 2)
            role = self._iam.role(name)
            user_id = f"{role.id if role else 'AROALOCALAWS'}:{session}"
        # By this Terraform tells in which partition it is. All else here is in `aws`: in a region
        # of another partition things can be planned, not made.
        arn = arn.replace("arn:aws:", f"arn:{partition_of(self._region)}:", 1)
        members = {"UserId": user_id, "Account": ACCOUNT_ID, "Arn": arn}
        return wire.result(call, members)

    def _assume_role(self, call: Call) -> Reply:
        params = call.params
        role = self._iam.role(str(params.get("RoleArn")))
        if role is None:
            # AWS does not tell whether a role exists.
            message = (
                f"User: {call.principal_arn} is not authorized to perform: sts:AssumeRole on "
                f"resource: {params.get('RoleArn')}"
            )
            raise AwsError("AccessDenied", message, 403)
        session, seconds = params["RoleSessionName"], int(params.get("DurationSeconds") or _HOUR)
        keys = self._identities.add_session(
            role.name, session, seconds, session_policy=params.get("Policy")
        )
        members: dict[str, Any] = {
            "AssumedRoleUser": {
                "AssumedRoleId": f"{role.id}:{session}",
                "Arn": f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role.name}/{session}",
            },
            "Credentials": {
                "AccessKeyId": keys.access_key_id,
                "SecretAccessKey": keys.secret_access_key,
                "SessionToken": keys.session_token,
                "Expiration": time.strftime(
                    "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds)
                ),
            },
        }
        return wire.result(call, members)

    def _key_made(self, call: Call, reply: Reply) -> Reply:
        made = wire.read_result(call, reply)["AccessKey"]
        arn = f"arn:aws:iam::{ACCOUNT_ID}:user/{made['UserName']}"
        principal = Principal(arn=arn, secret_access_key=made["SecretAccessKey"])
        self._identities.add(made["AccessKeyId"], principal)
        return reply

    def _key_gone(self, call: Call, reply: Reply) -> Reply:
        self._identities.remove(call.params["AccessKeyId"])
        return reply

    def _key_changed(self, call: Call, reply: Reply) -> Reply:
        active = call.params.get("Status") == "Active"
        self._identities.enable(call.params["AccessKeyId"], enabled=active)
        return reply


def partition_of(region: str) -> str:
    """The partition of a region: regions of GovCloud and China have their own."""
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for prefix, name in prefixes.items() if region.startswith(prefix)), "aws")
