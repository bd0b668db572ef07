"""Optional packages: the one way to say that one is missing."""

from importlib.util import find_spec

from lazyvox.errors import MissingDependencyError

__all__ = ["missing", "require"]


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
        If it is not there; see `missing`.

    Notes
    -----
    Imports nothing.

    Examples
    --------
    >>> require("numpy", "plot", "Arrays")
    """
    if find_spec(package) is None:
        raise missing(package, extra, what)


def missing(package: str, extra: str, what: str) -> MissingDependencyError:
    """Return the error for an optional package that is not installed.

    Parameters
    ----------
    package : str
        Its name for `pip`.
    extra : str
        The extra of lazyvox that it belongs to.
    what : str
        What needs it, in the plural.

    Returns
    -------
    MissingDependencyError
        The message names the package and the command that installs it.

    Examples
    --------
    >>> print(missing("pandas", "table", "Tables"))
    Tables need the package pandas (lazyvox's extra `table`). Run `pip install pandas`.
    """
    msg = f"{what} need the package {package} (lazyvox's extra `{extra}`)."
    return MissingDependencyError(f"{msg} Run `pip install {package}`.")
