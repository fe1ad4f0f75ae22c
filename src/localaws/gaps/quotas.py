"""Service Quotas: moto knows those of VPCs only."""

from collections.abc import Mapping
from typing import Any

from localaws import wire
from localaws.core import AwsError, Call, Handler, LocalAws, Operation, Reply
from localaws.quotas import QUOTAS, Quota

_PAGE = 100


class ServiceQuotas:
    """Lists and answers the quotas of quotas.py; none can be raised here."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self.handlers: Mapping[Operation, Handler] = {
            ("service-quotas", "GetAWSDefaultServiceQuota"): self._get,
            ("service-quotas", "GetServiceQuota"): self._get,
            ("service-quotas", "ListAWSDefaultServiceQuotas"): self._list,
            ("service-quotas", "ListServiceQuotas"): self._list,
        }

    def _get(self, call: Call) -> Reply:
        wanted = call.params["ServiceCode"], call.params["QuotaCode"]
        for quota in QUOTAS:
            if (quota.service, quota.code) == wanted:
                return wire.result(call, {"Quota": self._described(quota)})
        raise AwsError("NoSuchResourceException", f"There is no quota {wanted[1]}.")

    def _list(self, call: Call) -> Reply:
        found = [quota for quota in QUOTAS if quota.service == call.params["ServiceCode"]]
        if not found:
            raise AwsError("NoSuchResourceException", "The service code is not known here.")
        first = int(call.params.get("NextToken") or 0)
        until = first + min(int(call.params.get("MaxResults") or _PAGE), _PAGE)
        members: dict[str, Any] = {"Quotas": [self._described(q) for q in found[first:until]]}
        if until < len(found):
            members["NextToken"] = str(until)
        return wire.result(call, members)

    def _described(self, quota: Quota) -> dict[str, Any]:
        where = f"{self._aws.region}:{self._aws.account_id}"
        return {
            "Adjustable": True,
            "GlobalQuota": False,
            "QuotaArn": f"arn:aws:servicequotas:{where}:{quota.service}/{quota.code}",
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "ServiceCode": quota.service,
            "Unit": "None",
            "Value": quota.value,
        }
