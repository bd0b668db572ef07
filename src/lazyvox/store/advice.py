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
    import difflib

    near = difflib.get_close_matches(link.name, names, _MAX_NAMES, cutoff=0.7)
    if not near:
        return ""
    return f" Did you mean {' or '.join(printable(name) for name in near)}?"
