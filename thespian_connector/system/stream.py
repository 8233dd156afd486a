"""Bus events for users: as an iterator, and for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from thespian_connector.bus.events import BusEvent
from thespian_connector.bus.subscriber import Subscriber

#: The subscriber's descriptors are edge-triggered and beats are due: it is looked at this often at least.
_LOOK_S = 0.1


def events(endpoints: Mapping[str, str], topics: Sequence[str]) -> Iterator[BusEvent]:
    """Events for ever; the sockets are closed when the iterator is."""
    with Subscriber(endpoints, topics) as subscriber:
        yield from subscriber


async def async_events(endpoints: Mapping[str, str], topics: Sequence[str]) -> AsyncIterator[BusEvent]:
    """Events for ever, waiting in the running loop; the sockets are closed when the iterator is (``aclose``)."""
    loop = asyncio.get_running_loop()
    wake = asyncio.Event()
    with Subscriber(endpoints, topics) as subscriber:
        descriptors = subscriber.descriptors()
        for descriptor in descriptors:
            loop.add_reader(descriptor, wake.set)
        try:
            while True:
                wake.clear()
                for event in subscriber.poll(0):
                    yield event
                    wake.set()  # there may be more: look again before waiting
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await wake.wait()
                except TimeoutError:
                    continue
        finally:
            for descriptor in descriptors:
                loop.remove_reader(descriptor)
