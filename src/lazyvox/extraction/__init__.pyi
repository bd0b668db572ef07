from .api import extract
from .labels import Labels
from .maps import Maps
from .signals import Signals
from .spheres import Spheres
from .voxels import Voxels

__all__ = ["Labels", "Maps", "Signals", "Spheres", "Voxels", "extract"]
