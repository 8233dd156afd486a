"""Every cap of the package by name, units last, with what happens at the limit."""

from __future__ import annotations

#: Diffs kept while a book waits for its snapshot. At the limit the oldest are dropped and the snapshot is asked anew.
BOOK_BUFFER_DIFFS_MAX = 10_000
#: One WebSocket message. A larger one is dropped with its connection.
FRAME_BYTES_MAX = 16 * 1024 * 1024
#: One HTTP answer's body. A larger one is an error, not memory.
BODY_BYTES_MAX = 64 * 1024 * 1024

# -- a market-data connection (net/socket.py)

#: Name resolved, to WebSocket open. At the limit the attempt failed, and the next waits its turn.
CONNECT_TIMEOUT_S = 10.0
#: The answer to a handshake, an error page included. A larger one is no answer.
HANDSHAKE_BYTES_MAX = 64 * 1024
#: Bytes that the venue does not take from us. At the limit the connection is dropped: it does not read.
OUTGOING_BYTES_MAX = 256 * 1024
