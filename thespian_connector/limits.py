"""Every cap of the package by name, units last, with what happens at the limit."""

from __future__ import annotations

#: Diffs kept while a book waits for its snapshot. At the limit the oldest are dropped and the snapshot is asked anew.
BOOK_BUFFER_DIFFS_MAX = 10_000
#: One WebSocket message. A larger one is dropped with its connection.
FRAME_BYTES_MAX = 16 * 1024 * 1024
#: One HTTP answer's body. A larger one is an error, not memory.
BODY_BYTES_MAX = 64 * 1024 * 1024
