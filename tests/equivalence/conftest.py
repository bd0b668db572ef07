"""Fixtures of the comparisons with other packages."""

import pytest


@pytest.fixture(scope="session")
def nilearn():
    """Return the package nilearn; tests are skipped where it is not installed."""
    return pytest.importorskip("nilearn", reason="nilearn is not installed")
