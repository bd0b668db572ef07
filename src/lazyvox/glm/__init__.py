"""First-level GLM in one pass: sums over volumes, the fit that they allow, nilearn's interface."""

import lazy_loader

# nilearn, which `FirstLevelModel` is derived from, takes a second to import.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
