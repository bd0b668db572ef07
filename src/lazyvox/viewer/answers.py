"""Answers: JSON with finite numbers, errors, and binary files that are sent piece by piece."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from lazyvox._letters import printable_text
from lazyvox._typing import override
from lazyvox.errors import FileChangedError, ImageIndexError, LazyvoxError, ParameterError
from lazyvox.viewer.lanes import GoneError, Slots

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["BinaryResponse", "error_response", "failure_response", "json_response", "json_text"]

_PIECE_BYTES = 256 << 10

#: A page that takes nothing for so long holds no volume any longer.
_STALLED_S = 30.0


class BinaryResponse(Response):
    """A binary file that is made when there is a slot for it, and holds the slot until it is sent.

    Parameters
    ----------
    make : callable
        Makes the file; None where it is no longer waited for.
    slots : Slots
        Bound of such files.
    """

    media_type = "application/octet-stream"

    def __init__(self, make: Callable[[], Awaitable[bytearray | None]], slots: Slots) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        self._make = make
        self._slots = slots

    @override
    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async with self._slots.one():
            file = await self._make()
            if file is None:
                raise GoneError
            self.headers["content-length"] = str(len(file))
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            view = memoryview(file)
            for at in range(0, len(view), _PIECE_BYTES):
                piece = bytes(view[at : at + _PIECE_BYTES])
                is_more = at + _PIECE_BYTES < len(view)
                message = {"type": "http.response.body", "body": piece, "more_body": is_more}
                async with asyncio.timeout(_STALLED_S):
                    await send(message)


def json_text(value: Any) -> str:
    """Return JSON for a page: texts as they can be shown, null for numbers that are not finite."""
    return json.dumps(_shown(value), allow_nan=False, separators=(",", ":"))


def json_response(value: Any, status: int = 200) -> Response:
    """Return an answer in JSON."""
    headers = {"cache-control": "no-store"}
    return Response(json_text(value), status, headers, "application/json")


def failure_response(status: int, message: str, hint: str | None = None) -> Response:
    """Return an error."""
    return json_response({"error": message, "hint": hint}, status)


def error_response(error: LazyvoxError) -> Response:
    """Return an error of lazyvox, with the status that tells a page what it is."""
    status = 409
    if isinstance(error, FileChangedError):
        status = 410
    elif isinstance(error, ParameterError | ImageIndexError):
        status = 400
    return failure_response(status, error.message, error.hint or None)


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if isinstance(value, str):
        return printable_text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
