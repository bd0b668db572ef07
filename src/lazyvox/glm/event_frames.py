"""Tables of events as designs are made of them: checked, and as nilearn takes them."""

import contextlib
import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import is_url
from lazyvox.store.opening import open_binary
from lazyvox.tables.events import Event, read_events

__all__ = ["check_timing", "event_designs", "fetched_events"]

#: Seconds between volumes for which a response can be sampled: at less, nilearn's convolution of
#: samples that are a fiftieth apart takes minutes, and at more the response falls between them.
_SHORTEST, _LONGEST = 0.01, 100.0


def event_designs(
    model: Any, imgs: Sequence[Any], events: Sequence[str], confounds: Sequence[Any] | None
) -> list[Any]:
    """Return the design matrices that a model makes of tables of events; reads headers only.

    Parameters
    ----------
    model : FirstLevelModel
        The model.
    imgs : sequence of images or paths
        The runs.
    events : sequence of str
        A table for each.
    confounds : sequence of DataFrame, optional
        Confounds of each run.

    Returns
    -------
    list of DataFrame
        One for each run.

    Raises
    ------
    ParameterError
        If a table is none of events, or an event has no length, a negative one, or no condition.
    """
    frames = [_frame(printable(path), read_events(path)) for path in events]
    with (
        # nilearn prints that heights are used; of columns that depend on others the fit warns.
        contextlib.redirect_stdout(io.StringIO()),
        np.errstate(divide="ignore"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Matrix is singular")
        found: list[Any] = model.make_design_matrices(list(imgs), frames, confounds)
    return found


def fetched_events(events: Any) -> Any:
    """Return tables of events, those behind URLs read: nilearn reads those in files itself."""
    if isinstance(events, list | tuple):
        return [fetched_events(one) for one in events]
    if not isinstance(events, str) or not is_url(events):
        return events
    import pandas as pd

    with open_binary(events) as file:
        return pd.read_csv(file, sep="\t")


def check_timing(t_r: float, counts: Sequence[int]) -> None:
    """Refuse runs that no response to events can be sampled in.

    Parameters
    ----------
    t_r : float
        Seconds between volumes.
    counts : sequence of int
        Volumes of each run.

    Raises
    ------
    ParameterError
        If a run has one volume or none, or volumes are too close to each other or too far apart.
    """
    if not _SHORTEST <= t_r <= _LONGEST:
        msg = f"`t_r` must be from {_SHORTEST:g} to {_LONGEST:g} s for responses to events. Got {t_r:g} s."
        hint = "Look at the unit of time in the header, and pass `t_r` in seconds."
        raise ParameterError(msg, parameter="t_r", value=t_r, hint=hint)
    if min(counts) < 2:
        msg = f"a run must have at least two volumes for a model of events. Got {min(counts)}."
        raise ParameterError(msg, value=min(counts))


def _frame(source: str, events: Sequence[Event]) -> Any:
    """Return events as nilearn takes them."""
    import pandas as pd

    has_types = any(one.trial_type is not None for one in events)
    for event in events:
        _check(event, has_types=has_types)
    columns: dict[str, Any] = {
        "onset": np.array([one.onset for one in events], np.float64),
        "duration": np.array([one.duration for one in events], np.float64),
        "trial_type": [one.trial_type or "dummy" for one in events],
    }
    if events and not has_types:
        msg = f"{source}: there is no column trial_type: all events are of one condition, dummy."
        warnings.warn(LazyvoxWarning(msg), stacklevel=5)
    if events and events[0].modulation is not None:
        columns["modulation"] = np.array([one.modulation for one in events], np.float64)
    return pd.DataFrame(columns)


def _check(event: Event, *, has_types: bool) -> None:
    """Refuse an event that has no place in a design."""
    if not event.duration >= 0:
        got = "none" if math.isnan(event.duration) else f"{event.duration:g}"
        msg = f"{event.place}: the duration must be a number of seconds, at least 0. Got {got}."
    elif has_types and event.trial_type is None:
        msg = f"{event.place}: the trial_type must be the name of a condition. Got none."
    elif event.modulation is not None and math.isnan(event.modulation):
        msg = f"{event.place}: the modulation must be a number. Got none."
    else:
        return
    raise ParameterError(msg, parameter="events", hint="Correct the line, or remove it.")
