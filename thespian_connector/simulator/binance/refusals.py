"""The answers 429, 418 and 403: counted, and spelled as Binance does."""

from __future__ import annotations

from aiohttp import web

from thespian_connector.simulator.venue import Venue

from .errors import html, json_response
from .limits import Refusal

_FORBIDDEN = "<p>The request could not be satisfied.</p>\r\n"


def refuse(venue: Venue, refusal: Refusal, request: web.Request) -> web.Response:
    """The response to a request that is not served; it is counted by who is to blame."""
    venue.usage.refused(refusal.status, injected=refusal.injected)
    if refusal.status == 403:
        response = html(403, "Forbidden", _FORBIDDEN)
    elif refusal.status == 418:
        text = f"Way too much request weight used; IP banned until {refusal.banned_until_ms}."
        text += " Please use WebSocket Streams for live updates to avoid bans."
        response = json_response({"code": -1003, "msg": text}, status=418)
    else:
        limit = int(venue.setting("weight_limit"))
        text = f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
        text += " Please use WebSocket Streams for live updates to avoid polling the API."
        response = json_response({"code": -1003, "msg": text}, status=429)
    response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response
