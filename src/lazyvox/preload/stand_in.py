"""Stand-in for a file: loading, releasing, counting; safe from many threads."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from nibabel.spatialimages import SpatialImage

from lazyvox._typing import override
from lazyvox.errors import LazyvoxError, ParameterTypeError
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.preload.held import Held
from lazyvox.preload.readers import image_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from lazyvox.preload.readers import ReaderLike
    from lazyvox.preload.recorded import Program, Recipe

__all__ = ["PER_PROCESS", "EditedDataError", "StandIn"]


class EditedDataError(LazyvoxError, RuntimeError):
    """Data that are in no file would be lost, or are."""


class StandIn(ABC):
    """The state of a `LazyReadData`: where its data come from, and whether they are held."""

    _source: Any
    _nops: int | str
    _left: int
    _reader: ReaderLike | None
    _options: Mapping[str, Any]
    _dtype: np.dtype[Any] | None
    _recipe: Recipe | None
    _held: Held | None
    _is_shared: bool

    @abstractmethod
    def _lazy_read(self) -> Any:
        """Read the data and set `data`; a subclass may do so in its own way, or return them."""

    @abstractmethod
    def _evaluated(self) -> Held:
        """Return the value of the recorded expression."""

    @abstractmethod
    def _is_auto(self) -> bool:
        """Return whether operations are recorded."""

    @abstractmethod
    def _program(self) -> Program:
        """Return the recorded expression as steps, which pickle however many they are."""

    @abstractmethod
    def _restore(self, program: Program) -> None:
        """Record the expression of a program again."""

    def _renew(self, held: Held | None) -> None:
        """Set the state that copies in other processes do not share."""
        self._held = held
        self._is_shared = False
        self._error: Exception | None = None
        self._fresh: Any = None
        self._read_by_us: Any = None
        self._loader: int | None = None
        self._tell_use: Callable[[], None] | None = None
        self._is_ahead = False
        self._n_ahead: int | None = None
        self._lock, self._process = threading.RLock(), os.getpid()

    @property
    def filename(self) -> str | None:
        """Name of the file, None where there is none."""
        source = self._source
        if isinstance(source, StandIn):
            return source.filename
        if isinstance(source, SpatialImage):
            return source.get_filename()
        name: str | None = source
        return name

    @property
    def nops(self) -> int | str:
        """Number of operations before the data are released, or "auto"."""
        return self._nops

    @property
    def data(self) -> Any:
        """The loaded object: an image is one whose voxels are in memory."""
        if self._loader == threading.get_ident():
            return self._fresh
        try:
            with self._locked():
                held = self._loaded()
                if self._source is not None:
                    held.hand_out()
        finally:
            self._was_used()
        return held.value

    @data.setter
    def data(self, value: Any) -> None:
        if self._loader == threading.get_ident():
            self._fresh = value
            return
        with self._locked():
            self._held, self._recipe = Held(value, is_edited=True), None
            self._is_shared = False

    def preloading(self) -> bool:
        """Return whether a load has begun or the data are held.

        Returns
        -------
        bool
            True from the start of a load until the data are released.
        """
        return self._loader is not None or self._held is not None

    def release(self, discard: bool = False) -> None:  # noqa: FBT001, FBT002
        """Let go of the data; they are loaded again if they are used.

        Parameters
        ----------
        discard : bool, default=False
            Whether edited data, and results that are in no file, are let go of too.

        Raises
        ------
        EditedDataError
            If they would be lost without `discard`.
        """
        with self._locked():
            self._error = None
            held = self._held
            if held is None:
                return
            if not discard and (self._source is None or held.differs()):
                what = "are in no file" if self._source is None else "were edited"
                msg = (
                    f"data that can be read again are released. Those of {self._name()} {what} "
                    f"and would be lost. Save them first, or pass discard=True."
                )
                raise EditedDataError(msg)
            self._held = None

    def _loaded(self) -> Held:
        """Return the held value, loading it if need be; under the lock."""
        if self._held is None:
            error, self._error = self._error, None
            if error is not None:
                raise error
            self._held = self._evaluated() if self._recipe is not None else self._read()
        return self._held

    def _read(self) -> Held:
        if self._source is None:
            msg = "the data were in no file and were discarded. Make them again."
            raise EditedDataError(msg)
        self._loader = threading.get_ident()
        try:
            returned = self._lazy_read()
            value = self._fresh if returned is None else returned
            is_private = value is self._read_by_us
        except Exception as error:
            _name_file(error, self._name())
            raise
        finally:
            self._loader = self._fresh = self._read_by_us = None
        if value is None:
            msg = f"{self._name()}: the reader must return the data. It returned None."
            raise ParameterTypeError(msg)
        return Held(value, is_private=is_private)

    def _borrow(self, places: int, *, is_last: bool = False) -> tuple[Held, bool]:
        """Return the data for an operation, and whether their memory is free to use.

        The places are counted, and the data are released if that was the last operation. They
        are not written to by others until `_give_back`.
        """
        try:
            with self._locked():
                held = self._loaded()
                held.n_users += 1
                is_due = self._counts_down(places) or (is_last and self._nops == "auto")
                is_gone = is_due and self._source is not None and not held.differs()
                if is_gone:
                    self._held = None
                is_alone = held.n_users == 1 and held.mark is None
                return held, is_gone and held.is_private and is_alone
        finally:
            self._was_used()

    def _counts_down(self, places: int) -> bool:
        """Return whether the data have served all operations; each later one is their last."""
        if not places or not isinstance(self._nops, int) or not self._nops:
            return False
        self._left = max(self._left - places, 0)
        return not self._left

    def _give_back(self, held: Held) -> None:
        with self._locked():
            held.n_users -= 1

    @override
    def __getstate__(self) -> dict[str, Any]:
        """Pickle the description; with the data if they are in no file, or edited."""
        with self._locked():
            state = dict(self.__dict__)
            held = self._held
            state["_held"] = None
            if held is not None and (self._source is None or held.differs()):
                state["_held"] = (held.value, self._source is not None)
            if self._recipe is not None:
                state["_recipe"] = self._program()
        for name in PER_PROCESS:
            state.pop(name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a stand-in."""
        kept = state.pop("_held")
        self.__dict__.update(state)
        self._renew(None if kept is None else Held(kept[0], is_edited=kept[1]))
        if state["_recipe"] is not None:
            self._restore(state["_recipe"])

    def _locked(self) -> AbstractContextManager[Any]:
        """Return the lock; a forked child has its own, as threads that held it are not there."""
        if self._process != os.getpid():
            self._lock, self._loader, self._fresh = threading.RLock(), None, None
            self._process = os.getpid()
        return self._lock

    def _name(self) -> str:
        if self.filename is not None:
            return self.filename
        held = self._held
        if held is not None and isinstance(held.value, SpatialImage):
            return name_of(held.value)
        return "an object in memory"

    def _expects(self) -> int:
        source: Any = self._source
        if self._held is not None or self._recipe is not None or source is None:
            return 0
        if isinstance(source, StandIn):
            return source._expects()
        if isinstance(source, SpatialImage):
            array = lazy_dataobj(source)
            return array.nbytes if self._dtype is None else array.astype(self._dtype).nbytes
        with suppress(OSError):
            if self._reader is None:
                return image_bytes(source, self._dtype)
            return os.stat(source).st_size  # noqa: PTH116 - a name in bytes or text
        return 0

    def _is_recorded(self, n_ahead: int) -> bool:
        if self._is_auto():
            self._n_ahead = n_ahead
        return self._is_auto()

    def _await_use(self, tell: Callable[[], None]) -> None:
        self._tell_use, self._is_ahead = tell, False

    def _was_used(self) -> None:
        tell, self._tell_use = self._tell_use, None
        if tell is not None:
            tell()

    def _preload(self) -> None:
        with self._locked():
            if self._tell_use is None or self._held is not None:
                return
            self._is_ahead = True
            try:
                self._loaded()
            # Raised where the data are used.
            except Exception as error:  # noqa: BLE001 - handed to the user of the data
                self._error = error

    def _take_back(self) -> None:
        with self._locked():
            is_unused = self._tell_use is not None and self._is_ahead
            self._tell_use = None
            if is_unused and self._source is not None:
                self._held = None


#: What `__getstate__` leaves out and `_renew` sets.
PER_PROCESS = (
    "_is_shared",
    "_error",
    "_fresh",
    "_read_by_us",
    "_loader",
    "_is_ahead",
    "_tell_use",
    "_n_ahead",
    "_lock",
    "_process",
)


def _name_file(error: Exception, name: str) -> None:
    """Add the name of the file that could not be loaded to any error."""
    if name in str(error):
        return
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{name}: {error.args[0]}",)
    else:
        error.add_note(f"while loading {name}")
