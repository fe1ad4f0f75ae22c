"""Decides about each call, with AWS's words when the answer is no."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from localaws.core import AwsError, Call, Reply
from localaws.iam.decisions import Decisions
from localaws.iam.evaluator import Document, Policies, Question, refusal
from localaws.iam.identity import Principal
from localaws.iam.interfaces import interface_calls
from localaws.iam.known import KnownRecords
from localaws.iam.matching import as_list
from localaws.iam.needs import Need, Values, needs_of, tag_context
from localaws.iam.needs_storage import list_need
from localaws.iam.passing import PassedRole, passed_roles
from localaws.iam.policies import IamRecords, RoleRecord
from localaws.records import ACCOUNT_ID

log = logging.getLogger("localaws.calls")
ResourcePolicies = Callable[[str], Document | None]
"""The policy of a bucket or a function, by its ARN."""
_DENIED = {
    "cloudwatch": ("AccessDenied", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "iam": ("AccessDenied", 403),
    "lambda": ("AccessDeniedException", 403),
    "s3": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "sts": ("AccessDenied", 403),
}


ONE_MAPPING = tuple(f"{verb}EventSourceMapping" for verb in ("Delete", "Get", "Update"))
"""Calls that policies narrow down by the function of the mapping that they name."""


class Authority:
    """Checks identity, boundary, session and resource policies, passed roles and their trust."""

    def __init__(self, region: str, decisions: Decisions) -> None:
        self.iam = IamRecords()
        self._decisions = decisions
        self.resource_policies: dict[str, ResourcePolicies] = {}
        """By service of the ARN: s3, sqs, lambda."""
        self.function_of_mapping: Callable[[str], str] = lambda _: ""
        self.function_url_auth_type: Callable[[str, str | None], str] = lambda *_: "AWS_IAM"
        self._known = KnownRecords(region)

    def check(self, call: Call, principal: Principal) -> None:
        """Let a call pass.

        Raises:
            AwsError: the caller may not do it, or the service cannot take a role of the call.
        """
        roles = passed_roles(call, self._known)
        if not principal.admin:
            self._check_needs(call, principal)
            for passed in roles:
                self._check_pass(call, principal, passed)
        for passed in roles:
            self._check_taken(call, passed)
            if passed.checked:
                self._check_interfaces(call, passed)

    def review(self, call: Call, principal: Principal, reply: Reply) -> None:
        """Keep from the caller that an object does not exist, unless it may list the bucket.

        Raises:
            AwsError: it may not.
        """
        missing = reply.status == 404 and call.operation in ("GetObject", "HeadObject")
        if missing and call.service == "s3" and not principal.admin:
            need = list_need(str(call.params["Bucket"]), str(call.params["Key"]))
            self._ask(call, principal, need)

    def ask(self, call: Call, principal: Principal, action: str, resource: str) -> None:
        """Let a caller do one thing that does not follow from the call alone.

        Raises:
            AwsError: it may not.
        """
        if not principal.admin:
            self._ask(call, principal, Need(action=action, resource=resource))

    def service_may(self, service: str, action: str, resource: str, source_arn: str) -> bool:
        """Whether a resource's own policy lets a service in, on behalf of a source."""
        find = self.resource_policies.get(resource.split(":")[2])
        question = Question(
            principal_arn=service,
            account_id=ACCOUNT_ID,
            action=action,
            resource=resource,
            context=_service_context(source_arn),
        )
        return refusal(question, Policies(resource=find(resource) if find else None)) is None

    def _check_needs(self, call: Call, principal: Principal) -> None:
        if call.operation == "AssumeRole" and call.service == "sts":
            self._check_assume(call, principal)
            return
        for need in needs_of(call, self._known):
            if call.operation in ONE_MAPPING:
                function_arn = self.function_of_mapping(call.params["UUID"])
                need.context["lambda:functionarn"] = [function_arn]
            if call.operation == "InvokeFunctionUrl":
                auth_type = self.function_url_auth_type(
                    call.params["FunctionName"], call.params["Qualifier"]
                )
                need.context["lambda:functionurlauthtype"] = [auth_type]
                if auth_type == "AWS_IAM" and principal.arn == "anonymous":
                    raise AwsError("AccessDeniedException", "Forbidden", 403)
            self._ask(call, principal, need)

    def _check_assume(self, call: Call, principal: Principal) -> None:
        role = self.iam.role(str(call.params.get("RoleArn")))
        for need in needs_of(call, self._known):
            self._ask(call, principal, need, role.trust if role else None, trust=True)

    def _check_pass(self, call: Call, principal: Principal, passed: PassedRole) -> None:
        role = self._role(passed)
        resource = role.arn if role else str(passed.role or passed.profile)
        context = {
            "iam:passedtoservice": [passed.service],
            "iam:associatedresourcearn": [passed.resource_arn],
        }
        need = Need(action="iam:PassRole", resource=resource, context=context)
        self._ask(call, principal, need)

    def _check_taken(self, call: Call, passed: PassedRole) -> None:
        """Whether the service may take the role, on behalf of the resource."""
        if not passed.checked:
            return
        role = self._role(passed)
        if role is not None and self.may_take(role, passed.service, passed.resource_arn):
            return
        if call.service == "lambda":
            message = "The role defined for the function cannot be assumed by Lambda."
            raise AwsError("InvalidParameterValueException", message, 400)
        raise AwsError(
            "ValidationException",
            f"Could not assume role {passed.role}. Please ensure that the role exists and allows "
            f"principal '{passed.service}' to assume the role.",
            400,
        )

    def _check_interfaces(self, call: Call, passed: PassedRole) -> None:
        """Whether a service may make network interfaces with the role."""
        for operation, params in interface_calls(call):
            if self.may(str(passed.role), call.service, "ec2", operation, params):
                continue
            code, message = "ValidationException", f"The role {passed.role} may not {operation}."
            if call.service == "lambda":
                code = "InvalidParameterValueException"
                message = (
                    "The provided execution role does not have permissions to call "
                    f"{operation} on EC2"
                )
            raise AwsError(code, message, 400)

    def may(
        self,
        role_arn: str,
        session_name: str,
        service: str,
        operation: str,
        params: Mapping[str, Any],
    ) -> bool:
        """See LocalAws."""
        role = role_arn.rsplit("/", 1)[1]
        arn = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/{session_name}"
        call = Call(
            service=service,
            operation=operation,
            params=dict(params),
            headers={},
            body=b"",
            principal_arn=arn,
            request_id="",
        )
        try:
            self.check(call, Principal(arn=arn, secret_access_key=""))
        except AwsError as problem:
            log.info("%s %s:%s for itself: %s", role, service, operation, problem.message)
            return False
        return True

    def may_take(self, role: RoleRecord, service: str, source_arn: str) -> bool:
        """Whether the role's trust policy lets a service in."""
        context = _service_context("" if service == "ec2.amazonaws.com" else source_arn)
        question = Question(
            principal_arn=service,
            account_id=ACCOUNT_ID,
            action="sts:AssumeRole",
            resource=role.arn,
            context=context,
        )
        return refusal(question, Policies(resource=role.trust)) is None

    def _role(self, passed: PassedRole) -> RoleRecord | None:
        if passed.profile:
            return self.iam.role_of_profile(passed.profile)
        return self.iam.role(str(passed.role))

    def _ask(
        self,
        call: Call,
        principal: Principal,
        need: Need,
        resource_policy: Document | None = None,
        *,
        trust: bool = False,
    ) -> None:
        question = Question(
            principal_arn=principal.arn,
            account_id=ACCOUNT_ID,
            action=need.action,
            resource=need.resource,
            context={**self._global_context(call, principal), **need.context},
        )
        known = principal.arn != "anonymous"
        find = self.resource_policies.get(
            need.resource.split(":")[2] if ":" in need.resource else ""
        )
        policies = Policies(
            identity=self.iam.identity_policies(principal) if known else (),
            boundary=self.iam.boundary(principal) if known else None,
            session=_session_policy(principal),
            resource=resource_policy or (find(need.resource) if find else None),
        )
        why = refusal(question, policies)
        if why is None and trust:
            why = _distrust(question, resource_policy)
        if principal.role_name:
            self._decisions.write(question, why)
        if why is not None:
            raise _denied(call, question, why)

    def _global_context(self, call: Call, principal: Principal) -> Values:
        role = self.iam.role(principal.role_name) if principal.role_name else None
        now = time.time()
        context: Values = {
            "aws:currenttime": [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))],
            "aws:epochtime": [str(int(now))],
            "aws:requestedregion": [self._known.region],
            "aws:resourceaccount": [ACCOUNT_ID],
            # The loopback interface is as private as TLS.
            "aws:securetransport": ["true"],
            "aws:sourceip": ["127.0.0.1"],
            "aws:useragent": [call.headers.get("user-agent", "")],
            "aws:viaawsservice": ["false"],
        }
        if principal.arn == "anonymous":
            return context | {"aws:principaltype": ["Anonymous"]}
        context |= {
            "aws:principalaccount": [ACCOUNT_ID],
            "aws:principalarn": [role.arn if role else principal.arn],
            "aws:principalisawsservice": ["false"],
            "aws:principaltype": ["AssumedRole" if principal.role_name else "User"],
        }
        if role:
            session = principal.arn.rsplit("/", 1)[1]
            context["aws:userid"] = [f"{role.id}:{session}"]
            context |= tag_context("aws:principaltag/", role.tags)
        elif principal.user_name:
            context["aws:username"] = [principal.user_name]
        return context


