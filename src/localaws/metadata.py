"""Where programs find the credentials of their role: container credentials and IMDSv2."""

import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localaws.core import Credentials, Reply
from localaws.iam.identity import SESSION_SECONDS
from localaws.records import ACCOUNT_ID
from localaws.web import HttpRequest

_INSTANCE = re.compile(r"/_localaws/instances/([^/]+)/(latest/.+)")
_TOKEN_SECONDS = 6 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class _Session:
    role_arn: str
    session_name: str


class Metadata:
    """Answers `/_localaws/credentials`, `/_localaws/instances/ID/latest/...` and a health check."""

    def __init__(
        self,
        role_credentials: Callable[[str, str], Credentials],
        describe_instance: Callable[[str], dict[str, Any]],
        status: Callable[[], dict[str, Any]],
        region: str,
    ) -> None:
        self._role_credentials = role_credentials
        self._describe_instance = describe_instance
        self._status = status
        self._region = region
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._instance_roles: dict[str, str | None] = {}
        self._imds_tokens: dict[str, str] = {}
        self._issued: dict[_Session, tuple[float, dict[str, str]]] = {}

    def serve_credentials(self, url: str, role_arn: str, session_name: str) -> dict[str, str]:
        """See LocalAws.serve_credentials."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[token] = _Session(role_arn=role_arn, session_name=session_name)
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/_localaws/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def serve_instance(self, url: str, instance_id: str, role_arn: str | None) -> dict[str, str]:
        """See LocalAws.serve_instance_metadata."""
        with self._lock:
            self._instance_roles[instance_id] = role_arn
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{url}/_localaws/instances/{instance_id}/"}

    def answer(self, request: HttpRequest) -> Reply:
        """Answer one request."""
        if request.path == "/_localaws/status":
            return _json(self._status())
        if request.path == "/_localaws/credentials":
            return self._credentials_of_container(request)
        found = _INSTANCE.fullmatch(request.path)
        if found and found[1] in self._instance_roles:
            return self._instance(request, found[1], found[2])
        return _text("Not Found", 404)

    def _credentials_of_container(self, request: HttpRequest) -> Reply:
        session = self._sessions.get(request.headers.get("authorization", ""))
        if session is None:
            return _json({"code": "AccessDenied", "message": "Unknown authorization token."}, 401)
        return _json({"RoleArn": session.role_arn, **self._credentials(session)})

    def _credentials(self, session: _Session) -> dict[str, str]:
        with self._lock:
            expires, issued = self._issued.get(session, (0.0, {}))
            if expires < time.time() + 900:
                new = self._role_credentials(session.role_arn, session.session_name)
                expires = time.time() + SESSION_SECONDS
                issued = {
                    "AccessKeyId": new.access_key_id,
                    "SecretAccessKey": new.secret_access_key,
                    "Token": new.session_token,
                    "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)),
                }
                self._issued[session] = (expires, issued)
            return issued

    def _instance(self, request: HttpRequest, instance_id: str, path: str) -> Reply:
        if request.method == "PUT" and path == "latest/api/token":
            token = secrets.token_urlsafe(32)
            self._imds_tokens[token] = instance_id
            seconds = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            return _text(token, headers={"X-aws-ec2-metadata-token-ttl-seconds": seconds})
        if self._imds_tokens.get(request.headers.get("x-aws-ec2-metadata-token", "")) != (
            instance_id
        ):
            return _text("Unauthorized: IMDSv2 wants a session token.", 401)
        answer = self._instance_paths(instance_id).get(path.rstrip("/"))
        return _text("Not Found", 404) if answer is None else _text(answer)

    def _instance_paths(self, instance_id: str) -> dict[str, str]:
        instance = self._describe_instance(instance_id)
        zone = instance.get("Placement", {}).get("AvailabilityZone", f"{self._region}a")
        data = "latest/meta-data"
        paths = {
            f"{data}/ami-id": instance.get("ImageId", ""),
            f"{data}/hostname": instance.get("PrivateDnsName", ""),
            f"{data}/instance-id": instance_id,
            f"{data}/instance-life-cycle": instance.get("InstanceLifecycle", "on-demand"),
            f"{data}/instance-type": instance.get("InstanceType", ""),
            f"{data}/local-hostname": instance.get("PrivateDnsName", ""),
            f"{data}/local-ipv4": instance.get("PrivateIpAddress", ""),
            f"{data}/placement/availability-zone": zone,
            f"{data}/placement/region": self._region,
        }
        identity = {
            "accountId": ACCOUNT_ID,
            "architecture": instance.get("Architecture", "x86_64"),
            "availabilityZone": zone,
            "imageId": instance.get("ImageId"),
            "instanceId": instance_id,
            "instanceType": instance.get("InstanceType"),
            "privateIp": instance.get("PrivateIpAddress"),
            "region": self._region,
            "version": "2017-09-30",
        }
        paths["latest/dynamic/instance-identity/document"] = json.dumps(identity, indent=2)
        role_arn = self._instance_roles[instance_id]
        if role_arn:
            role = role_arn.rsplit("/", 1)[1]
            session = _Session(role_arn=role_arn, session_name=instance_id)
            keys = {"Code": "Success", "Type": "AWS-HMAC", **self._credentials(session)}
            paths[f"{data}/iam/security-credentials"] = role
            paths[f"{data}/iam/security-credentials/{role}"] = json.dumps(keys)
        return paths


def _json(members: dict[str, Any], status: int = 200) -> Reply:
    headers = {"Content-Type": "application/json"}
    return Reply(status=status, headers=headers, body=json.dumps(members).encode())


def _text(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(
        status=status, headers={"Content-Type": "text/plain", **(headers or {})}, body=text.encode()
    )
