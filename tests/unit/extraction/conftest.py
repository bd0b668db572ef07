"""Fixtures of the tests of extraction."""

import pytest


@pytest.fixture
def folder(example_folder, monkeypatch):
    """Folder with the example images, which is the current one."""
    monkeypatch.chdir(example_folder)
    return example_folder
