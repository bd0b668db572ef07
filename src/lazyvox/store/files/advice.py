"""Advice on missing files: links without content, misspelt names."""

from pathlib import Path

from lazyvox.store.files.printing import printable

__all__ = ["advice_on_missing"]

_MAX_NAMES = 3


def advice_on_missing(path: str) -> str:
    """Return a sentence that helps with a missing file; empty where there is none to give."""
    link = Path(path)
    if link.is_symlink():
        target = str(link.readlink())
        if ".git/annex/" in target:
            return (
                " It is a link into a git-annex whose content is not here: fetch it with "
                f"`datalad get` or `git annex get {printable(link.name)}`."
            )
        return f" It is a link to {printable(target)}, which does not exist."
    try:
        names = [other.name for other in link.parent.iterdir()]
    except OSError:
        return f" Its folder {printable(str(link.parent))} does not exist, or cannot be listed."
    near = _similar(link.name, names)
    if not near:
        return ""
    return f" Did you mean {' or '.join(printable(name) for name in near)}?"


def _similar(wanted: str, names: list[str]) -> list[str]:
    """Return the names that are likely to be meant, the nearest first."""
    import difflib

    # Endings apart, as all images share ".nii.gz": the same stem, else a near one.
    stem, _, ending = wanted.partition(".")
    near = {name.partition(".")[0]: name for name in names if name.partition(".")[2] == ending}
    found = [near[one] for one in difflib.get_close_matches(stem, near, _MAX_NAMES, cutoff=0.65)]
    same = sorted(name for name in names if name.partition(".")[0] == stem)
    return [*same, *found][:_MAX_NAMES]
