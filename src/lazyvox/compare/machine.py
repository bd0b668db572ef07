"""Description of the machine: cores, memory, versions; no names of machines, users or folders."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lazyvox._version import __version__
from lazyvox.runtime.cgroup import PROC_ROOT, read_text
from lazyvox.runtime.cores import usable_cores
from lazyvox.runtime.limits import available_memory

__all__ = ["describe_machine"]

_PACKAGES = ("numpy", "nibabel", "nilearn", "joblib", "isal", "indexed_gzip")


def describe_machine() -> dict[str, Any]:
    """Return facts about the machine, for JSON.

    Returns
    -------
    dict
        Cores, memory, system, processor and versions.

    Examples
    --------
    >>> describe_machine()["cores"] > 0
    True
    """
    import psutil

    return {
        "cores": usable_cores(),
        "processor": _processor(),
        "memory_bytes": int(psutil.virtual_memory().total),
        "available_bytes": available_memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "versions": {
            "lazyvox": __version__,
            **{name: found for name in _PACKAGES if (found := _version(name))},
        },
    }


def _processor() -> str:
    for line in read_text(PROC_ROOT / "cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
