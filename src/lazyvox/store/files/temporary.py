"""Names of temporary files, and the removal of those that killed processes left."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
from pathlib import Path

__all__ = ["host_tag", "is_dead", "sweep", "temporary_beside"]

_LONGEST_NAME = 255
_LONGEST_ENDING = len("1234567890-") + 16 + len(".tmp")
_ENDING = re.compile(r"([0-9]+)-([0-9a-f]{8})[0-9a-f]{8}\.tmp")


def temporary_beside(target: Path) -> Path:
    """Return a new name beside `target` that says whose and which process's it is."""
    ending = f"{os.getpid()}-{host_tag()}{secrets.token_hex(4)}.tmp"
    return target.with_name(_prefix(target.name) + ending)


def sweep(target: Path) -> None:
    """Remove files and folders of killed processes of this host from earlier writes to the same target."""
    prefix, tag = _prefix(target.name), host_tag()
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if not entry.name.startswith(prefix):
                continue
            match = _ENDING.fullmatch(entry.name, len(prefix))
            if match and match[2] == tag and is_dead(int(match[1])):
                with contextlib.suppress(OSError):
                    _remove(Path(entry.path))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _prefix(name: str) -> str:
    """Return how the names of all temporary files of a target begin."""
    prefix = f".{name}."
    if len(os.fsencode(prefix)) + _LONGEST_ENDING <= _LONGEST_NAME:
        return prefix
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}."


def host_tag() -> str:
    """Return a tag of all processes whose ids mean the same: one host, one process namespace."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


def is_dead(pid: int) -> bool:
    """Return whether no process has this id any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
