"""Affines and voxel grids. Pure: no file, no thread, no environment."""
