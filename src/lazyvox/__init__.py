"""lazyvox: stream brain images that are larger than memory, in one pass.

Examples
--------
>>> import lazyvox as lv
>>> img = lv.load("run.nii.gz")
>>> lv.extract(img, ["left.nii.gz", "right.nii.gz"])[0].shape[0]
40
"""

import lazy_loader

# The names are in __init__.pyi. Their modules, and with them NumPy and nibabel, are imported when
# a name is first used: so `lazyvox --help`, or a worker that unpickles a path, starts immediately.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
