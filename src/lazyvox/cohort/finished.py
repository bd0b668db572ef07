"""Records of the outputs that are complete in a folder, and of all that they were made of."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazyvox.errors import OutputError
from lazyvox.store.files.paths import printable
from lazyvox.store.write.atomic import write_file

__all__ = ["FinishedOutputs"]


class FinishedOutputs:
    """Records of complete outputs, one file for each name.

    Parameters
    ----------
    folder : path-like
        Folder of the outputs; the records are in ``logs/finished`` in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def make_folder(self) -> None:
        """Make the folder of the records, or raise `OutputError`."""
        try:
            (self._folder / "logs" / "finished").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = (
                f"{printable(str(self._folder))}: outputs must be in a folder that can be made and "
                f"written: {error.strerror}. Pass another folder."
            )
            raise OutputError(msg) from error

    def hold(self, name: str, mark: str, paths: Sequence[str]) -> bool:
        """Return whether outputs are as they were when they were recorded, under the same mark.

        Parameters
        ----------
        name : str
            Name of what they were made of.
        mark : str
            Fingerprint of inputs and parameters.
        paths : sequence of str
            The outputs, relative to the folder.

        Returns
        -------
        bool
            False for outputs that are not there.
        """
        record = self._record(name)
        sizes = [self._size(path) for path in paths]
        return all(
            size is not None and record.get(path) == [mark, size]
            for path, size in zip(paths, sizes, strict=True)
        )

    def intact(self, name: str) -> dict[str, str]:
        """Return the outputs that are as they were recorded, with their marks.

        Parameters
        ----------
        name : str
            Name of what they were made of.

        Returns
        -------
        dict of str to str
            Mark of each path.
        """
        return {
            path: one[0]
            for path, one in self._record(name).items()
            if isinstance(one, list) and len(one) == 2 and one[1] == self._size(path) is not None
        }

    def keep(self, name: str, mark: str, paths: Sequence[str]) -> None:
        """Record that outputs are complete."""
        made = {path: [mark, self._size(path)] for path in paths}
        # Other work may have made other outputs of the same in this folder.
        record = {**self._record(name), **made}
        text = json.dumps(record, indent=1, sort_keys=True) + "\n"
        write_file(str(self._path(name)), text.encode(), overwrite=True)

    def _size(self, path: str) -> int | None:
        try:
            return os.stat(self._folder / path).st_size  # noqa: PTH116
        except OSError:
            return None

    def _path(self, name: str) -> Path:
        return self._folder / "logs" / "finished" / f"{name}.json"

    def _record(self, name: str) -> dict[str, Any]:
        try:
            record: Any = json.loads(self._path(name).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}
