"""Entry point of the command line: the program `lazyvox`, and `python -m lazyvox`."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line, and return its exit code.

    Returns
    -------
    int
        See `lazyvox.cli.main.main`; 130 where Ctrl-C comes while the program is imported.
    """
    try:
        from lazyvox.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("lazyvox: error: interrupted; no unfinished output is left\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
