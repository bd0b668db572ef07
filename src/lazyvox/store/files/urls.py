"""URLs in the place of paths: recognised, and shown without credentials.

A URL may hold a password, or a signature that is as good as one. What travels through lazyvox, and
so into messages, plans and pickles, is the URL without them; the whole one stays in a table of
this process, from which only requests take it.
"""

import re
import threading
from urllib.parse import unquote, urlsplit, urlunsplit

from lazyvox.runtime.once import one_per_process

__all__ = [
    "HIDDEN",
    "advice_on_folder",
    "is_url",
    "local_path",
    "public_url",
    "scheme_with_one_slash",
    "url_below",
    "url_beside",
    "whole_url",
    "without_query",
    "without_urls",
]

#: In the place of a part of a URL that nobody may see.
HIDDEN = "***"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(?:://|::)")
_ONE_SLASH = re.compile(r"(?:^|/)(https?|s3a?|gc?s|az|abfss?|ftp|file):/(?!/)")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s'\"<>]+")
_SECRET = re.compile(
    r"sig|token|secret|pass|pwd|cred|auth|key|session|x-amz-|x-goog-|policy|jwt|bearer|ticket|hmac",
    re.IGNORECASE,
)
#: A user and a part of a password where a host and a port should be.
_PASSWORD_WITH_SLASH = re.compile(r"[^/@\[\]]*:[^/@]*[^/@0-9][^/@]*/.*@")
#: Azure names a container where others name a user.
_CONTAINER = re.compile(r"(?:abfss?|az|wasbs?)$", re.IGNORECASE)
_LOCAL = ("file://", "local://")
_MOST_KEPT = 1 << 17


class _WholeUrls:
    """The URLs with credentials that this process was given, by those without."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Replace the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()

    def keep(self, public: str, whole: str) -> None:
        with self._lock:
            self._urls.pop(public, None)
            self._urls[public] = whole
            while len(self._urls) > _MOST_KEPT:
                del self._urls[next(iter(self._urls))]

    def find(self, public: str) -> str:
        return self._urls.get(public, public)


_WHOLE = one_per_process(_WholeUrls())


def is_url(path: str) -> bool:
    """Return whether a text is a URL, or one behind another as ``simplecache::s3://a/b``."""
    return _URL.match(path) is not None


def scheme_with_one_slash(path: str) -> str:
    """Return the scheme of a URL that was made a path, and lost a slash by it; else nothing."""
    found = _ONE_SLASH.search(path)
    return found[1] if found else ""


def local_path(url: str) -> str | None:
    """Return the path of a ``file://`` URL; None for all others."""
    if not url.lower().startswith(_LOCAL):
        return None
    rest = url.split("://", 1)[1]
    return unquote(rest.removeprefix("localhost"))


def public_url(url: str) -> str:
    """Return a URL without credentials; the whole one is kept in this process, for requests.

    Examples
    --------
    >>> public_url("https://me:word@host/run.nii.gz?id=3&X-Amz-Signature=ab12")
    'https://***@host/run.nii.gz?id=3&X-Amz-Signature=***'
    """
    public = _hidden(url)
    if public != url and HIDDEN not in url:
        _WHOLE.keep(public, url)
    return public


def whole_url(public: str) -> str:
    """Return the URL with the credentials that this process was given for it, if any."""
    return _WHOLE.find(public)


def url_beside(url: str, ending: str) -> str:
    """Return the URL of the object beside another that has its name and an ending more."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + ending))


def url_below(url: str, name: str) -> str:
    """Return the URL of an object in the folder that another URL names, with a slash at its end or not.

    Examples
    --------
    >>> url_below("https://host/run.zarr/?id=3", "zarr.json")
    'https://host/run.zarr/zarr.json?id=3'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def without_query(url: str) -> str:
    """Return a URL up to the end of its path."""
    return url.partition("#")[0].partition("?")[0]


def without_urls(text: str) -> str:
    """Return a text, such as the message of another package, with no credentials in its URLs."""
    return _IN_TEXT.sub(lambda match: _hidden(match[0]), text)


def advice_on_folder(url: str) -> str:
    """Return a sentence for who may have named a folder of Zarr; empty for other URLs."""
    is_zarr = ".zarr" in without_query(url).lower()
    return "The URL of a folder of Zarr ends in .zarr, that of its root." if is_zarr else ""


def _hidden(url: str) -> str:
    # Each link of a chain, as in zip://a.nii::https://me:word@host/b.zip.
    return "::".join(_hidden_link(link) for link in url.split("::"))


def _hidden_link(url: str) -> str:
    head, mark, rest = url.partition("://")
    if not mark:
        return url
    place, slash, path = rest.partition("/")
    if _PASSWORD_WITH_SLASH.match(rest):
        place, slash, path = rest.rpartition("@")[0] + "@", "", rest.rpartition("@")[2]
    user = place.rpartition("@")[0]
    if user and (":" in user or not _CONTAINER.match(head)):
        place = f"{HIDDEN}@{place.rpartition('@')[2]}"
    # Fragments are never sent, and hold tokens at times.
    path, hash_, fragment = path.partition("#")
    path, question, query = path.partition("?")
    return (
        f"{head}{mark}{place}{slash}{path}{question}{_hidden_fields(query)}"
        f"{hash_}{_hidden_fields(fragment)}"
    )


def _hidden_fields(query: str) -> str:
    return "&".join(map(_hidden_value, query.split("&")))


def _hidden_value(field: str) -> str:
    name, equals, value = field.partition("=")
    return f"{name}={HIDDEN}" if equals and value and _SECRET.search(name) else field
