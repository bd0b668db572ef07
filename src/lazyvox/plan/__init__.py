"""Deciding before reading: indices, byte ranges, blocks, memory. Pure."""
