"""What starting the function costs: modules, not milliseconds, so that the test is no race."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.events.samples import picture
from tests.inference.invoke_endpoint import endpoint_server

SOURCES = Path(__file__).parents[2] / "src" / "lambda"
MODULES_OF_START = 220
"""201 with Python 3.11 beside the interpreter's own, and 275 when a client of botocore is made."""
MODULES_OF_FIRST_REQUEST = 12
"""More than after the start: what the first connection needs."""
GOOD = b'{"model_version": "0123456789ab", "predictions": []}'
SCRIPT = """
import json, sys
before = set(sys.modules)  # some systems' Python begins with modules of its own
sys.path.insert(0, sys.argv[1])
import handler
class Context:
    aws_request_id = "1"
    def get_remaining_time_in_millis(self):
        return 30000
started = sorted(set(sys.modules) - before)
reply = handler.handle({"image_base64": sys.argv[2]}, Context())
asked = sorted(set(sys.modules) - before)
print(json.dumps([started, asked, reply["statusCode"]]))
"""


@pytest.fixture(scope="module")
def modules() -> tuple[list[str], list[str]]:
    """Names of all modules after the start, and after the first request."""
    image = base64.b64encode(picture("rgb.jpg")).decode()
    with endpoint_server(lambda _: (200, {}, GOOD)) as endpoint:
        variables: dict[str, Any] = {
            "AWS_ENDPOINT_URL": endpoint.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "ENDPOINT_NAME": "kennel-test",
            "ENDPOINT_TIMEOUT_SECONDS": "20",
            "PATH": os.environ["PATH"],
        }
        ran = subprocess.run(
            [sys.executable, "-I", "-c", SCRIPT, str(SOURCES), image],
            capture_output=True,
            text=True,
            check=True,
            env=variables,
        )
    started, asked, status = json.loads(ran.stdout.splitlines()[-1])
    assert status == 200
    return started, asked


def test_starting_imports_few_modules(modules: tuple[list[str], list[str]]) -> None:
    started, _ = modules

    assert len(started) <= MODULES_OF_START, "\n".join(started)


def test_the_first_request_finds_all_but_a_few_modules_there(
    modules: tuple[list[str], list[str]],
) -> None:
    started, asked = modules

    assert len(set(asked) - set(started)) <= MODULES_OF_FIRST_REQUEST, set(asked) - set(started)


def test_nothing_reads_service_models_and_no_client_is_made(
    modules: tuple[list[str], list[str]],
) -> None:
    _, asked = modules

    heavy = {"boto3", "botocore.client", "botocore.loaders", "botocore.session", "PIL", "batch"}
    assert heavy & set(asked) == set()


def test_only_libraries_that_lambda_has_are_imported(
    modules: tuple[list[str], list[str]],
) -> None:
    _, asked = modules
    own = {path.stem for path in SOURCES.glob("*.py")}

    tops = {name.partition(".")[0] for name in asked} - set(sys.stdlib_module_names) - own
    assert {top for top in tops if not top.startswith("_")} <= {
        "botocore", "certifi", "dateutil", "jmespath", "six", "urllib3",
    }  # fmt: skip
