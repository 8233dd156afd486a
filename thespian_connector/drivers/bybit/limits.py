"""Bybit's limits as data (Bybit v5: Rate Limit Rules; Connect; Subscribe)."""

from __future__ import annotations

from thespian_connector.drivers.base import Limit, StreamLimits

#: All hosts together count. Over it: HTTP 403, and the IP must send nothing for `BAN_S`.
REQUESTS = Limit(name="requests_5s", kind="requests", cap=600, window_s=5, aligned=False)
#: WebSocket connects to one domain.
CONNECTS = Limit(name="connects_5m", kind="connects", cap=500, window_s=300, aligned=False)
LIMITS = (REQUESTS, CONNECTS)

#: How long an IP that got HTTP 403 must be silent. Bybit: "at least 10 minutes"; asking earlier prolongs it.
BAN_S = 600.0
#: The window of the limits per account: where a 10006 does not say when it resets, this is the longest it can take.
ACCOUNT_WINDOW_S = 1.0

#: A request with more args than this is refused as a whole, and pings go on being answered.
SUBSCRIBE_ARGS_MAX = 10
#: The text of all args of a connection together.
SUBSCRIBE_TEXT_MAX = 21_000
#: Ours, not Bybit's, which counts text only: topics of about 20 characters fill `SUBSCRIBE_TEXT_MAX` at this number.
TOPICS_MAX = 1_000
#: Bybit asks for a ping every 20 s.
KEEPALIVE_S = 20.0
#: A keepalive's period and ten seconds for its pong.
SILENCE_S = 30.0

STREAM_LIMITS = StreamLimits(
    topics_max=TOPICS_MAX,
    args_max=SUBSCRIBE_ARGS_MAX,
    args_text_max=SUBSCRIBE_TEXT_MAX,
    keepalive_s=KEEPALIVE_S,
    silence_s=SILENCE_S,
)

#: Depths that spot streams.
BOOK_DEPTHS = (1, 50, 200, 1000)
#: Most levels a side of REST's order book. Its default is 1, so it is always sent.
DEPTH_MAX = 1000
#: Most trades of REST's recent trades (spot).
TRADES_MAX = 60
#: Open orders of an account (170810 beyond).
OPEN_ORDERS_MAX = 500

# -- an account's (UID's) limits: each endpoint has a window of its own, rolling one second (Rate Limit Rules, spot)

PLACE = Limit(name="place_1s", kind="place", cap=20, window_s=1, aligned=False)
AMEND = Limit(name="amend_1s", kind="amend", cap=10, window_s=1, aligned=False)
#: Cancel and cancel-all have the same cap; taken as one, so as to stay below both.
CANCEL = Limit(name="cancel_1s", kind="cancel", cap=20, window_s=1, aligned=False)
#: Orders, history, executions and wallet have 50 each; taken as one, so as to stay below all.
QUERY = Limit(name="query_1s", kind="query", cap=50, window_s=1, aligned=False)
ACCOUNT_LIMITS = (PLACE, AMEND, CANCEL, QUERY)

#: How long the login of a socket is valid. It must not have ended when the venue reads it, on however slow a way.
LOGIN_VALID_MS = 10_000
#: Bybit does not say how long a request may take from its gateway to the order's being found; a request that is this
#: much later than its receive window and still not found was never taken.
ENGINE_TIMEOUT_S = 2.0
#: Most items of a page: orders, and executions.
ORDERS_PAGE_MAX = 50
FILLS_PAGE_MAX = 100
#: A listing of history spans this much at most.
HISTORY_SPAN_MS = 7 * 24 * 3600 * 1000

PRIVATE_LIMITS = StreamLimits(
    topics_max=SUBSCRIBE_ARGS_MAX, args_max=SUBSCRIBE_ARGS_MAX, keepalive_s=KEEPALIVE_S, silence_s=SILENCE_S
)
