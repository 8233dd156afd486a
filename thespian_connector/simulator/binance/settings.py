"""The numbers of the Binance front; every one may be overridden, so that a test can meet a limit in a second."""

from __future__ import annotations

SETTINGS: dict[str, int | float] = {
    # Rate limits of an IP (exchangeInfo tells them). Windows are aligned to the clock, not rolling.
    "weight_limit": 6_000,
    "weight_window_s": 60,
    "raw_limit": 300_000,
    "raw_window_s": 300,
    "orders_10s_limit": 100,
    "orders_day_limit": 200_000,
    # Requests that ignore a 429 before the IP is banned; Binance does not say how many it bears.
    "ignored_429_max": 10,
    # The first ban ("2 minutes to 3 days"); each further one is twice as long.
    "ban_s": 120,
    "ban_max_s": 259_200,
    # Of what is received.
    "maker_fee": 0.001,
    "taker_fee": 0.001,
    # Streams.
    "ws_connects_limit": 300,
    "ws_connects_window_s": 300,
    "ws_messages_a_second": 5,
    "ws_streams_max": 1_024,
    # Connections cut for too many messages in five minutes before the IP is banned.
    "ws_floods_max": 3,
    "ping_interval_s": 20,
    "pong_timeout_s": 60,
    "connection_life_s": 86_400,
    "send_buffer_bytes_max": 8 * 1024 * 1024,
}

#: Levels that /api/v3/depth serves at most; a larger limit is silently this one.
DEPTH_MAX = 5_000
ROWS_DEFAULT = 500
ROWS_MAX = 1_000
