"""The folder of a study: its description, what is finished in it, the log, and the failures."""

import datetime
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lazyvox._version import __version__
from lazyvox.bids.sidecars import dataset_description, generated_by
from lazyvox.cohort.finished import FinishedOutputs
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.outcomes import Done, Failed
from lazyvox.cohort.output_names import OutputNames
from lazyvox.cohort.runs import RunFiles
from lazyvox.cohort.staging import UNFINISHED, sweep_unfinished
from lazyvox.errors import ParameterError
from lazyvox.extraction.table_writers import TEXT_FORMS
from lazyvox.extraction.tables import cell_line, write_lines
from lazyvox.store.files.paths import printable
from lazyvox.store.opening import find_file
from lazyvox.store.write.atomic import write_file

__all__ = ["Dataset", "check_own", "fingerprint", "parameters_mark"]

_DESCRIPTION = "dataset_description.json"
#: Files whose names BIDS does not have, or not yet: validators leave them aside.
_IGNORED = (
    UNFINISHED + "/",
    "logs/",
    "/group",
    "failures*.tsv",
    *(
        f"*_{suffix}{ending}"
        for suffix in ("timeseries", "relmat")
        for ending in (".tsv", ".json")
    ),
    "*_stat-coverage_bold.tsv",
    "*_qc.tsv",
    "*_statmap.nii.gz",
    "*_statmap.json",
    "*_design.tsv",
    "*_design.json",
    "*_contrasts.json",
)
_BETWEEN = "-"
_LOG_TITLES = ("time", "run", "seconds", "peak_bytes", "warnings")
_FAILURE_TITLES = ("run", "file", "step", "message")


def fingerprint(run: RunFiles, options: CohortOptions) -> str:
    """Return the SHA-256 of all parameters, and that of the inputs of a run.

    Parameters
    ----------
    run : RunFiles
        The run: paths, sizes and modification times count, of files that are read.
    options : CohortOptions
        The parameters; of atlases their bytes count, and of a mask what counts of a run.

    Returns
    -------
    str
        Both in hexadecimal; the first is the same for all runs of a study. Another version of
        lazyvox has others: its numbers may differ.

    Raises
    ------
    OSError
        If a file is not there.
    """
    paths = [run.bold, *options.files_of(run).values()]
    files = []
    for path in filter(None, paths):
        found = find_file(path)
        seen = [path, found.identity.size, found.identity.mtime_ns, found.identity.validator]
        files.append([one for one in seen if one != ""])
    parameters = {"lazyvox": __version__, "options": options.to_dict()}
    return f"{_hashed(parameters)}{_BETWEEN}{_hashed({'name': str(run.name), 'files': files})}"


def parameters_mark(mark: str) -> str:
    """Return the part of a fingerprint that is the same for all runs of a study."""
    return mark.partition(_BETWEEN)[0]


def _hashed(record: dict[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def check_own(path: str) -> None:
    """Refuse a folder that is the dataset of another program.

    Parameters
    ----------
    path : str
        The folder; it may not exist.

    Raises
    ------
    ParameterError
        If its description says that something else made it.
    """
    try:
        described: Any = json.loads((Path(path) / _DESCRIPTION).read_text("utf-8"))
    except OSError:
        # Making it says what is wrong.
        return
    except ValueError:
        described = {}
    makers = described.get("GeneratedBy", []) if isinstance(described, dict) else []
    own = generated_by()[0]["Name"]
    names = [one.get("Name") for one in makers if isinstance(one, dict)]
    if own not in names:
        whose = ", ".join(map(str, names)) or "something else"
        msg = (
            f"`out` must be a new folder, or one that {own} made. Got {printable(path)}, a dataset "
            f"of {whose}."
        )
        raise ParameterError(msg)


class Dataset:
    """The folder that the outputs of a study are in.

    Parameters
    ----------
    path : str
        The folder.
    part : str
        Added to the name of the table of failures, where processes share the folder.
    """

    def __init__(self, path: str, part: str = "") -> None:
        self.path = Path(path)
        self._part = part
        self._finished = FinishedOutputs(path)

    @property
    def failures(self) -> Path:
        """The table of failures, which exists while there are any."""
        return self.path / f"failures{self._part}.tsv"

    def begin(self) -> None:
        """Make the folder, with its description.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self._finished.make_folder()
        description = dataset_description("Signals of regions")
        if not (self.path / _DESCRIPTION).exists():
            self._write(_DESCRIPTION, json.dumps(description, indent=2) + "\n")
            self._write(".bidsignore", "\n".join(_IGNORED) + "\n")

    def is_finished(self, run: RunFiles, options: CohortOptions, mark: str) -> bool:
        """Return whether the outputs of a run are complete, and made of the same."""
        return self._finished.hold(run.label, mark, OutputNames.of(run, options).paths)

    def finish(self, run: RunFiles, options: CohortOptions, mark: str) -> None:
        """Record that the outputs of a run are complete."""
        self._finished.keep(run.label, mark, OutputNames.of(run, options).paths)

    def log(self, done: Done) -> None:
        """Add a line about a run to the log, which has what differs from time to time."""
        form = TEXT_FORMS[".tsv"]
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        remarks = " | ".join(done.warnings) or "n/a"
        cells = (now, done.run, round(done.seconds, 3), done.peak_bytes, remarks)
        path = self.path / "logs" / f"runs{self._part}.tsv"
        titles = "" if path.exists() else cell_line(_LOG_TITLES, form)
        with path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(titles + cell_line(cells, form))

    def list_failures(self, failed: Sequence[Failed]) -> None:
        """Write the table of failures; without any there is none."""
        if not failed:
            self.failures.unlink(missing_ok=True)
            return
        rows = [(one.run, one.file, one.step, one.message) for one in failed]
        form = TEXT_FORMS[".tsv"]
        lines = [cell_line(cells, form) for cells in (_FAILURE_TITLES, *rows)]
        write_lines(self.failures, lines, overwrite=True)

    def end(self, labels: Iterable[str]) -> None:
        """Remove what killed processes left of runs, and the folder for that once it is empty."""
        sweep_unfinished(self.path, labels)

    def _write(self, name: str, text: str) -> None:
        write_file(str(self.path / name), text.encode(), overwrite=True)
