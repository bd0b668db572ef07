"""What maskers take of scikit-learn, imported without the packages that they do not need.

``import sklearn.base`` imports pandas and scipy.stats, for functions that a masker never calls:
two thirds of its time, and 100 MiB in each worker process. While it is imported, modules stand in
for these two that import the real ones on first use. They are taken away afterwards, so that
nobody else meets them; scikit-learn's own references import the real modules when they are used.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from lazyvox._typing import override
from lazyvox.errors import MissingDependencyError

__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "InputTags",
    "TransformerMixin",
    "check_is_fitted",
    "get_config",
]

_NOT_NEEDED = ("pandas", "scipy.stats")


class _OnFirstUse(ModuleType):
    """Stands in for a module until an attribute of it is asked for."""

    @override
    def __getattr__(self, name: str) -> Any:
        """Import the module that this one stands in for, and return its attribute."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _deferred(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports of these modules, where nobody has imported them yet, wait for their use."""
    stand_ins = {name: _OnFirstUse(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


try:
    with _deferred(_NOT_NEEDED):
        from sklearn import get_config
        from sklearn.base import (
            BaseEstimator,
            ClassNamePrefixFeaturesOutMixin,
            TransformerMixin,
        )
        from sklearn.utils import InputTags
        from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    _NEEDED = "Maskers need the package scikit-learn. Run `pip install 'lazyvox[maskers]'`."
    raise MissingDependencyError(_NEEDED) from error
