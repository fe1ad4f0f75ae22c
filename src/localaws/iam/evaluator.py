"""AWS's rules: a deny wins, an allow is needed, boundaries and sessions only take away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localaws.iam.conditions import conditions_hold
from localaws.iam.matching import Context, as_list, fill, like, like_any

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """May this principal do this action to this resource?"""

    principal_arn: str
    """A user, an assumed role (`...:assumed-role/ROLE/SESSION`), a service, or `anonymous`."""
    account_id: str
    action: str
    """sagemaker:InvokeEndpoint and the like."""
    resource: str
    """An ARN, or `*` where AWS has none."""
    context: Context


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """Everything that has a say; None is no such policy, an empty list one that allows nothing."""

    identity: Sequence[Document] = ()
    boundary: Sequence[Document] | None = None
    session: Sequence[Document] | None = None
    resource: Document | None = None


def refusal(question: Question, policies: Policies) -> str | None:
    """Why AWS refuses, as it words it; None when it allows."""
    kinds: list[tuple[str, Sequence[Document]]] = [
        ("an identity-based policy", policies.identity),
        ("a permissions boundary", policies.boundary or ()),
        ("a session policy", policies.session or ()),
    ]
    for name, documents in kinds:
        if _any(documents, "Deny", question):
            return f"with an explicit deny in {name}"
    if _resource_effect(policies.resource, "Deny", question) != "no":
        return "with an explicit deny in a resource-based policy"
    granted = _resource_effect(policies.resource, "Allow", question)
    if granted == "directly":
        return None
    action = question.action
    if granted != "role" and not _any(policies.identity, "Allow", question):
        return f"because no identity-based policy allows the {action} action"
    if policies.boundary is not None and not _any(policies.boundary, "Allow", question):
        return f"because no permissions boundary allows the {action} action"
    if policies.session is not None and not _any(policies.session, "Allow", question):
        return f"because no session policy allows the {action} action"
    return None


def _any(documents: Sequence[Document], effect: str, question: Question) -> bool:
    return any(
        statement.get("Effect") == effect and _covers(statement, question)
        for document in documents
        for statement in as_list(document.get("Statement"))
    )


def _resource_effect(document: Document | None, effect: str, question: Question) -> str:
    """How a resource's own policy names the principal: directly, by its role, or no."""
    found = "no"
    for statement in as_list((document or {}).get("Statement")):
        if statement.get("Effect") != effect or not _covers(statement, question):
            continue
        named = _named(statement, question, effect)
        if named == "directly":
            return named
        if named != "no":
            found = named
    return found


def _covers(statement: Document, question: Question) -> bool:
    context = question.context
    if "Action" in statement:
        acts = like_any(as_list(statement["Action"]), question.action, ignore_case=True)
    else:
        acts = not like_any(as_list(statement.get("NotAction")), question.action, ignore_case=True)
    if not acts:
        return False
    if "Resource" in statement:
        concerns = _concerns(statement["Resource"], question)
    elif "NotResource" in statement:
        concerns = not _concerns(statement["NotResource"], question)
    else:
        concerns = True  # a trust policy is about its own role
    return concerns and conditions_hold(statement.get("Condition") or {}, context)


def _concerns(patterns: Any, question: Question) -> bool:
    filled = (fill(str(pattern), question.context) for pattern in as_list(patterns))
    return any(like(pattern, question.resource) for pattern in filled if pattern is not None)


def _named(statement: Document, question: Question, effect: str) -> str:
    if "NotPrincipal" in statement:
        return "no" if _principal(statement["NotPrincipal"], question) != "no" else "directly"
    named = _principal(statement.get("Principal"), question)
    # Naming the account hands the decision to its administrators: a deny reaches everybody in
    # it, an allow still needs an identity-based policy.
    if named == "account":
        return "directly" if effect == "Deny" else "no"
    return named


def _principal(principal: Any, question: Question) -> str:
    if principal == "*":
        return "directly"
    if not isinstance(principal, Mapping):
        return "no"
    arn, account = question.principal_arn, question.account_id
    if arn in as_list(principal.get("Service")):
        return "directly"
    found = "no"
    for name in as_list(principal.get("AWS")):
        if name in ("*", arn):
            return "directly"
        if name == _role_arn(arn, account, name):
            found = "role"
        elif name in (account, f"arn:aws:iam::{account}:root") and arn != "anonymous":
            found = found if found == "role" else "account"
    return found


def _role_arn(arn: str, account: str, name: str) -> str | None:
    """The ARN of an assumed role's role; its path is only known from the policy."""
    if ":assumed-role/" not in arn:
        return None
    role = arn.split("/")[1]
    matches = name.startswith(f"arn:aws:iam::{account}:role/") and name.endswith(f"/{role}")
    return name if matches else None
