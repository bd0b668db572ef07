"""Turn the last result of `lazyvox compare` into the table that the guide shows."""

import json
from pathlib import Path
from typing import Any

__all__ = ["write_table"]

_NONE = "*No result of `lazyvox compare` has been put into `docs/measured` yet.*\n"
_HEADER = (
    "| method | input | seconds | CPU s | peak MiB | MiB read | agrees |",
    "|---|---|---:|---:|---:|---:|---|",
)


def write_table(folder: Path) -> None:
    """Write `compare.md` beside `compare.json`, or a sentence where there is none."""
    source = folder / "compare.json"
    folder.mkdir(exist_ok=True)
    text = _NONE
    if source.exists():
        text = _table(json.loads(source.read_text(encoding="utf-8")))
    (folder / "compare.md").write_text(text, encoding="utf-8")


def _table(comparison: dict[str, Any]) -> str:
    rows = [_row(record) for record in comparison["records"]]
    workers = f"{comparison['n_jobs']} workers where there are some"
    title = f"**{comparison['title']}**, {workers}, lazyvox {comparison['version']}"
    facts = "; ".join(f"{name}: {_cell(value)}" for name, value in comparison["machine"].items())
    return "\n".join([title, "", *_HEADER, *rows, "", facts, ""])


def _row(record: dict[str, Any]) -> str:
    """Return a row; what was not done says why in place of its numbers."""
    first = f"| {record['method']} | {record['input']} |"
    if record["status"] != "done":
        return f"{first} {_cell(record['status'])} | | | | |"
    read = record["bytes_read"]
    numbers = (
        _number(record["seconds"], 1),
        _number(record["cpu_seconds"], 1),
        _number(record["peak_mib"], 0),
        _number(None if read is None else read / 2**20, 0),
        {True: "yes", False: "**no**", None: ""}[record["agrees"]],
    )
    return f"{first} {' | '.join(numbers)} |"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _cell(value: object) -> str:
    """Return a value that cannot end the cell of a table."""
    if isinstance(value, dict):
        value = ", ".join(f"{name} {each}" for name, each in value.items())
    return str(value).replace("|", "/").replace("\n", " ")
