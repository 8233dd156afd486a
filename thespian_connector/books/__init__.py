"""Books: exact price levels, the order of their updates, how far they may be believed; several merged into one.

Pure: no socket, no clock, no thread. The way in is :class:`TrackedBook`, one a symbol and venue.
"""

from .arbiter import Arbiter
from .book import PriceBook
from .image import BookImage
from .merge import best, merge, vwap
from .sequencer import RangeSequencer, Sequencer, StepSequencer, Verdict, sequencer_for
from .states import Counts, Outcome, Wants
from .tracked import TrackedBook

__all__ = [
    "Arbiter",
    "BookImage",
    "Counts",
    "Outcome",
    "PriceBook",
    "RangeSequencer",
    "Sequencer",
    "StepSequencer",
    "TrackedBook",
    "Verdict",
    "Wants",
    "best",
    "merge",
    "sequencer_for",
    "vwap",
]
