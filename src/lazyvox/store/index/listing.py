"""Contents of the index cache, with the state of the file that each index belongs to."""

import os
from dataclasses import dataclass
from pathlib import Path

from lazyvox.errors import AccessPointError, ImageFileError
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.urls import is_url
from lazyvox.store.index.file import read_small_file
from lazyvox.store.index.folder import IndexFolder, StoredIndex, name_in_cache
from lazyvox.store.index.record import IndexRecord, parse_record

__all__ = ["ListedIndex", "list_indexes", "prune"]


@dataclass(frozen=True, slots=True, eq=False)
class ListedIndex:
    """One index in the cache.

    Attributes
    ----------
    stored : StoredIndex
        Where it is, its size, when it was used.
    record : IndexRecord or None
        Its record, where that is good.
    state : {"current", "changed", "gone", "damaged"}
        Whether the file that it is of is as it was, has changed, or does not exist; or the index
        itself cannot be used.
    """

    stored: StoredIndex
    record: IndexRecord | None
    state: str


def list_indexes(folder: IndexFolder) -> list[ListedIndex]:
    """Return the indexes in a folder, the least recently used first; reads their records.

    Parameters
    ----------
    folder : IndexFolder
        The folder.

    Returns
    -------
    list of ListedIndex
        Empty where the folder does not exist.
    """
    return [_listed(stored) for stored in folder.indexes()]


def prune(
    folder: IndexFolder, *, limit: int, everything: bool = False, dry_run: bool = False
) -> list[ListedIndex]:
    """Remove indexes that serve nothing any more, and then the least recently used.

    Parameters
    ----------
    folder : IndexFolder
        The folder.
    limit : int
        Bytes that may stay.
    everything : bool, default=False
        Whether all are removed.
    dry_run : bool, default=False
        Whether they are only found.

    Returns
    -------
    list of ListedIndex
        What was removed.
    """
    listed = list_indexes(folder)
    useless = [one for one in listed if everything or one.state != "current"]
    rest = [one for one in listed if not everything and one.state == "current"]
    total = sum(one.stored.n_bytes for one in rest)
    for one in rest:
        if total > limit:
            useless.append(one)
            total -= one.stored.n_bytes
    if dry_run:
        return useless
    folder.remove([one.stored for one in useless])
    return [one for one in useless if not os.path.lexists(one.stored.path)]


def _listed(stored: StoredIndex) -> ListedIndex:
    if not stored.is_complete:
        return ListedIndex(stored, None, "damaged")
    try:
        record = parse_record(read_small_file(stored.record_path), stored.record_path)
    except AccessPointError:
        return ListedIndex(stored, None, "damaged")
    return ListedIndex(stored, record, _state(record, stored))


def _state(record: IndexRecord, stored: StoredIndex) -> str:
    if is_url(record.path):
        # Whether it is as it was takes a request, which whoever reads it makes.
        return "current"
    try:
        source = SourceFile.at(record.path)
    except FileNotFoundError:
        return "gone"
    except ImageFileError:
        # What this user cannot read now may be there again.
        return "current"
    name = name_in_cache(source)
    return "current" if Path(stored.path).name.startswith(name + ".") else "changed"
