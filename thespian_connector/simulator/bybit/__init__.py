"""Bybit v5 spot on loopback: public REST and the public stream.

A request's way: `gate` (limits of one IP, faults of HTTP), `rest`, `data`. A stream's way: a market's batch -> `hub` ->
the `feeds` of what is subscribed (a cadence, an update id, a difference of views) -> `messages` (encoded once) ->
`socket`. What a client may ask on the stream is in `requests` and `topics`, without a socket.
"""

from .app import make_app, truth_stream, urls
from .settings import SETTINGS

__all__ = ["SETTINGS", "make_app", "truth_stream", "urls"]
