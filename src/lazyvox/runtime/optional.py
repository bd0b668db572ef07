"""Optional packages: the one way to say that one is missing."""

from importlib.util import find_spec

from lazyvox.errors import MissingDependencyError

__all__ = ["require"]


def require(package: str, extra: str, what: str) -> None:
    """Raise `MissingDependencyError` where an optional package is not installed.

    Parameters
    ----------
    package : str
        Its name for `import`.
    extra : str
        The extra of lazyvox that installs it.
    what : str
        What needs it, in the plural: "Plots", say.

    Raises
    ------
    MissingDependencyError
        If it is not there. The message has the command that installs it.

    Notes
    -----
    Imports nothing.

    Examples
    --------
    >>> require("numpy", "plot", "Arrays")
    """
    if find_spec(package) is None:
        msg = f"{what} need the package {package}. Run `pip install 'lazyvox[{extra}]'`."
        raise MissingDependencyError(msg)
