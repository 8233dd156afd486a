"""What a simulation may be told, and how it is told on a command line. Light: imports none of the simulation."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

VENUES = ("binance", "bybit")
SYMBOLS = ("BTC/USDT", "ETH/USDT", "ETH/BTC")
#: More than the venues serve: Binance's depth ends at 5,000 levels a side, Bybit's at 1,000.
LADDER_LEVELS = {"binance": 5_600, "bybit": 1_400}
SEED = 1
#: Events of the flow a second and venue, and levels of BTC/USDT that the fair price passes a second.
RATE = Decimal(50)
WALK = 80
RATE_MAX = 100_000


@dataclass(frozen=True)
class Options:
    """A whole simulation.

    :param ports: by ``binance``, ``bybit``, ``control``; 0 is a free one.
    :param settings: overrides of the fronts' numbers, by venue.
    :param sockets: descriptors that listen already, by the same names; their ports are not chosen here.
    :param parent_pid: end with this process; 0 with whichever is the parent; None not at all.
    """

    seed: int = SEED
    rate: Decimal = RATE
    walk: int = WALK
    symbols: tuple[str, ...] = SYMBOLS
    ports: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys((*VENUES, "control"), 0))
    sockets: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parent_pid: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the simulator's options; :func:`options` reads them."""
    add = parser.add_argument
    add("--seed", type=int, default=SEED, help="the whole flow follows from it (default %(default)s)")
    for name in (*VENUES, "control"):
        add(f"--{name}-port", type=_port, default=0, metavar="P", help="0: a free one (default)")
    add(
        "--rate",
        type=_rate,
        default=RATE,
        metavar="R",
        help="events of the order flow a second and venue; 0: the books stand still (default %(default)s)",
    )
    add(
        "--walk",
        type=_walk,
        default=WALK,
        metavar="N",
        help="levels of BTC/USDT that the price passes a second, on the average (default %(default)s)",
    )
    add("--symbols", type=_symbols, default=SYMBOLS, metavar="A/B,...", help=f"default {','.join(SYMBOLS)}")
    add(
        "--binance-weight-limit",
        type=_positive,
        metavar="N",
        help="request weight a minute and IP (Binance: 6000)",
    )
    add(
        "--tune",
        type=_tune,
        action="append",
        default=[],
        metavar="VENUE.SETTING=NUMBER",
        help="another number of a venue, like binance.ping_interval_s=0.5; may be repeated",
    )
    add(
        "--exit-with-parent",
        type=int,
        nargs="?",
        const=0,
        metavar="PID",
        help="end when the parent process (with this pid, if given) ends",
    )


def options(args: argparse.Namespace) -> Options:
    """The options that were parsed."""
    settings: dict[str, dict[str, float]] = {venue: {} for venue in VENUES}
    if args.binance_weight_limit is not None:
        settings["binance"]["weight_limit"] = args.binance_weight_limit
    for venue, name, value in args.tune:
        settings[venue][name] = value
    return Options(
        seed=args.seed,
        rate=args.rate,
        walk=args.walk,
        symbols=args.symbols,
        ports={name: getattr(args, f"{name}_port") for name in (*VENUES, "control")},
        sockets=getattr(args, "listen_on", None) or {},
        settings=settings,
        parent_pid=args.exit_with_parent,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _rate(text: str) -> Decimal:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal(-1)
    if not rate.is_finite() or not 0 <= rate <= RATE_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {RATE_MAX}")
    return rate


def _walk(text: str) -> int:
    if not text.isdecimal() or int(text) > 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 0 to 10000")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(dict.fromkeys(text.split(",")))
    for symbol in symbols:
        if symbol not in SYMBOLS:
            raise argparse.ArgumentTypeError(f"{symbol!r} is not one of {', '.join(SYMBOLS)}")
    return symbols


def _tune(text: str) -> tuple[str, str, float]:
    key, equals, number = text.partition("=")
    venue, dot, name = key.partition(".")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not equals or not dot or venue not in VENUES or not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not like binance.ping_interval_s=0.5")
    return venue, name, int(value) if value.is_integer() else value
