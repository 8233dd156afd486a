"""The simulator as a process: its ports, its ready line, its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from aiohttp import web

from .control import Control
from .fronts import FRONTS
from .options import Options
from .venue import merged_settings
from .world import World, WorldOptions

HOST = "127.0.0.1"
#: What a connection gets to finish in when the simulator ends.
SHUTDOWN_S = 1.0


class StartError(Exception):
    """The simulator cannot start; the message says which port or setting, and what to do."""


class ParentGone(Exception):
    """The process to end with has ended before the simulator was ready."""


def build_world(options: Options) -> World:
    """The world of some options.

    :raises SettingError: an unknown setting.
    """
    settings = {
        name: merged_settings(name, front.settings, options.settings.get(name, {})) for name, front in FRONTS.items()
    }
    return World(
        WorldOptions(
            seed=options.seed,
            rate=options.rate,
            walk=options.walk,
            symbols=options.symbols,
            settings=settings,
        )
    )


@asynccontextmanager
async def _listening(app: web.Application, name: str, options: Options) -> AsyncIterator[int]:
    """Serve an application on loopback; the port it got."""
    port = options.ports[name]
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site: web.BaseSite
        if name in options.sockets:
            site = web.SockSite(runner, socket.socket(fileno=options.sockets[name]))
        else:
            site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            what = f"--{name}-port {port}: {error.strerror or error}"
            raise StartError(f"{what}; choose another port, or 0 for a free one") from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[dict[str, object]]:
    """A simulation that runs inside the block; yields the document of the ready line.

    :raises StartError: a port is taken.
    :raises SettingError: an unknown setting.
    """
    world = build_world(options)
    async with AsyncExitStack() as stack:
        ready: dict[str, object] = {"ready": True}
        for name, front in FRONTS.items():
            app = front.make_app(world.venues[name])
            ready[name] = front.urls(await stack.enter_async_context(_listening(app, name, options)))
        control = Control(world, FRONTS).make_app()
        port = await stack.enter_async_context(_listening(control, "control", options))
        ready["control"] = f"http://{HOST}:{port}"
        world.warm_up()
        # What was built stays: the collector need not look at tens of thousands of orders again and again.
        gc.collect()
        gc.freeze()
        flow = asyncio.create_task(world.run(), name="flow")
        try:
            yield ready
            if flow.done():
                flow.result()
        finally:
            flow.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flow


async def serve(options: Options, *, as_json: bool) -> None:
    """Print the ready line, and run until SIGINT or SIGTERM (or the parent's end, if so asked)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.parent_pid is not None:
        end_with_parent(options.parent_pid)
    async with running(options) as ready:
        print(ready_line(ready, as_json=as_json), flush=True)
        await stop.wait()


def ready_line(ready: dict[str, object], *, as_json: bool) -> str:
    """One JSON document, or lines for people."""
    if as_json:
        return msgspec.json.encode(ready).decode()
    lines = ["ready; Ctrl-C ends it"]
    for name, place in ready.items():
        if isinstance(place, dict):
            lines += [f"  {name:8} {kind:7} {url}" for kind, url in place.items()]
        elif name != "ready":
            lines.append(f"  {name:8} {'':7} {place}")
    return "\n".join(lines)


def end_with_parent(pid: int) -> None:
    """Get a SIGTERM when the parent's thread that started this process ends (Linux, prctl(2), PR_SET_PDEATHSIG).

    :param pid: the pid that the parent must have, 0 for any: a parent that ended before this call is found so.
    :raises ParentGone: it has.
    """
    if sys.platform != "linux":
        raise StartError("--exit-with-parent: only Linux tells a process of its parent's end")
    import ctypes

    before = os.getppid()
    pdeathsig = 1
    if ctypes.CDLL(None, use_errno=True).prctl(pdeathsig, signal.SIGTERM, 0, 0, 0) != 0:
        raise StartError(f"--exit-with-parent: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != (pid or before):
        raise ParentGone
