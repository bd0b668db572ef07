"""Baseline of the demo: load the whole run, then index it with each mask.

A program of its own, so that it imports what it needs and nothing of lazyvox:
``python whole_array.py asarray|get_fdata RUN MASK... OUT.npy`` writes the mean of each mask over
time, as an array of shape (n_volumes, n_masks). ``get_fdata`` gives float64; ``np.asarray`` of the
proxy gives values as they are stored, or scaled.
"""

import sys
from typing import Any

import nibabel
import numpy as np


def main(way: str, run: str, *names: str) -> None:
    """Write the mean of each mask for each volume."""
    *masks, out = names
    load: Any = nibabel.load
    img = load(run)
    values = img.get_fdata() if way == "get_fdata" else np.asarray(img.dataobj)
    inside = [np.asarray(load(mask).dataobj) > 0 for mask in masks]
    np.save(
        out, np.stack([values[mask].mean(axis=0, dtype=np.float64) for mask in inside], axis=1)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
