"""Cleaning of signals: trends, frequencies, confounds, and scaling."""

from lazyvox.signal.cleaner import Cleaner
from lazyvox.signal.cleaning import clean, prepare_cleaning
from lazyvox.signal.cosine import create_cosine_drift
from lazyvox.signal.filtering import butterworth
from lazyvox.signal.standardize import standardize_signal
from lazyvox.signal.variance import high_variance_confounds

__all__ = [
    "Cleaner",
    "butterworth",
    "clean",
    "create_cosine_drift",
    "high_variance_confounds",
    "prepare_cleaning",
    "standardize_signal",
]
