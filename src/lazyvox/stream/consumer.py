"""Base class of the consumers of a pass, and the handles that hold their results."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

from lazyvox._typing import Array, override
from lazyvox.errors import LazyvoxError, ParameterError, ParameterTypeError
from lazyvox.lazyimage.series import Grid

__all__ = ["Consumer", "ConsumerLike", "Handle", "as_consumer", "check_real", "refuse_prepass"]


ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


@runtime_checkable
class ConsumerLike(Protocol[ResultT_co]):
    """The four functions, and the size, that make a class a consumer."""

    def init(self, grid: Grid, /) -> None:
        """Prepare for the volumes of a grid; forget all earlier volumes."""

    def update(self, block: Array, start: int, /) -> None:
        """Take the next volumes: `block` of shape (i, j, k, n), the first one is number `start`."""

    def merge(self, other: Any, /) -> None:
        """Merge the state of a consumer of the same kind that saw other volumes."""

    def finalize(self) -> ResultT_co:
        """Return the result."""

    def state_bytes(self, grid: Grid, /) -> int:
        """Return the most bytes held between updates and while finalizing, result included."""


class Consumer(ABC, Generic[ResultT]):
    """Base of the consumers of lazyvox, with defaults for methods that few of them need.

    A consumer is initialised with the grid, gets every block of the pass in order, and gives its
    result at the end. Blocks are arrays of shape (i, j, k, n) in Fortran order; their memory is
    reused after `update` returns, so that what is kept must be copied.

    Notes
    -----
    Classes that are not derived from this one do as well if they have `init`, `update`, `merge`,
    `finalize` and `state_bytes`.
    """

    @abstractmethod
    def init(self, grid: Grid) -> None:
        """Prepare for the volumes of a grid; forget all earlier volumes.

        Parameters
        ----------
        grid : Grid
            Grid, number of volumes and data type of the series.
        """

    @abstractmethod
    def update(self, block: Array, start: int) -> None:
        """Take the next volumes; the first of them is number `start`.

        Parameters
        ----------
        block : ndarray of shape (i, j, k, n)
            Values in native byte order, in Fortran order; read only, and reused afterwards.
        start : int
            Number of the first volume of the block.
        """

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Merge the state of a consumer of the same kind that saw other volumes.

        Parameters
        ----------
        other : Consumer
            Saw later volumes of the same grid; may be used up.
        """

    def part_step(self, grid: Grid) -> int:
        """Return a number of volumes: parts of a pass may begin at its multiples.

        Parts are read by other processes: a consumer that allows them has `state` and `absorb`, and
        its result does not depend on where they begin, bit for bit.

        Parameters
        ----------
        grid : Grid
            Grid, number of volumes and data type of the series.

        Returns
        -------
        int
            Volumes; 0, the default, for a consumer that sees all volumes of a pass itself.
        """
        del grid
        return 0

    def state(self) -> Any:
        """Return what is known of the volumes so far, for `absorb` of another consumer.

        Returns
        -------
        object
            Picklable, and without voxels. It may be a view of what the consumer holds.
        """
        msg = f"{self.describe()} does not hand its state on"
        raise NotImplementedError(msg)

    def absorb(self, state: Any) -> None:
        """Merge a state of a consumer of the same kind that saw other volumes.

        Parameters
        ----------
        state : object
            The answer of its `state`, of later volumes of the same grid.

        Notes
        -----
        `merge` takes a whole consumer, with the voxels and files that it keeps.
        """
        del state
        msg = f"{self.describe()} takes no state"
        raise NotImplementedError(msg)

    @abstractmethod
    def finalize(self) -> ResultT:
        """Return the result.

        Returns
        -------
        object
            What `Handle.result` gives.
        """

    @abstractmethod
    def state_bytes(self, grid: Grid) -> int:
        """Return the most bytes held between updates and while finalizing, result included.

        Parameters
        ----------
        grid : Grid
            Grid, number of volumes and data type of the series.

        Returns
        -------
        int
            Bytes; the plan counts with them.
        """

    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        """Return the bytes that one update with so many volumes allocates for its duration.

        Parameters
        ----------
        grid : Grid
            Grid, number of volumes and data type of the series.
        block_volumes : int
            Number of volumes of a block.

        Returns
        -------
        int
            Bytes; 0 by default.
        """
        del grid, block_volumes
        return 0

    def scratch_bytes(self, grid: Grid) -> int:
        """Return the bytes of temporary files.

        Parameters
        ----------
        grid : Grid
            Grid, number of volumes and data type of the series.

        Returns
        -------
        int
            Bytes on disk; 0 by default.
        """
        del grid
        return 0

    def check(self, grid: Grid) -> None:
        """Raise foreseeable errors before anything is read; called when planning.

        Parameters
        ----------
        grid : Grid
            Grid, number of volumes and data type of the series.
        """
        del grid

    def lean_on(self, consumers: Sequence["Consumer[Any]"]) -> None:
        """Look among all consumers of the pass, oneself included, for one to share state with.

        Parameters
        ----------
        consumers : sequence of Consumer
            All consumers of the pass, in their order.
        """
        del consumers

    def prepass(self, grid: Grid) -> "Consumer[Any] | None":
        """Return a consumer whose result is needed before the pass, or None.

        Parameters
        ----------
        grid : Grid
            Grid, number of volumes and data type of the series.

        Returns
        -------
        Consumer or None
            Fed in an extra pass; its result comes back through `configure`.
        """
        del grid
        return None

    def configure(self, result: Any) -> None:
        """Take the result of the consumer that `prepass` returned.

        Parameters
        ----------
        result : object
            What its `finalize` returned.
        """
        del result

    @property
    def takes_slabs(self) -> bool:
        """True if `update_slab` works, for volumes that are larger than the budget."""
        return False

    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        """Take a part of one volume; the parts come in order, one volume after the other.

        Parameters
        ----------
        slab : ndarray of shape (i, j, n_slices, 1)
            Slices of the volume; reused afterwards.
        volume : int
            Number of the volume.
        k : int
            Number of the first slice.
        """
        del slab, volume, k
        msg = f"{self.describe()} takes whole volumes only"
        raise NotImplementedError(msg)

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps applied to the values after extraction, shown in plans."""
        return ()

    @property
    def publishes(self) -> bool:
        """True if `finalize` puts a file in its place: such consumers are finalized last."""
        return False

    def abort(self) -> None:
        """Undo changes outside of memory: the pass failed or was interrupted."""

    def describe(self) -> str:
        """Return the name shown in plans and errors.

        Returns
        -------
        str
            The name of the class by default.
        """
        return type(self).__name__

    @override
    def __repr__(self) -> str:
        """Show the name that plans and errors have."""
        return f"<{self.describe()}>"


class _Adapted(Consumer[ResultT]):
    """A user's class that has the four functions and no base."""

    def __init__(self, inner: ConsumerLike[ResultT]) -> None:
        self._inner = inner

    @override
    def init(self, grid: Grid) -> None:
        self._inner.init(grid)

    @override
    def update(self, block: Array, start: int) -> None:
        self._inner.update(block, start)

    @override
    def merge(self, other: Self) -> None:
        self._inner.merge(other._inner)

    @override
    def finalize(self) -> ResultT:
        return self._inner.finalize()

    @override
    def state_bytes(self, grid: Grid) -> int:
        return int(self._inner.state_bytes(grid))

    @override
    def describe(self) -> str:
        return type(self._inner).__name__


