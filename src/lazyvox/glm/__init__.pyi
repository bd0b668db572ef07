from .consumer import GLM
from .first_level import FirstLevelModel
from .results import GLMResult

__all__ = ["GLM", "FirstLevelModel", "GLMResult"]
