"""Deciding before reading: indices, byte ranges, blocks, memory. Pure."""

from lazyvox.plan.plan import Plan

__all__ = ["Plan"]
