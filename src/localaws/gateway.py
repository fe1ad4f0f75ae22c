"""Takes each request to whoever answers it: a part of the local AWS, a gap, or moto's records.

Besides signed calls there are
- `/_localaws/...`: the credentials and instance metadata services (metadata.py);
- `/lambda-url/<function>/...` or `/lambda-url/<function>:<alias>/...`: function URLs, handed to
  the handler of ("lambda", "InvokeFunctionUrl") with the parameters FunctionName, Qualifier,
  Method, Path and Query;
- `/execute-api/<api>/...`: HTTP APIs, handed to the handler of ("execute-api", "Invoke") with the
  parameters ApiId, Method, Path and Query.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable

from localaws import signature, wire
from localaws.core import AwsError, Call, Handler, Observer, Operation, Reply
from localaws.iam.identity import Identities, Principal
from localaws.records import Records
from localaws.web import HttpRequest

log = logging.getLogger("localaws.calls")
ANONYMOUS = Principal(arn="anonymous", secret_access_key="")
Authorise = Callable[[Call, Principal], None]
Review = Callable[[Call, Principal, Reply], None]
_HTTP_API = re.compile(r"/execute-api/([a-z0-9]+)(/.*)?")
_FUNCTION_URL = re.compile(r"/lambda-url/([A-Za-z0-9_-]+)(?::([A-Za-z0-9_$-]+))?(/.*)?")


class Gateway:
    """Answers every request."""

    def __init__(self, records: Records, identities: Identities) -> None:
        self.handlers: dict[Operation, Handler] = {}
        self.observers: dict[Operation, list[Observer]] = {}
        self.authorise: Authorise = lambda _call, _principal: None
        self.review: Review = lambda _call, _principal, _reply: None
        self.metadata: Callable[[HttpRequest], Reply] = lambda _: Reply(status=404)
        self._records = records
        self._identities = identities

    def add(
        self,
        handlers: Iterable[tuple[Operation, Handler]],
        observers: Iterable[tuple[Operation, Observer]],
    ) -> None:
        """Let a part answer calls; the last to add a handler wins, observers follow in order."""
        self.handlers.update(handlers)
        for operation, observer in observers:
            self.observers.setdefault(operation, []).append(observer)

    def answer(self, request: HttpRequest) -> Reply:
        """Answer one request, come what may."""
        if request.path.startswith("/_localaws/"):
            return self.metadata(request)
        started = time.monotonic()
        request_id = str(uuid.uuid4())
        signed = signature.read_signature(request.headers, request.query)
        service = "s3"
        name = f"{request.method} {request.path}"
        who = "anonymous"
        try:
            service = wire.service_of(signed.signing_name, request) if signed else "s3"
            principal = (
                self._identities.find(signed.access_key_id, signed.session_token)
                if signed
                else ANONYMOUS
            )
            who = principal.arn.rpartition(":")[2]
            call = self._understand(service, request, principal, request_id)
            name = f"{call.service}:{call.operation}"
            reply = self._dispatch(call, request, principal)
        except AwsError as problem:
            log.info("%s %s: %s: %s", who, name, problem.code, problem.message)
            return wire.error(service, request, problem, request_id)
        milliseconds = round(1000 * (time.monotonic() - started))
        log.info("%s %s: %s in %s ms", who, name, reply.status, milliseconds)
        return reply

    def _understand(
        self, service: str, request: HttpRequest, principal: Principal, request_id: str
    ) -> Call:
        url = _FUNCTION_URL.fullmatch(request.path)
        api = _HTTP_API.fullmatch(request.path)
        if api:
            operation, service = "Invoke", "execute-api"
            params = {
                "ApiId": api[1],
                "Method": request.method,
                "Path": api[2] or "/",
                "Query": request.query,
            }
        elif url:
            operation = "InvokeFunctionUrl"
            service = "lambda"
            params = {
                "FunctionName": url[1],
                "Qualifier": url[2],
                "Method": request.method,
                "Path": url[3] or "/",
                "Query": request.query,
            }
        else:
            if principal is ANONYMOUS and not _may_be_unsigned(request):
                message = "Request is missing Authentication Token"
                raise AwsError("MissingAuthenticationToken", message, 403)
            operation, params = wire.understand(service, request)
        return Call(
            service=service,
            operation=operation,
            params=params,
            headers=request.headers,
            body=request.body,
            principal_arn=principal.arn,
            request_id=request_id,
        )

    def _dispatch(self, call: Call, request: HttpRequest, principal: Principal) -> Reply:
        operation = (call.service, call.operation)
        try:
            if principal.direct:
                return self._ask_records(call, request)
            self.authorise(call, principal)
            handler = self.handlers.get(operation)
            reply = handler(call) if handler else self._ask_records(call, request)
            if reply.status < 300:
                for observer in self.observers.get(operation, ()):
                    reply = observer(call, reply)
        except AwsError:
            raise
        except Exception as error:
            log.exception("%s:%s failed", *operation)
            message = f"localaws failed at {call.service}:{call.operation}: {error!r}"
            raise AwsError("InternalFailure", message, 501) from error
        self.review(call, principal, reply)
        return reply

    def _ask_records(self, call: Call, request: HttpRequest) -> Reply:
        try:
            reply = self._records.answer(request)
        except NotImplementedError:
            raise _not_implemented(call) from None
        html = reply.headers.get("Content-Type", "").startswith("text/html")
        if reply.status == 404 and html and b"<title>404 Not Found" in reply.body:
            raise _not_implemented(call)  # moto has no route for it
        return reply


def _not_implemented(call: Call) -> AwsError:
    message = f"localaws does not implement {call.service}:{call.operation}"
    return AwsError("NotImplementedException", message, 501)


def _may_be_unsigned(request: HttpRequest) -> bool:
    # Anonymous requests exist for objects of public buckets, whose paths are in S3's style.
    form = "form-urlencoded" in request.headers.get("content-type", "")
    return "x-amz-target" not in request.headers and not form and request.path != "/"
