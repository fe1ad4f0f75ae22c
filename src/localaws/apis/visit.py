"""One request to an HTTP API: what its access log can tell of it."""

import re
import time
from dataclasses import dataclass, field

from localaws.core import Call, Reply

_VARIABLE = re.compile(r"\$context\.([A-Za-z.]+)")


@dataclass(kw_only=True, slots=True)
class Visit:
    """A request on its way to its answer."""

    call: Call
    path: str
    """Below the stage."""
    stage: str
    route_key: str | None = None
    error: str | None = None
    """What API Gateway itself answered."""
    integration_error: str | None = None
    """What went wrong between API Gateway and the function."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def method(self) -> str:
        """POST and so on."""
        return str(self.call.params["Method"])

    @property
    def milliseconds(self) -> int:
        """How long it took until now."""
        return round(1000 * (time.monotonic() - self.begun))

    def line(self, wanted: str, reply: Reply) -> str:
        """The access log's line in the format that the stage wants; `-` for what is not known."""
        signed = self.call.principal_arn != "anonymous"
        known = {
            "apiId": self.call.params["ApiId"],
            "error.message": self.error,
            "httpMethod": self.method,
            "identity.sourceIp": "127.0.0.1",
            "identity.userAgent": self.call.headers.get("user-agent"),
            "identity.userArn": self.call.principal_arn if signed else None,
            "integration.error": self.integration_error,
            "integrationErrorMessage": self.integration_error,
            "path": self.path,
            "protocol": "HTTP/1.1",
            "requestId": self.call.request_id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "requestTimeEpoch": str(int(time.time() * 1000)),
            "responseLatency": str(self.milliseconds),
            "responseLength": str(len(reply.body)),
            "routeKey": self.route_key,
            "stage": self.stage,
            "status": str(reply.status),
        }
        return _VARIABLE.sub(lambda found: known.get(found[1]) or "-", wanted)
