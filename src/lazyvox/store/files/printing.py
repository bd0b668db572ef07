"""Paths in messages."""

__all__ = ["printable"]


def printable(path: str) -> str:
    """Return a path that can be printed and logged whatever bytes its name holds."""
    if path.isprintable() and not any("\ud800" <= letter <= "\udfff" for letter in path):
        return path
    return ascii(path)