def _service_context(source_arn: str) -> Values:
    context: Values = {"aws:securetransport": ["true"], "aws:principalisawsservice": ["true"]}
    if source_arn:
        context |= {"aws:sourcearn": [source_arn], "aws:sourceaccount": [ACCOUNT_ID]}
    return context


def _session_policy(principal: Principal) -> list[Document] | None:
    return None if principal.session_policy is None else [json.loads(principal.session_policy)]


def _distrust(question: Question, trust: Document | None) -> str | None:
    """A role that does not trust the caller, or its account, cannot be assumed at all."""
    statements = [
        {**statement, "Principal": "*"}
        for statement in as_list((trust or {}).get("Statement"))
        if statement.get("Effect") == "Allow" and _names_account(statement, question.account_id)
    ]
    accounts = {"Statement": statements}
    direct = refusal(question, Policies(resource=trust)) is None
    if direct or refusal(question, Policies(resource=accounts)) is None:
        return None
    return "because no resource-based policy allows the sts:AssumeRole action"


def _names_account(statement: Mapping[str, Any], account: str) -> bool:
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping):
        return False
    names = as_list(principal.get("AWS"))
    return account in names or f"arn:aws:iam::{account}:root" in names


def _denied(call: Call, question: Question, why: str) -> AwsError:
    code, status = _DENIED.get(call.service, ("AccessDeniedException", 400))
    resource = f'"{question.resource}"' if call.service == "s3" else question.resource
    message = (
        f"User: {question.principal_arn} is not authorized to perform: {question.action} "
        f"on resource: {resource} {why}"
    )
    if question.principal_arn == "anonymous":
        message = "Access Denied" if call.service == "s3" else "Forbidden"
    if call.service == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
    return AwsError(code, message, status)
