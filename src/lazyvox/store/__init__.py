"""Byte sources for plain and compressed files, and atomic streaming writers."""

from lazyvox.store.files.paths import absolute_path
from lazyvox.store.files.source import ByteReader, ByteSource
from lazyvox.store.opening import open_source

__all__ = ["ByteReader", "ByteSource", "absolute_path", "open_source"]
