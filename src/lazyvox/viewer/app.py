"""The requests that a page makes, and their answers."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazyvox.errors import FileChangedError, ImageIndexError, LazyvoxError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from lazyvox.viewer.opened import Opened

__all__ = ["STATIC", "make_app"]

STATIC = Path(__file__).parent / "static"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


def make_app(opened: "Opened", token: str) -> "Starlette":
    """Return the application."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import FileResponse, Response
    from starlette.routing import Route

    files = {
        file.relative_to(STATIC).as_posix(): file
        for file in STATIC.rglob("*")
        if file.is_file() and file.suffix in _TYPES
    }
    subject = opened.subject
    known: dict[str, Any] = {}

    async def index(request: "Request") -> "Response":
        del request
        return FileResponse(files["index.html"], media_type=_TYPES[".html"])

    async def static(request: "Request") -> "Response":
        file = files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(file, media_type=_TYPES[file.suffix])

    async def info(request: "Request") -> "Response":
        del request
        if not known:
            known.update(await run_in_threadpool(opened.info))
        return _json(known)

    async def volume(request: "Request") -> "Response":
        number = request.path_params["t"]
        if number >= subject.grid.n_volumes:
            raise HTTPException(404, f"The run has {subject.grid.n_volumes} volumes.")
        body = await run_in_threadpool(subject.volume, number)
        return Response(bytes(body), media_type="application/octet-stream")

    async def series(request: "Request") -> "Response":
        voxel = subject.checked_voxel(_voxel(request))
        values = await run_in_threadpool(subject.course, voxel)
        xyz = subject.grid.affine @ [*voxel, 1.0]
        return _json(
            {
                "voxel": list(voxel),
                "mm": xyz[:3].tolist(),
                "value": [float(one) for one in values],
                "region": None,
                "unit": "",
            }
        )

    routes: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
        ("/", index),
        ("/static/{name:path}", static),
        ("/info", info),
        ("/volume/{t:int}", volume),
        ("/series", series),
    ]
    prefix = f"/{token}"
    return Starlette(
        routes=[Route(prefix + path, call, methods=["GET"]) for path, call in routes],
        exception_handlers={LazyvoxError: _on_error, HTTPException: _on_http_error},
    )


def _json(value: Any, status: int = 200) -> "Response":
    from starlette.responses import Response

    body = json.dumps(_finite(value), allow_nan=False, separators=(",", ":")).encode()
    return Response(
        body, status, media_type="application/json", headers={"cache-control": "no-store"}
    )


def _finite(value: Any) -> Any:
    """Return a value of JSON with null for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _voxel(request: "Request") -> tuple[int, int, int]:
    found = []
    for name in "ijk":
        text = request.query_params.get(name, "")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            msg = f"`{name}` must be the number of a voxel. Got {text[:20]!r}."
            raise ParameterError(msg)
        found.append(int(text))
    return found[0], found[1], found[2]


def _on_error(request: "Request", error: Exception) -> "Response":
    del request
    assert isinstance(error, LazyvoxError)
    status = 409
    if isinstance(error, FileChangedError):
        status = 410
    elif isinstance(error, ParameterError | ImageIndexError):
        status = 400
    return _json({"error": error.message, "hint": error.hint or None}, status)


def _on_http_error(request: "Request", error: Exception) -> "Response":
    from starlette.exceptions import HTTPException

    del request
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail, "hint": None}, error.status_code)
