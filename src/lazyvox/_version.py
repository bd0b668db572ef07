"""The version of lazyvox. The build, the package and the command line all read it here."""

__version__ = "0.1.0"

__all__ = ["__version__"]
