"""Deciding before reading: indices, byte ranges, blocks, memory. Pure."""

from lazyvox.planning.plan import Plan

__all__ = ["Plan"]
