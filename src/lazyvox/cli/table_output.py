"""The table of a command: printed, or written to the file of -o."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lazyvox._typing import override
from lazyvox.cli.job import Job, Result, Written
from lazyvox.cli.outputs import check_output, list_endings
from lazyvox.cli.settings import Settings
from lazyvox.errors import LazyvoxWarning
from lazyvox.summary.quality import PreparedQuality
from lazyvox.summary.statistics import PreparedStatistics
from lazyvox.summary.table import TABLE_ENDINGS, SummaryTable

__all__ = ["OUTPUT_TEXT", "TableOutput"]

OUTPUT_TEXT = (
    f"Table to write; ends in {list_endings(TABLE_ENDINGS)}. Without it, or with -, the table is "
    "printed, floats with ten digits."
)


@dataclass(frozen=True, slots=True)
class _Printed:
    """A table on stdout."""

    table: SummaryTable

    def to_dict(self) -> dict[str, Any]:
        """Return the rows for JSON."""
        return {"rows": list(self.table.rows())}

    @override
    def __str__(self) -> str:
        """Return the rows, with tabs between the cells."""
        return str(self.table)


@dataclass(frozen=True, slots=True)
class TableOutput:
    """Place of the table of a command.

    Attributes
    ----------
    path : str
        The file; empty for stdout.
    settings : Settings
        Whether the file may exist.
    """

    path: str
    settings: Settings

    @classmethod
    def checked(
        cls, output: str | None, inputs: Sequence[str], settings: Settings
    ) -> "TableOutput":
        """Return the output that was asked for, or raise the usage error that it would be.

        Parameters
        ----------
        output : str or None
            Value of -o.
        inputs : sequence of str
            Files that the command reads.
        settings : Settings
            Whether the output may exist.

        Returns
        -------
        TableOutput
            The output.
        """
        if output in {None, "-"}:
            return cls("", settings)
        return cls(check_output(output, TABLE_ENDINGS, inputs, settings, files=[output]), settings)

    def job(
        self, command: str, inputs: Sequence[str], prepared: PreparedQuality | PreparedStatistics
    ) -> Job:
        """Return the job of a command whose result is one table.

        Parameters
        ----------
        command : str
            Name of the command.
        inputs : sequence of str
            Files that it reads.
        prepared : PreparedQuality or PreparedStatistics
            The passes: what is planned is what runs.

        Returns
        -------
        Job
            The job.
        """
        n_jobs, progress = self.settings.n_jobs, self.settings.progress
        return Job(
            command,
            inputs,
            lambda: prepared.plan(n_jobs=n_jobs),
            lambda: self.put(prepared.run(n_jobs=n_jobs, progress=progress)),
        )

    def put(self, table: SummaryTable) -> list[Result]:
        """Write the table, or hand it on to be printed; warn of what it leaves out."""
        for remark in table.remarks:
            warnings.warn(f"{remark}.", LazyvoxWarning, stacklevel=2)
        if not self.path:
            return [_Printed(table)]
        table.save(self.path, overwrite=self.settings.overwrite)
        return [Written(self.path, (table.n_rows, len(table.names)), "table")]
