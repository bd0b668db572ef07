"""From the URL of an object and its options to what fetches it."""

from __future__ import annotations

import base64
import netrc
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from lazyvox.errors import ImagePermissionError, ParameterError, ParameterTypeError
from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import HIDDEN, whole_url
from lazyvox.store.remote.http_object import Address, HttpObject
from lazyvox.store.remote.kept_blocks import KeptBlocks
from lazyvox.store.remote.options import OWN_OPTIONS

if TYPE_CHECKING:
    from lazyvox.store.remote.options import Access
    from lazyvox.store.remote.transport import Transport

__all__ = ["transport_of"]

#: Each holds an address.
_MOST_KNOWN = 256
_HTTP = ("http://", "https://")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


class _Transports:
    """Transports of the objects that were read last. Safe for threads and forks."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all: file systems of fsspec, with their threads, do not survive a fork."""
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Transport] = {}

    def get(self, key: tuple[str, str]) -> Transport | None:
        return self._known.get(key)

    def keep(self, key: tuple[str, str], transport: Transport) -> None:
        with self._lock:
            self._known[key] = transport
            while len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]


_TRANSPORTS = one_per_process(_Transports())


def transport_of(shown: str, access: Access) -> Transport:
    """Return what fetches an object.

    Parameters
    ----------
    shown : str
        Its URL, without credentials.
    access : Access
        Its options.

    Returns
    -------
    Transport
        By HTTP where the object has such an address, a signed one included; else by the calls of
        its file system.

    Raises
    ------
    ImagePermissionError
        If credentials are missing that were given to another process.
    ParameterError
        If an option is unknown.
    MissingDependencyError
        If a package is not installed.
    """
    # The whole URL too: another signature may have come for the same object.
    key = whole_url(shown), repr(access)
    known = _TRANSPORTS.get(key)
    if known is None:
        known = _new_transport(shown, access)
        if access.cache_dir is not None:
            known = KeptBlocks(shown, known, access.cache_dir)
        _TRANSPORTS.keep(key, known)
    return known


def _new_transport(shown: str, access: Access) -> Transport:
    advice = _advice(access)
    if shown.lower().startswith(_HTTP):
        options = access.foreign_options
        headers = _checked_headers(options)
        is_anonymous = bool(options.get("anon"))

        def find() -> Address:
            return _plain_address(shown, headers, is_anonymous=is_anonymous)

        return HttpObject(shown, find, access.patience, advice)
    from lazyvox.store.remote.filesystems import find_transport

    return find_transport(shown, access, advice)


def _advice(access: Access) -> str:
    if access.missing:
        names = ", ".join(f"`{name}`" for name in access.missing)
        return (
            f"Its options {names} hold secrets and do not leave the process in which it was "
            f"opened: give credentials to this one by its environment, or open it here."
        )
    return "Look at the URL, and at the credentials in the environment or the storage options."


def _plain_address(shown: str, headers: Mapping[str, str], *, is_anonymous: bool) -> Address:
    """Return the address of an ``http(s)://`` URL, with the password in it or in ``~/.netrc``."""
    url = whole_url(shown)
    if HIDDEN in url:
        msg = (
            f"{printable(shown)}: credentials are needed that this process was not given: they "
            f"are in the URL, and do not leave the process in which it was opened."
        )
        raise ImagePermissionError(msg, hint="Open the URL here, or use ~/.netrc.")
    parts = _checked_parts(shown, url)
    place = parts.netloc.rpartition("@")[2]
    sent = dict(headers)
    if not is_anonymous and not any(name.lower() == "authorization" for name in sent):
        login = _login(parts.username, parts.password, parts.hostname or "")
        if login is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return Address.of(urlunsplit(parts._replace(netloc=place)), sent)


def _checked_parts(shown: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_place = False
    if not is_place:
        msg = f"{printable(shown)}: a URL must name a host, and a port from 1 to 65535, if any."
        raise ParameterError(msg)
    return parts


def _login(user: str | None, password: str | None, host: str) -> str | None:
    if user is not None:
        return f"{unquote(user)}:{unquote(password or '')}"
    try:
        # No default of all hosts: it would be sent wherever a URL leads.
        found = netrc.netrc().hosts.get(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return None if found is None else f"{found[0]}:{found[2]}"


def _checked_headers(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers among the options of an ``http(s)://`` URL; there are no others."""
    unknown = sorted(set(options) - {"anon", "headers"})
    if unknown:
        msg = (
            f"storage options of http:// and https:// URLs must be `headers`, `anon`, "
            f"{', '.join(f'`{name}`' for name in OWN_OPTIONS[:-1])} or `{OWN_OPTIONS[-1]}`. "
            f"Got {', '.join(map(repr, unknown))}."
        )
        raise ParameterError(msg, parameter="storage_options")
    headers = options.get("headers", {})
    is_mapping = isinstance(headers, Mapping)
    if not is_mapping or not all(isinstance(value, str) for value in headers.values()):
        msg = f"the storage option `headers` must be a dict of texts by name. Got {type(headers).__name__}."
        raise ParameterTypeError(msg, parameter="headers")
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_TEXT.fullmatch(text):
            # Not its text: it may be a secret.
            msg = (
                f"the storage option `headers` must hold names without spaces, and texts of "
                f"Latin letters in one line. Got another one for {name!a}."
            )
            raise ParameterError(
                msg,
                parameter="headers",
                hint="A token from a file may end in a newline: strip it.",
            )
    return dict(headers)
