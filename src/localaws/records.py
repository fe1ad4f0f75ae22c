"""moto, which keeps the records: every service that nobody here implements is answered by it."""

import io
import os
import urllib.parse
from collections.abc import Callable
from typing import Any

from localaws.core import Reply
from localaws.web import HttpRequest

ACCOUNT_ID = "123456789012"


class Records:
    """moto's own WSGI application, called without a network."""

    def __init__(self, region: str, plant: Callable[[str, str], None]) -> None:
        """Start with empty records.

        Args:
            region: the one that is prepared.
            plant: given a service and the region before the first call of that service.
        """
        os.environ.update(
            AWS_DEFAULT_REGION=region,
            MOTO_ACCOUNT_ID=ACCOUNT_ID,
            MOTO_IAM_LOAD_MANAGED_POLICIES="true",
            MOTO_DISABLE_GLOBAL_CORS="true",
        )
        # moto reads those when it is imported, and importing it takes a third of a second.
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        def create(service: Any) -> Any:
            application = create_backend_app(service)
            plant(service, region)
            return application

        self._application = DomainDispatcherApplication(create)

    def answer(self, request: HttpRequest) -> Reply:
        """Pass one request on.

        Raises:
            NotImplementedError: moto does not know the call.
        """
        started: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            started.update(status=int(status.split()[0]), headers=dict(headers))

        chunks = self._application(_environ(request), start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        return Reply(status=started["status"], headers=started["headers"], body=body)


def _environ(request: HttpRequest) -> dict[str, Any]:
    host, _, port = request.headers.get("host", "127.0.0.1:80").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": urllib.parse.unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            environ[f"HTTP_{key}"] = value
    return environ
