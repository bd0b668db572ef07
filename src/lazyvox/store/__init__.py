"""Where bytes are: plain and compressed files, and atomic streaming writers."""

from lazyvox.store.opening import open_source
from lazyvox.store.paths import absolute_path
from lazyvox.store.source import ByteReader, ByteSource

__all__ = ["ByteReader", "ByteSource", "absolute_path", "open_source"]
