"""Studies: everything that is asked for of many runs, as a BIDS dataset, resumable."""

import lazy_loader

# The names are in __init__.pyi; a study has no need of what `extract_all` imports.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
