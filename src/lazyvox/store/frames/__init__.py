"""Frames: bzip2 and zstd files, and their seek tables."""
