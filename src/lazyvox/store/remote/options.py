"""Options of URLs: what a call or a block of code gives, and what of it may travel."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.paths import absolute_path
from lazyvox.store.files.urls import is_url
from lazyvox.store.remote.retrying import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OWN_OPTIONS", "Access", "carried", "chosen_options", "storage_options"]

ParamT = ParamSpec("ParamT")
ResultT = TypeVar("ResultT")

_TIMEOUT_S = 30.0
_RETRIES = 5
#: Bytes per second: a link that people wait for sends more, a server that drips sends less.
_MIN_SPEED = 1000.0
#: Options of lazyvox itself; all others are those of the file system that the URL names.
OWN_OPTIONS = ("timeout", "min_speed", "retries", "cache_dir")
#: Texts that are no secret: where something is, not who asks for it.
_PUBLIC_TEXTS = frozenset(
    {"account_name", "cache_dir", "endpoint_url", "location", "org", "profile", "project"}
    | {"protocol", "region_name", "repo", "sha", "signature_version"}
)

_options: ContextVar[Mapping[str, Any] | None] = ContextVar("storage_options", default=None)


class _Given:
    """Options that hold secrets, by a token that another process can do nothing with."""

    def __init__(self) -> None:
        self._by_token: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Replace the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()

    def keep(self, options: Mapping[str, Any]) -> str:
        with self._lock:
            for token, known in self._by_token.items():
                if known == options:
                    return token
            token = token_hex(8)
            self._by_token[token] = options
            return token

    def find(self, token: str) -> Mapping[str, Any] | None:
        return self._by_token.get(token)


_GIVEN = one_per_process(_Given())


@dataclass(frozen=True, slots=True)
class Access:
    """Options that a URL was opened with. It pickles without those that are secret.

    Attributes
    ----------
    public : tuple of (str, object)
        Options that may be seen.
    withheld : tuple of str
        Names of those that may not: keys, tokens, headers.
    token : str
        Where this process keeps them.
    """

    public: tuple[tuple[str, Any], ...] = ()
    withheld: tuple[str, ...] = ()
    token: str = ""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Access:
        """Return the record of options."""
        public, withheld = _shared(options)
        token = _GIVEN.keep(options) if withheld else ""
        return cls(tuple(public.items()), tuple(withheld), token)

    @property
    def options(self) -> dict[str, Any]:
        """All options in the process that was given them; elsewhere those that may be seen."""
        given = _GIVEN.find(self.token) if self.token else None
        return dict(self.public) if given is None else dict(given)

    @property
    def foreign_options(self) -> dict[str, Any]:
        """Options of the file system."""
        return {name: value for name, value in self.options.items() if name not in OWN_OPTIONS}

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of options that did not come to this process."""
        return self.withheld if self.token and _GIVEN.find(self.token) is None else ()

    @property
    def patience(self) -> Patience:
        """Limits of waiting for a server."""
        options = self.options
        timeout = float(options.get("timeout", _TIMEOUT_S))
        return Patience(timeout, float(options.get("min_speed", _MIN_SPEED)))

    @property
    def retries(self) -> int:
        """Requests that are made again, one after the other, before it is an error."""
        return int(self.options.get("retries", _RETRIES))

    @property
    def cache_dir(self) -> str | None:
        """Folder in which fetched blocks are kept."""
        return self.options.get("cache_dir")


@contextmanager
def storage_options(**options: Any) -> Iterator[None]:
    """Context in which URLs are opened with these options.

    Parameters
    ----------
    **options : object
        Options of the file system that a URL names, by fsspec's names: ``anon=True`` for a public
        bucket of S3, ``key`` and ``secret``, ``endpoint_url``; ``headers``, a dict, for
        ``https://``. And those of lazyvox, for all: ``timeout``, the seconds for which a server
        may be silent (30); ``min_speed``, the bytes per second that it must send over so many
        seconds of waiting (1000, 0 for no bound); ``retries``, how often a request that failed is made again (5);
        ``cache_dir``, a folder in which fetched blocks are kept.

    Yields
    ------
    None
        Nothing. Options of an outer block hold where they have other names.

    Raises
    ------
    ParameterError
        If `timeout`, `min_speed` or `retries` is out of range.
    ParameterTypeError
        If one of them is of a wrong type.

    Notes
    -----
    Memory: O(1). An image keeps the options with which it was opened. Blocks are separate for
    each thread and each asynchronous task.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with lv.storage_options(anon=True, timeout=10):
    ...     img = lv.load("run.nii.gz")
    """
    token = _options.set(chosen_options(options))
    try:
        yield
    finally:
        _options.reset(token)


def carried(func: Callable[ParamT, ResultT]) -> Callable[ParamT, ResultT]:
    """Return a function that opens URLs with the options in force here, in other processes too.

    Options that hold secrets stay in this process.
    """
    options = _options.get()
    return partial(_call_with, Access.of(options), func) if options else func


def _call_with(access: Access, func: Callable[..., ResultT], *args: Any, **kwargs: Any) -> ResultT:
    with storage_options(**access.options):
        return func(*args, **kwargs)


def chosen_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of a call and of the blocks around it, those of lazyvox checked."""
    given: object = options
    if given is not None and not isinstance(given, Mapping):
        msg = f"`storage_options` must be a dict of options by name. Got {type(given).__name__}."
        raise ParameterTypeError(msg)
    chosen = {**(_options.get() or {}), **(options or {})}
    _check_number(chosen, "timeout", lowest=0.001)
    _check_number(chosen, "min_speed", lowest=0)
    _check_number(chosen, "retries", lowest=0)
    folder = chosen.get("cache_dir")
    if folder is not None:
        if not isinstance(folder, str | os.PathLike):
            msg = f"the storage option `cache_dir` must be a path. Got {type(folder).__name__}."
            raise ParameterTypeError(msg, parameter="cache_dir")
        chosen["cache_dir"] = absolute_path(folder)
        if is_url(chosen["cache_dir"]):
            msg = f"the storage option `cache_dir` must be a local folder. Got {chosen['cache_dir']!a}."
            raise ParameterError(msg, parameter="cache_dir")
    return chosen


def _check_number(options: Mapping[str, Any], name: str, lowest: float) -> None:
    value = options.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"the storage option `{name}` must be a number. Got {value!r}."
        raise ParameterTypeError(msg, parameter=name)
    if not lowest <= value < math.inf:
        msg = f"the storage option `{name}` must be a number from {lowest:g} on, and not infinite. Got {value}."
        raise ParameterError(msg, parameter=name, value=value)


def _shared(options: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the options that may be seen, and the names of those that may not."""
    public: dict[str, Any] = {}
    withheld: list[str] = []
    for name, value in options.items():
        is_plain = value is None or isinstance(value, bool | int | float)
        is_place = isinstance(value, str) and name in _PUBLIC_TEXTS and "@" not in value
        if isinstance(value, Mapping):
            inner, hidden = _shared(value, f"{prefix}{name}.")
            withheld += hidden
            if inner:
                public[name] = inner
        elif is_plain or is_place:
            public[name] = value
        else:
            withheld.append(f"{prefix}{name}")
    return public, withheld
