"""The plan of a pass: all numbers that are known before the first byte is read."""

from dataclasses import asdict, dataclass
from typing import Any

from lazyvox._letters import printable_text
from lazyvox._typing import override
from lazyvox.planning.memory import MemoryTerm, counted, explain_terms, format_bytes, sum_terms

__all__ = ["Explanation", "Plan"]


class Explanation(str):
    """Text of several lines that the prompt of Python shows as `print` does."""

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        """Return the text itself."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Plan:
    """Passes, blocks and memory of a call, before it runs.

    Attributes
    ----------
    source : str
        The file or files.
    shape : tuple of int of length 4
        Grid and number of volumes.
    dtype : str
        Type of the values as consumers get them.
    passes : int
        How often the input is read.
    bytes_read : int
        Bytes read from disk over all passes, compressed as they are.
    bytes_decoded : int
        Bytes of voxels that are decoded over all passes.
    block_volumes : int
        Volumes that are in memory at a time as one block.
    slab_slices : int
        Slices of a block along the third axis.
    n_buffers : int
        Blocks that exist at a time: stored values where they must be converted, and then one more
        block of converted values.
    buffer_bytes : int
        Size of all of them together.
    block_bytes : int
        Size of one block.
    consumer_bytes : tuple of (str, int)
        Name, and bytes of state and result, of each consumer.
    memory : tuple of MemoryTerm
        Terms of the predicted peak: what the scan allocates at a time, results included, above
        what Python and the imports hold.
    scratch_bytes : int
        Temporary disk space.
    budget : int
        The memory budget that the plan was fitted to.
    steps : tuple of str
        Steps between the files and the results, such as "smooth, 6 mm" and "detrend".
    """

    source: str
    shape: tuple[int, ...]
    dtype: str
    passes: int
    bytes_read: int
    bytes_decoded: int
    block_volumes: int
    slab_slices: int
    n_buffers: int
    buffer_bytes: int
    block_bytes: int
    consumer_bytes: tuple[tuple[str, int], ...]
    memory: tuple[MemoryTerm, ...]
    scratch_bytes: int
    budget: int
    steps: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int:
        """Predicted peak: the sum of the terms of `memory`."""
        return sum_terms(self.memory)

    @property
    def summary(self) -> str:
        """The plan in one line: passes, bytes, and the predicted peak of the budget."""
        passes = "1 pass" if self.passes == 1 else f"{self.passes} passes"
        steps = "".join(f"{step}; " for step in self.steps)
        return (
            f"{steps}{passes}, {format_bytes(self.bytes_read)} from disk, blocks of "
            f"{format_bytes(self.block_bytes)}, peak {format_bytes(self.peak_bytes)} of "
            f"{format_bytes(self.budget)}"
        )

    @override
    def __repr__(self) -> str:
        """Return the plan as text, as `explain` does."""
        return self.explain()

    def explain(self) -> str:
        """Return the plan as text, which the prompt shows as `print` does.

        Returns
        -------
        str
            One fact per line.
        """
        unit = counted(self.block_volumes, "volume")
        if len(self.shape) > 2 and self.slab_slices < self.shape[2]:
            unit = f"{counted(self.slab_slices, 'slice')} of one volume"
        lines = [
            f"source     {self.source}, shape {self.shape}, {self.dtype}",
            *(f"step       {step}" for step in self.steps),
            f"passes     {self.passes}",
            f"read       {format_bytes(self.bytes_read)} from disk",
            f"decoded    {format_bytes(self.bytes_decoded)}",
            f"block      {unit}, {format_bytes(self.block_bytes)}",
            f"buffers    {self.n_buffers}, {format_bytes(self.buffer_bytes)}",
        ]
        lines += [f"consumer   {name}, {format_bytes(size)}" for name, size in self.consumer_bytes]
        lines += [
            f"scratch    {format_bytes(self.scratch_bytes)} on disk",
            f"peak       {format_bytes(self.peak_bytes)} predicted above the imports",
            *explain_terms(self.memory),
            f"budget     {format_bytes(self.budget)}",
        ]
        # Names of files may hold line breaks.
        return Explanation("\n".join(map(printable_text, lines)))

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as a dictionary that JSON can hold.

        Returns
        -------
        dict
            The attributes, and the predicted peak.
        """
        return {**asdict(self), "peak_bytes": self.peak_bytes}

    @override
    def __str__(self) -> str:
        """Return the plan as text."""
        return self.explain()
