"""Requirements of a table of confounds, and the errors where they are not met."""

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np

from lazyvox._typing import FloatArray
from lazyvox.errors import ParameterError
from lazyvox.tables.delimited import to_number
from lazyvox.tables.numeric import Table

__all__ = ["check_names", "check_numbers", "check_present"]

#: Columns that only thresholds look at, with the names of these.
_THRESHOLDS = {
    "framewise_displacement": "fd_threshold",
    "std_dvars": "std_dvars_threshold",
}


def check_names(table: Table) -> None:
    """Refuse a table without names, whose first row would be taken for them."""
    if all(to_number(name) is not None for name in table.names):
        msg = (
            f"{table.source}: the first line must hold the names of the columns. Got numbers "
            f"only: {_listed(table.names)}. Add a line of names."
        )
        raise ParameterError(msg)


def check_present(chosen: Sequence[str], limited: Iterable[str], table: Table) -> None:
    """Raise one error about all columns that the table has not, those with thresholds too."""
    missing = [name for name in dict.fromkeys([*chosen, *limited]) if name not in table.names]
    if not missing:
        return
    close = [one for name in missing for one in get_close_matches(name, table.names, n=2)]
    near = list(dict.fromkeys(close))
    hint = f"{'Near them are' if near else 'It has'} {_listed(near or table.names)}"
    msg = (
        f"{table.source}: the table must have every column that is asked for. Missing: "
        f"{_listed(missing)}. {hint}."
    )
    if set(missing) <= set(_THRESHOLDS) - set(chosen):
        limits = " and ".join(f"{_THRESHOLDS[name]}=inf" for name in missing)
        raise ParameterError(msg, hint=f"Choose volumes without it: pass {limits}.")
    raise ParameterError(msg, hint="Correct the names, or choose another strategy.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(repr(name) for name in names[:6]) + more


def check_numbers(values: FloatArray, names: Sequence[str], source: str) -> None:
    """Refuse infinity anywhere, and n/a below the first row."""
    bad = ~np.isfinite(values)
    if len(values) > 1:
        bad[0] &= ~np.isnan(values[0])
    if not bad.any():
        return
    row, column = np.argwhere(bad)[0]
    got = "n/a" if math.isnan(values[row, column]) else str(values[row, column])
    where = "below the first row" if got == "n/a" else "in any row"
    msg = (
        f"{source}, column {names[column]!r}, row {row}: a confound must not be {got} {where}. "
        f"Leave that column out, or correct the table."
    )
    raise ParameterError(msg)
