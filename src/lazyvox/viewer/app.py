"""The requests that a page makes, and their answers."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from lazyvox.errors import LazyvoxError
from lazyvox.planning.memory import counted
from lazyvox.viewer.answers import (
    BinaryResponse,
    error_response,
    failure_response,
    json_response,
    json_text,
)
from lazyvox.viewer.background import MAPS
from lazyvox.viewer.clicks import Course, Voxel
from lazyvox.viewer.lanes import BusyError, GoneError, Lane, unless_gone
from lazyvox.viewer.session import Session
from lazyvox.viewer.table import course_table

__all__ = ["POSTING", "STATIC", "make_app"]

ResultT = TypeVar("ResultT")

STATIC = Path(__file__).parent / "static"

#: Path of the only request that is a POST: the goodbye of a page.
POSTING = frozenset({"close"})

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

#: Seconds between two looks at the state, and between two signs of life.
_TICK_S, _ALIVE_TICKS = 0.2, 50


def make_app(session: Session, token: str) -> Starlette:
    """Return the application.

    Parameters
    ----------
    session : Session
        What requests ask for.
    token : str
        The first part of every path.

    Returns
    -------
    Starlette
        It starts and ends the session with the server.
    """
    routes = _Routes(session)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        session.start()
        try:
            yield
        finally:
            await asyncio.get_running_loop().run_in_executor(None, session.close)

    prefix = f"/{token}"
    reading = [
        Route(prefix + path, call, methods=["GET"]) for path, call in routes.by_path().items()
    ]
    posting = [Route(f"{prefix}/{path}", routes.close, methods=["POST"]) for path in POSTING]
    return Starlette(
        routes=[*reading, *posting],
        lifespan=lifespan,
        exception_handlers=routes.by_error(),
    )


class _Routes:
    """One method for each path."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._subject = session.opened.subject
        self._files = {
            file.relative_to(STATIC).as_posix(): file
            for file in STATIC.rglob("*")
            if file.is_file() and file.suffix in _TYPES
        }

    def by_path(self) -> dict[str, Callable[[Request], Awaitable[Response]]]:
        """Return what answers each path that is read."""
        return {
            "/": self.index,
            "/static/{name:path}": self.static,
            "/info": self.info,
            "/volume/{t}": self.volume,
            "/overlay/{id}": self.overlay,
            "/atlas": self.atlas,
            "/mask": self.mask,
            "/series": self.series,
            "/series.tsv": self.series_table,
            "/correlation": self.correlation,
            "/map/{name}": self.map,
            "/quality": self.quality,
            "/carpet.png": self.carpet,
            "/state": self.state,
            "/events-stream": self.events_stream,
        }

    def by_error(self) -> Any:
        """Return what answers each kind of error."""
        return {
            LazyvoxError: self.on_error,
            BusyError: self.on_busy,
            GoneError: self.on_gone,
            HTTPException: self.on_http_error,
            Exception: self.on_failure,
        }

    async def index(self, request: Request) -> Response:
        """Return the page."""
        del request
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        """Return a file of the page."""
        return self._file(request.path_params["name"])

    async def info(self, request: Request) -> Response:
        """Return facts about the run, with the windows of first volumes."""
        del request
        self._session.check_unchanged()
        return json_response(await self._session.volumes.run(self._session.facts))

    async def volume(self, request: Request) -> Response:
        """Return one volume; 202 where the pass is far from it yet."""
        number, background = _whole("t", request.path_params["t"]), self._session.background
        if number >= self._subject.grid.n_volumes:
            n_volumes = self._subject.grid.n_volumes
            raise HTTPException(404, f"The run has {counted(n_volumes, 'volume')}.")
        self._session.check_unchanged()
        if number >= background.n_available:
            waiting = {"state": "waiting", "available": background.n_available}
            return json_response(waiting, 202)
        return self._binary(
            request,
            self._session.volumes,
            lambda cancelled: self._session.volume(number, cancelled),
        )

    async def overlay(self, request: Request) -> Response:
        """Return one volume of an overlay."""
        overlays = self._session.opened.overlays
        number = _whole("id", request.path_params["id"])
        if number >= len(overlays):
            raise HTTPException(404, f"There are {len(overlays)} overlays.")
        volume = _number(request, "t", default=0)
        if volume >= overlays[number].grid.n_volumes:
            n_volumes = overlays[number].grid.n_volumes
            raise HTTPException(404, f"The overlay has {counted(n_volumes, 'volume')}.")
        return self._read(request, lambda: overlays[number].volume(volume))

    async def atlas(self, request: Request) -> Response:
        """Return the labels of regions."""
        if self._session.opened.atlas is None:
            raise HTTPException(404, "There is no atlas.")
        return self._read(request, self._session.opened.labels_file)

    async def mask(self, request: Request) -> Response:
        """Return the mask."""
        if self._session.opened.mask is None:
            raise HTTPException(404, "There is no mask.")
        return self._read(request, self._session.opened.mask_file)

    async def series(self, request: Request) -> Response:
        """Return the series of a voxel, and of its region."""
        course = await self._course(request)
        xyz = self._subject.grid.affine @ [*course.voxel, 1.0]
        atlas, region = self._session.opened.atlas, None
        if atlas is not None and course.label:
            values = None if course.region is None else course.region.tolist()
            name = atlas.names[course.label]
            region = {"label": course.label, "name": name, "value": values}
        return json_response(
            {
                "voxel": list(course.voxel),
                "mm": xyz[:3].tolist(),
                "value": course.values.tolist(),
                "region": region,
                "unit": "",
            }
        )

    async def series_table(self, request: Request) -> Response:
        """Return the same as a table to keep."""
        course = await self._course(request)
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", self._subject.name.split(".")[0]) or "run"
        name = f"{stem}_voxel-{'-'.join(map(str, course.voxel))}.tsv"
        return Response(
            course_table(course, self._subject.grid.t_r),
            media_type="text/tab-separated-values; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    async def correlation(self, request: Request) -> Response:
        """Return the correlation of every voxel with one."""
        voxel = self._voxel(request)
        self._session.check_unchanged()
        return self._binary(
            request,
            self._session.passes,
            lambda cancelled: self._session.clicks.correlation(voxel, cancelled),
        )

    async def map(self, request: Request) -> Response:
        """Return a map over time; 202 while the pass runs."""
        name, results = request.path_params["name"], self._session.background.results
        if name not in MAPS:
            raise HTTPException(404, f"The maps are {', '.join(MAPS)}.")
        if results is None:
            return self._not_yet()
        return self._read(request, lambda: results.maps[name])

    async def quality(self, request: Request) -> Response:
        """Return measures of volumes; 202 while the pass runs."""
        del request
        results = self._session.background.results
        return self._not_yet() if results is None else json_response(results.quality)

    async def carpet(self, request: Request) -> Response:
        """Return the carpet plot; 202 while the pass runs, 204 where no voxel varies."""
        del request
        results = self._session.background.results
        if results is None:
            return self._not_yet()
        if not results.carpet:
            # No fault, which a browser would put on its console: no voxel varies over time.
            return Response(status_code=204)
        return Response(results.carpet, media_type="image/png")

    async def state(self, request: Request) -> Response:
        """Return the state of pass, index and file."""
        del request
        return json_response(await self._state())

    async def events_stream(self, request: Request) -> Response:
        """Send the state whenever it changes; as long as the stream is open, a page is."""
        del request
        headers = {"cache-control": "no-store"}
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=headers)

    async def close(self, request: Request) -> Response:
        """Take the goodbye of a page, whose stream ends by itself."""
        del request
        return Response(status_code=204)

    async def on_error(self, request: Request, error: Exception) -> Response:
        """Answer with an error of lazyvox."""
        del request
        assert isinstance(error, LazyvoxError)
        answer = error_response(error)
        if answer.status_code == 410:
            self._session.has_changed(error)
        return answer

    async def on_busy(self, request: Request, error: Exception) -> Response:
        """Answer that the page is to ask again."""
        del request, error
        answer = failure_response(503, "The viewer is busy.", "Ask again in a second.")
        answer.headers["retry-after"] = "1"
        return answer

    async def on_gone(self, request: Request, error: Exception) -> Response:
        """Answer a page that no longer listens."""
        del request, error
        return Response(status_code=499)

    async def on_http_error(self, request: Request, error: Exception) -> Response:
        """Answer that there is no such thing."""
        del request
        assert isinstance(error, HTTPException)
        return failure_response(error.status_code, str(error.detail))

    async def on_failure(self, request: Request, error: Exception) -> Response:
        """Answer what is a mistake of the viewer's."""
        del request
        return failure_response(500, f"This should not happen: {type(error).__name__}: {error}.")

    def _file(self, name: str) -> Response:
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404, "There is no such file.")
        headers = {"cache-control": "no-cache"}
        # In one piece, of a few megabytes at most: pieces by threads take four times as long.
        return Response(file.read_bytes(), media_type=_TYPES[file.suffix], headers=headers)

    def _read(self, request: Request, call: Callable[[], bytearray | None]) -> Response:
        return self._binary(request, self._session.volumes, lambda _: call())

    def _binary(
        self, request: Request, lane: Lane, call: Callable[[threading.Event], bytearray | None]
    ) -> Response:
        return BinaryResponse(lambda: self._until_gone(request, lane, call), self._session.slots)

    async def _course(self, request: Request) -> Course:
        voxel = self._voxel(request)
        self._session.check_unchanged()
        return await self._until_gone(
            request,
            self._session.passes,
            lambda cancelled: self._session.clicks.course(voxel, cancelled),
        )

    async def _until_gone(
        self, request: Request, lane: Lane, call: Callable[[threading.Event], ResultT]
    ) -> ResultT:
        return await unless_gone(
            request,
            self._session.stopping,
            lambda cancelled: lane.run(lambda: call(cancelled)),
        )

    def _not_yet(self) -> Response:
        background = self._session.background
        background.hurry()
        if background.state == "failed":
            return failure_response(409, background.message)
        return json_response(background.to_dict()["pass"], 202)

    async def _state(self) -> dict[str, Any]:
        self._session.background.hurry()
        await self._session.looks.run(self._session.check_file)
        return self._session.state()

    async def _events(self) -> AsyncIterator[bytes]:
        session, last, n_quiet = self._session, "", 0
        session.page_opened()
        try:
            while not session.stopping.is_set():
                text = json_text(await self._state())
                n_quiet += 1
                if text != last:
                    yield f"data: {text}\n\n".encode()
                    last, n_quiet = text, 0
                elif n_quiet >= _ALIVE_TICKS:
                    yield b": alive\n\n"
                    n_quiet = 0
                await asyncio.sleep(_TICK_S)
        finally:
            session.page_closed()

    def _voxel(self, request: Request) -> Voxel:
        i, j, k = (_number(request, name) for name in "ijk")
        return self._subject.checked_voxel((i, j, k))


def _number(request: Request, name: str, default: int | None = None) -> int:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    return _whole(name, text or "")


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise HTTPException(400, f"{name} must be a whole number from 0 to 999999999.")
    return int(text)
