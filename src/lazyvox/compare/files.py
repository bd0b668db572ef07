"""The files of a comparison, complete or not at all."""

import json
from contextlib import ExitStack
from pathlib import Path

from lazyvox.compare.outcome import Comparison, csv_text
from lazyvox.compare.page import html_page
from lazyvox.compare.picture import draw
from lazyvox.store.write.sinks import open_sink

__all__ = ["file_names", "write_files"]

_ENDINGS = (".json", ".csv", ".png", ".html")


def file_names(folder: Path) -> list[str]:
    """Return the paths of the files.

    Examples
    --------
    >>> file_names(Path("out"))[0]
    'out/compare.json'
    """
    return [str(folder / f"compare{ending}") for ending in _ENDINGS]


def write_files(folder: Path, comparison: Comparison, *, overwrite: bool) -> list[str]:
    """Write JSON, CSV, plot and page.

    Parameters
    ----------
    folder : Path
        Where to; made where there is none.
    comparison : Comparison
        What is written.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    list of str
        The paths.

    Raises
    ------
    OutputError
        If one cannot be written; then none is.
    MissingDependencyError
        If matplotlib is not installed.
    """
    picture = draw(comparison)
    text = json.dumps(comparison.to_dict(), allow_nan=False, indent=1, ensure_ascii=False)
    contents = [
        f"{text}\n".encode("utf-8", "backslashreplace"),
        csv_text(comparison).encode("utf-8", "backslashreplace"),
        picture,
        html_page(comparison, picture).encode("utf-8", "backslashreplace"),
    ]
    folder.mkdir(exist_ok=True)
    paths = file_names(folder)
    with ExitStack() as stack:
        sinks = []
        for path, content in zip(paths, contents, strict=True):
            sinks.append(
                stack.enter_context(open_sink(path, compression="none", overwrite=overwrite))
            )
            sinks[-1].write(content)
            sinks[-1].prepare()
        for sink in sinks:
            sink.commit()
    return paths
