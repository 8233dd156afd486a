"""Bybit v5 spot on loopback: REST, the public and the private stream, the trade socket.

A request's way: `gate` (limits of one IP, faults of HTTP), `rest`, `data`. A stream's way: a market's batch -> `hub` ->
the `feeds` of what is subscribed (a cadence, an update id, a difference of views) -> `messages` (encoded once) ->
`socket`. What a client may ask on the stream is in `requests` and `topics`, without a socket.

An order's way: `private_rest` or `trade_socket` -> `auth` (key, clock, signature), `rates` -> `entry` -> `trading`
(`order_params` checks it) -> the desk. What becomes of it: the desk's events -> `pushes` (worded by `order_views`) ->
`private_socket`; `queries` and `account` answer what is asked about it.
"""

from .app import make_app, truth_stream, urls
from .order_views import told
from .settings import SETTINGS

__all__ = ["SETTINGS", "make_app", "told", "truth_stream", "urls"]