class Handle(Generic[ResultT]):
    """The place where the result of one consumer of a scan appears.

    Parameters
    ----------
    consumer : Consumer
        The consumer.
    given : object
        What the user gave for it.
    """

    _missing = object()

    def __init__(self, consumer: Consumer[ResultT], given: object = None) -> None:
        self.consumer = consumer
        self.given = given
        self._result: Any = Handle._missing

    def result(self) -> ResultT:
        """Return the result of the consumer.

        Returns
        -------
        object
            What the consumer's `finalize` returned in the last successful run.

        Raises
        ------
        LazyvoxError
            If the scan has not been run to its end yet.
        """
        if self._result is Handle._missing:
            msg = (
                f"the result of {self.consumer.describe()} exists after the scan has run. Call "
                f"scan.run() first."
            )
            raise LazyvoxError(msg)
        found: ResultT = self._result
        return found

    def set_result(self, result: ResultT) -> None:
        """Store the result; called by the scan."""
        self._result = result

    def clear(self) -> None:
        """Forget the result; called by the scan when a new run begins."""
        self._result = Handle._missing

    @override
    def __repr__(self) -> str:
        """Name the consumer and say whether its result is there."""
        state = "pending" if self._result is Handle._missing else "done"
        return f"<Handle of {self.consumer.describe()}: {state}>"


def as_consumer(consumer: ConsumerLike[ResultT]) -> Consumer[ResultT]:
    """Return a consumer as the scan needs it."""
    if isinstance(consumer, Consumer):
        return consumer
    return _Adapted(consumer)


def check_real(grid: Grid, needs: str, *, most_bits: int | None = None) -> None:
    """Raise unless voxels are real numbers.

    Parameters
    ----------
    grid : Grid
        The grid, for type and name of the image.
    needs : str
        The beginning of the message: "seed maps need", say.
    most_bits : int, optional
        Largest size of a value.

    Raises
    ------
    ParameterTypeError
        If they are complex, or too large.
    """
    is_small = most_bits is None or 8 * grid.dtype.itemsize <= most_bits
    if grid.dtype.kind in "biuf" and is_small:
        return
    limit = "" if most_bits is None else f" of up to {most_bits} bits"
    msg = f"{grid.name}: {needs} real voxels{limit}. Got {grid.dtype}."
    raise ParameterTypeError(msg)


def refuse_prepass(consumer: Consumer[Any], grid: Grid, instead: str) -> None:
    """Raise if a consumer needs a pass of its own before the one that it shares.

    Parameters
    ----------
    consumer : Consumer
        A consumer inside of another one.
    grid : Grid
        The grid that it sees.
    instead : str
        The end of the message: the scan that works.

    Raises
    ------
    ParameterError
        If it needs one.
    """
    if consumer.prepass(grid) is not None:
        msg = f"{consumer.describe()} needs a pass before the one that it shares. {instead}"
        raise ParameterError(msg)
