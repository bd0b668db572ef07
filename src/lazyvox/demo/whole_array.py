"""Baseline of the demo: load the whole run, then index it with each mask.

A program of its own, so that it imports what it needs and nothing of lazyvox:
``python whole_array.py RUN MASK... OUT.npy`` writes the mean of each mask over time, as an array
of shape (n_volumes, n_masks).
"""

import sys
from typing import Any

import nibabel
import numpy as np


def main(run: str, *names: str) -> None:
    """Write the mean of each mask for each volume."""
    *masks, out = names
    load: Any = nibabel.load
    values = load(run).get_fdata()
    inside = [np.asarray(load(mask).dataobj) > 0 for mask in masks]
    np.save(out, np.stack([values[mask].mean(axis=0) for mask in inside], axis=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
