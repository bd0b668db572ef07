"""Write the pages of the API reference: one for each public package, one for each public name.

The names come from `lazyvox` itself, so that no list can grow stale. `conf.py` calls `write_pages`
before Sphinx reads its sources; tests call `find_packages`.
"""

import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import lazyvox

__all__ = ["Package", "find_packages", "write_pages"]

# Public, but not attributes of `lazyvox` after `import lazyvox`.
_IMPORTED_BY_NAME = ("cohort", "connectome", "stream", "summary", "testing")
_KINDS = ("Functions", "Classes", "Exceptions and warnings", "Values")
_DIRECTIVES = dict(zip(_KINDS, ("function", "class", "exception", "data"), strict=True))
# Tasks of the names of `lazyvox` itself, by the packages that define them; errors come last.
_TASKS = {
    "Load, save and share images": ("array", "lazyimage", "store"),
    "Signals of regions": ("extraction", "connectome", "seedmaps", "cohort", "maskers"),
    "Confounds": ("confounds", "signal"),
    "Images of statistics": ("image",),
    "Statistics and copies in one pass": ("stream", "summary", "quality", "glm"),
    "Look at images": ("viewer",),
    "Memory, plans and measurement": ("planning", "runtime"),
    "Lazy readers": ("preload",),
}
_LAST = "Errors and warnings"


@dataclass(frozen=True, slots=True)
class Package:
    """A public package.

    Attributes
    ----------
    name : str
        Its full name.
    pages : dict of str to str
        For each public name the full name under which it is documented: `lazyvox.stream.Mean` is
        `lazyvox.Mean`.
    """

    name: str
    pages: dict[str, str]


def find_packages() -> list[Package]:
    """Return `lazyvox` and its public packages, with their names."""
    modules = [lazyvox, *_subpackages()]
    documented: dict[int, str] = {}
    packages = []
    for module in modules:
        pages = {}
        for name in sorted(module.__all__):
            value = getattr(module, name)
            if isinstance(value, ModuleType) or name.startswith("__"):
                continue
            full = f"{module.__name__}.{name}"
            pages[name] = documented.setdefault(id(value), full)
        packages.append(Package(module.__name__, pages))
    return packages


def write_pages(folder: Path) -> None:
    """Write all pages; files that would not change keep their time, so that builds stay short."""
    (folder / "packages").mkdir(parents=True, exist_ok=True)
    packages = find_packages()
    texts = {f"packages/{package.name}.rst": _package_page(package) for package in packages}
    for package in packages:
        for name, page in package.pages.items():
            if page == f"{package.name}.{name}":
                texts[f"{page}.rst"] = _object_page(page, packages)
    for path in folder.rglob("*.rst"):
        if path.relative_to(folder).as_posix() not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _subpackages() -> list[ModuleType]:
    exported = (getattr(lazyvox, name) for name in lazyvox.__all__)
    names = {value.__name__ for value in exported if isinstance(value, ModuleType)}
    names |= {f"lazyvox.{name}" for name in _IMPORTED_BY_NAME}
    return [importlib.import_module(name) for name in sorted(names)]


def _resolve(page: str) -> object:
    module, _, name = page.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "Exceptions and warnings" if issubclass(value, BaseException) else "Classes"
    return "Functions" if inspect.isroutine(value) else "Values"


def _task(page: str) -> str:
    """Return the task that a name of `lazyvox` is for."""
    value = _resolve(page)
    if inspect.isclass(value) and issubclass(value, BaseException):
        return _LAST
    home = (getattr(value, "__module__", None) or "").split(".")[1:2]
    return next((task for task, homes in _TASKS.items() if home and home[0] in homes), "Other")


def _heading(text: str) -> list[str]:
    return [text, "=" * len(text), ""]


def _package_page(package: Package) -> str:
    """Return a page with tables of the names, and a hidden list of their pages."""
    summary = (inspect.getdoc(importlib.import_module(package.name)) or "").splitlines()[0]
    lines = [*_heading(package.name), f".. py:module:: {package.name}", "", summary, ""]
    groups: dict[str, list[str]] = {}
    for page in package.pages.values():
        name = _task(page) if package.name == "lazyvox" else _kind(_resolve(page))
        groups.setdefault(name, []).append(page)
    order = [*_TASKS, *_KINDS, *sorted(groups), _LAST]
    names = sorted(groups, key=lambda one: (one == _LAST, order.index(one)))
    for name in names:
        lines += [f".. rubric:: {name}", "", ".. list-table::", "   :widths: 35 65", ""]
        lines += [row for page in groups[name] for row in _row(page)] + [""]
    listed = [page for name in names for page in groups[name]]
    own = [page for page in listed if page.rpartition(".")[0] == package.name]
    if own:
        lines += [".. toctree::", "   :hidden:", "", *(f"   ../{page}" for page in own), ""]
    return "\n".join(lines)


def _row(page: str) -> tuple[str, str]:
    """Return the row of a table of names: a link, and the first paragraph of the docstring."""
    value = _resolve(page)
    text = "" if _kind(value) == "Values" else inspect.getdoc(value) or ""
    first, _, _ = text.partition("\n\n")
    return f"   * - `~{page}`", f"     - {' '.join(first.split())}"


def _object_page(page: str, packages: list[Package]) -> str:
    """Return the page of one name."""
    value = _resolve(page)
    module, _, name = page.rpartition(".")
    directive = _DIRECTIVES[_kind(value)]
    lines = [*_heading(name), f".. currentmodule:: {module}", "", f".. auto{directive}:: {name}"]
    if inspect.isclass(value):
        lines += [f"   :members: {', '.join(_members(value))}"] * bool(_members(value))
    aliases = [f"{each.name}.{name}" for each in packages if each.pages.get(name) == page]
    aliases.remove(page)
    if aliases:
        lines += ["", "Also " + ", ".join(f"``{alias}``" for alias in aliases) + "."]
    return "\n".join([*lines, ""])


def _members(value: type) -> list[str]:
    """Return the public attributes of a class that lazyvox itself defines and documents."""
    own = (cls for cls in value.__mro__ if cls.__module__.partition(".")[0] == "lazyvox")
    members = (item for cls in own for item in vars(cls).items())
    return sorted(
        {
            name
            for name, member in members
            if not name.startswith("_") and _is_documented_here(member)
        }
    )


def _is_documented_here(member: object) -> bool:
    """Return False for fields, and for what scikit-learn's metaclass puts into estimators."""
    if not (inspect.isroutine(member) or isinstance(member, (property, classmethod))):
        return False
    home = getattr(member, "__module__", None) or "lazyvox"
    return home.startswith("lazyvox") and bool(inspect.getdoc(member))
