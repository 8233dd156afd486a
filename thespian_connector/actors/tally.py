"""How often each process was restarted, counted over all lives of its supervisors and of Root: a file remembers."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from .messages import Announce


class Tally:
    """Each further incarnation of a name is a restart, whoever made it.

    :param path: of the file. It ends with the system, not with one life of Root.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        #: name -> its newest incarnation, and the restarts until then.
        self._seen: dict[str, tuple[int, int]] = {}
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):  # none yet, or not whole: counted from here
            self._seen = msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[int, int]])

    def restarts(self, news: Announce) -> int:
        """Those of `news.name` so far. Its supervisor's own count may know of lives that were not announced."""
        known = self._seen.get(news.name)
        if known is not None and known[0] == news.incarnation:
            return known[1]
        count = news.restarts if known is None else max(news.restarts, known[1] + 1)
        self._seen[news.name] = news.incarnation, count
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self._seen))
        temporary.replace(self._path)
        return count
