"""Bybit's numbers: those that are part of its protocol, and those that a simulator may be told otherwise.

Cadences and caps are Bybit's (v5 docs: "Websocket / Public / Orderbook", "Rate Limit"). What Bybit keeps for ten
minutes is kept for seconds here, so that a test can wait for its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

#: Milliseconds between two messages of a depth stream.
DEPTH_CADENCE_MS = {1: 10, 50: 20, 200: 100, 1000: 200}
FULL_CADENCE_MS = 200
TICKER_CADENCE_MS = 50
KLINE_CADENCE_MS = 1000
PRICE_LIMIT_CADENCE_MS = 300
#: A closed kline is told so long after its end.
KLINE_CONFIRM_MS = 300
#: Levels a side that REST full_orderbook serves at most.
FULL_DEPTH_MAX = 10_000
#: Trades in one publicTrade message; a larger batch is split.
TRADES_A_MESSAGE_MAX = 1024
#: Topics in one subscribe request on spot. A longer request is refused whole.
ARGS_A_REQUEST_MAX = 10
#: Characters of all topics of one connection. What Bybit answers beyond is not documented; here the request is refused.
ARGS_CHARS_MAX = 21_000
#: The largest message taken from a client. A larger one ends the connection.
CLIENT_FRAME_BYTES_MAX = 256 * 1024
#: Price band around the index, as instruments-info tells it (``priceLimitRatioX``, ``priceLimitRatioY``).
PRICE_LIMIT_RATIO_X = "0.005"
PRICE_LIMIT_RATIO_Y = "0.01"

#: Spot order ids are decimal strings of 19 digits; the id after an order's own is its link id if it was sent none.
ORDER_ID_BASE = 2_300_000_000_000_000_000
ORDER_ID_STRIDE = 256
#: The account's user id, which frames and query-api tell.
USER_ID = 24_600_000
#: Maker and taker fee of a new account on spot, and the grid that fees are rounded down to.
FEE_RATE = Decimal("0.001")
FEE_STEP = Decimal("1E-10")
#: Conditional orders that wait in one symbol.
STOP_ORDERS_MAX = 30
#: Orders that order/realtime serves after their end (``openOnly=1``), until the service restarts.
CLOSED_ORDERS_MAX = 500
#: How far a timestamp may be ahead of the venue's clock: below this, whatever the receive window.
CLOCK_AHEAD_MAX_MS = 1_000
RECV_WINDOW_DEFAULT_MS = 5_000

#: `tell_pushed_out`: 1 sends a zero quantity for a level that better levels pushed out of the top N, as a capture of
#: 2024 shows; Bybit documents neither. 0 is the harder case: a client must cut its own side to N.
#: `duplicate_error`: 1 answers a duplicate subscribe with an error, as the linear socket does; 0 not at all, as a spot
#: socket was seen to do.
#: `requests_max` in `requests_window_s` from one IP; past it every request of it answers 403 for `ban_s` (Bybit: at
#: least ten minutes).
#: `idle_s`: a socket on which neither side sent anything for so long is closed (Bybit: ten minutes).
#: `connects_max` in `connects_window_s` from one IP, `sockets_max` at once; past them the handshake is refused.
#: `top_repeat_ms`: orderbook.1 is sent again with the same update id after so long without a change.
#: `send_buffer_bytes_max`: unsent bytes of one socket. At the limit the slow reader is disconnected.
#: `push_delay_ms`: private pushes come so long after the engine did its part; `ack_delay_ms`: the answer to an order
#: request does. An ack delay above the push delay lets the pushes come first, as Bybit does at times.
#: `reverse_pushes`: 1 tells a fill as wallet, execution, order; Bybit promises no order among topics.
#: `history_lag_ms`: order/history and execution/list know what is at least so old.
#: `race_window_ms`: a cancel that comes so soon after the order was filled is taken, and refused by a second push of
#: Filled; later it is answered 170213.
#: `price_band`: 1 refuses prices beyond price-limit. `padded_refused`: 1 refuses zeros beyond a step's decimals.
#: `read_only`: 1 makes the key one that may not trade (10005).
#: `missing_key_401`: 1 answers a request without a key with HTTP 401 and `null`, as some of Bybit's paths do.
#: `open_orders_max`: active orders of the account; past it 170810.
#: `create_max`, `amend_max`, `cancel_max`, `query_max`, `fee_rate_max`: calls of such an endpoint in any second.
#: `trade_sessions_max`: authenticated trade sockets of the account; past it the auth is refused with 10003.
#: `trade_requests_max`: order requests of the trade sockets of one IP in any second; past it 10403.
#: `nameless_refusals`: 1 leaves ``reqId`` out of the trade socket's refusals for key, permission and address, as was
#: seen at Bybit.
#: `server_error_code`: other than 0, the fault `http_5xx` of an order request is answered by REST with HTTP 200 and
#: this ``retCode`` (10016, 10000, 170007 ...), whether the order was placed or not.
SETTINGS: Mapping[str, int | float] = {
    "tell_pushed_out": 1,
    "duplicate_error": 0,
    "requests_max": 600,
    "requests_window_s": 5,
    "ban_s": 10,
    "idle_s": 600,
    "connects_max": 500,
    "connects_window_s": 300,
    "sockets_max": 1000,
    "top_repeat_ms": 3000,
    "send_buffer_bytes_max": 8 * 1024 * 1024,
    "push_delay_ms": 2,
    "ack_delay_ms": 0,
    "reverse_pushes": 0,
    "history_lag_ms": 0,
    "race_window_ms": 2,
    "price_band": 0,
    "padded_refused": 1,
    "read_only": 0,
    "missing_key_401": 0,
    "open_orders_max": 500,
    "create_max": 20,
    "amend_max": 10,
    "cancel_max": 20,
    "query_max": 50,
    "fee_rate_max": 5,
    "trade_sessions_max": 500,
    "trade_requests_max": 3000,
    "nameless_refusals": 0,
    "server_error_code": 0,
}
