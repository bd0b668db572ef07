"""`python -m lazyvox`: the command line."""

import sys

from lazyvox.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
