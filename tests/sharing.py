"""Which tests one worker of pytest-xdist keeps, because they share something dear.

xdist's own `--dist loadgroup` reads this from marks that pytest 9.2 does not carry over.
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/e2e/test_demo.py": "demo and roles",
    "tests/e2e/test_roles.py": "demo and roles",
    "tests/e2e/": "service",
    "tests/training/test_head_on_digits.py": "digits",
    "tests/training/test_serving_agrees.py::test_digits": "digits",
}
"""Beginnings of test names, the first that fits counts; others go wherever there is room."""


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # xdist says no types
    """Gives each worker what belongs together."""

    def _split_scope(self, nodeid: str) -> str:
        """The group of a test; by default it is one of its own."""
        return next((g for start, g in TOGETHER.items() if nodeid.startswith(start)), nodeid)
