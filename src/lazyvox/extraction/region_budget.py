"""Regions that do not fit a memory budget are refused while they are read."""

from lazyvox.errors import MemoryBudgetError
from lazyvox.planning.memory import format_bytes

__all__ = ["refuse_beyond"]


def refuse_beyond(budget: int, nbytes: int, at_most: int, name: str) -> None:
    """Raise as soon as the regions that were read so far take more than a budget.

    Parameters
    ----------
    budget : int
        Bytes that may be allocated.
    nbytes : int
        Bytes that the regions read so far need, at the least.
    at_most : int
        Bytes that all regions need, at the most, as their header or their radius says.
    name : str
        Parameter and file, for the message.

    Raises
    ------
    MemoryBudgetError
        If the budget is exceeded.
    """
    if nbytes <= budget:
        return
    msg = (
        f"{name}: the memory budget must hold the regions. Got {format_bytes(budget)}, which a "
        f"part of them fills; all of them take {format_bytes(at_most)} at the most."
    )
    raise MemoryBudgetError(
        msg,
        parameter="memory",
        value=budget,
        hint="Pass a larger `memory`, or fewer or smaller regions.",
    )
