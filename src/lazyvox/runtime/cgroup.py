"""The control groups that this process is in: where containers and clusters write their limits."""

from pathlib import Path

__all__ = ["CGROUP_ROOT", "PROC_ROOT", "cgroup_folders", "read_text"]

PROC_ROOT = Path("/proc")
CGROUP_ROOT = Path("/sys/fs/cgroup")


def read_text(path: Path) -> str:
    """Return the text of a kernel file, empty where there is none or it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _own_and_parents(base: Path, group: str) -> list[Path]:
    """Return the folders of a group below `base`, innermost first, `base` last."""
    names = [name for name in group.strip().split("/") if name]
    # A path through ".." is outside of the namespace of this container: its own root limits it.
    if ".." in names:
        names = []
    folders = [base.joinpath(*names[:count]) for count in range(len(names), -1, -1)]
    # Inside a container the path may be the host's while only its own group is mounted, at `base`.
    return [folder for folder in folders if folder.is_dir()]


def cgroup_folders(controller: str, *, proc_root: Path, cgroup_root: Path) -> list[Path]:
    """Return every folder that may hold a limit of one controller for this process.

    Parameters
    ----------
    controller : str
        Name of the controller, "memory" or "cpu".
    proc_root, cgroup_root : Path
        Where procfs and the control groups are mounted.

    Returns
    -------
    list of Path
        Existing folders of version 2 and version 1 groups: the group of this process and all
        groups around it, since the tightest of them counts. Empty where there are none.
    """
    folders: list[Path] = []
    for line in read_text(proc_root / "self" / "cgroup").splitlines():
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            folders += _own_and_parents(cgroup_root, group)
        elif controller in controllers.split(","):
            folders += _own_and_parents(cgroup_root / controller, group)
    return folders
