"""Fixtures of the tests of file formats."""

import pytest


@pytest.fixture
def write(tmp_path):
    """Write a file of this content, and return its path."""

    def _write(content, name="t.nii"):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return _write
