"""Plan a call instead of making it: the work stops where its first pass would begin."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from lazyvox.errors import ParameterError

__all__ = ["plan", "stop_if_planning"]

_is_planning: ContextVar[bool] = ContextVar("lazyvox_is_planning", default=False)


class _PlanReadyError(BaseException):
    """Carries a plan from where the work would begin to the caller of `plan`."""

    def __init__(self, plan: Any) -> None:
        super().__init__("a plan is ready")
        self.plan = plan


def plan(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Return the plan of a call, without reading the series or writing anything.

    Parameters
    ----------
    func : callable
        A function of lazyvox that reads images in one pass, such as `lazyvox.extract`.
    *args : Any
        Its arguments.
    **kwargs : Any
        Its keyword arguments.

    Returns
    -------
    Plan
        Passes, bytes, block, and the predicted peak; of `lazyvox.run_cohort` a
        `lazyvox.cohort.CohortPlan`, which lists the runs, and of `lazyvox.run_group` a
        `lazyvox.cohort.Group`.

    Raises
    ------
    ParameterError
        If the function came to its end without a pass.

    Notes
    -----
    Memory: regions are read, the series is not: masks, labels images and maps, whose voxels
    decide how much a pass holds. Regions that cannot fit the budget are refused with the first
    that is too much.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.plan(lv.extract, "run.nii.gz", ["left.nii.gz", "right.nii.gz"]).passes
    1
    """
    token = _is_planning.set(True)
    try:
        func(*args, **kwargs)
    except _PlanReadyError as ready:
        return ready.plan
    finally:
        _is_planning.reset(token)
    msg = f"`func` must read images in a pass. {getattr(func, '__name__', func)} did not."
    raise ParameterError(msg)


def stop_if_planning(plan: Any) -> None:
    """Hand the plan to `plan` instead of going on, where `plan` made the call."""
    if _is_planning.get():
        raise _PlanReadyError(plan)
