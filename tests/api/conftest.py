"""Fixtures of tests that run documents."""

import pytest


@pytest.fixture(scope="session")
def strict() -> list[str]:
    """Options of Python that make warnings errors, as in the tests themselves.

    The page of the viewer needs npm to be built, and `make test` does not.
    """
    return ["-W", "error", "-W", "ignore:the page of the viewer is not built"]
