"""Seed maps: the relation of every voxel to the signals of seeds, in one pass."""

from lazyvox.seedmaps.api import seed_map

__all__ = ["seed_map"]
