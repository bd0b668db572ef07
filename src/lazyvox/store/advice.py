"""What to do about a file that is not there: links without content, misspelt names."""

from pathlib import Path

from lazyvox.store.printing import printable

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

    # Without the endings, as all images share ".nii.gz".
    stems: dict[str, list[str]] = {}
    ending = wanted.partition(".")[2]
    for name in sorted(names, key=lambda name: (name.partition(".")[2] != ending, name)):
        stems.setdefault(name.split(".", maxsplit=1)[0], []).append(name)
    stem = wanted.split(".", maxsplit=1)[0]
    near = difflib.get_close_matches(stem, stems, _MAX_NAMES, cutoff=0.65)
    return [name for stem in near for name in stems[stem]][:_MAX_NAMES]
