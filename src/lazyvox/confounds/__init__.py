"""Confounds from fMRIPrep's tables, or from any other table with named columns."""

from lazyvox.confounds.load import Confounds, load_confounds

__all__ = ["Confounds", "load_confounds"]
