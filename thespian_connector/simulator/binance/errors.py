"""Binance's errors: a code, a text, an HTTP status. ``{"code":-1121,"msg":"Invalid symbol."}``"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

_NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n{1}</body>\r\n</html>\r\n"
)


class ApiError(Exception):
    """A request that Binance refuses. `code` is negative; `status` the HTTP status.

    :param data: what some errors tell beyond code and text: the legs of a cancelReplace.
    :param executed: whether a part of the request was done all the same.
    """

    def __init__(
        self,
        code: int,
        message: str,
        status: int = 400,
        *,
        data: Any = None,
        executed: bool = False,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.data = data
        self.executed = executed
        self.retry_after_s = retry_after_s

    def document(self) -> dict[str, Any]:
        """``{"code","msg"[,"data"]}``."""
        document: dict[str, Any] = {"code": self.code, "msg": self.message}
        if self.data is not None:
            document["data"] = self.data
        return document

    def response(self) -> web.Response:
        """The answer on the wire."""
        response = json_response(self.document(), status=self.status)
        if self.retry_after_s is not None:
            response.headers["Retry-After"] = str(self.retry_after_s)
        return response


def json_response(document: Any, *, status: int = 200) -> web.Response:
    """A JSON answer. Bytes are taken as JSON already."""
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json", charset="UTF-8")


def html(status: int, title: str, detail: str = "<hr><center>nginx</center>\r\n") -> web.Response:
    """What stands in front of Binance's own servers answers in HTML."""
    return web.Response(text=_NGINX.format(f"{status} {title}", detail), status=status, content_type="text/html")


def invalid_symbol() -> ApiError:
    return ApiError(-1121, "Invalid symbol.")


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def empty(name: str) -> ApiError:
    return ApiError(-1105, f"Parameter '{name}' was empty.")


def illegal(name: str, pattern: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def invalid(name: str) -> ApiError:
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def exclusive(first: str, second: str) -> ApiError:
    return ApiError(-1128, f"Combination of optional parameters invalid: '{first}' and '{second}'.")
