"""Confounds from fMRIPrep's tables, or from any other table with named columns."""

from lazyvox.confounds.displacement import framewise_displacement
from lazyvox.confounds.load import load_confounds
from lazyvox.signal.confounds import Confounds

__all__ = ["Confounds", "framewise_displacement", "load_confounds"]
