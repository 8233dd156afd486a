"""``record``: a venue's market data as it comes over the wire, into a file that ``replay`` reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._output import print_document, say, sigterm_interrupts


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "record",
        help="capture a venue's feed to a file",
        description="Connects to the venue as the system would (with a running paper system: to its simulator) and "
        "writes what the wire says, until Ctrl-C or --seconds. gzip when FILE ends in .gz.",
    )
    parser.add_argument("--exchange", required=True, metavar="X", help="whose: binance, bybit")
    parser.add_argument("words", nargs="+", metavar="SYMBOL... FILE", help="like BTC/USDT ETH/USDT capture.jsonl.gz")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after S seconds")
    parser.add_argument(
        "--channel", action="append", default=[], metavar="C", help="book, trade, ticker (default: all)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from thespian_connector.model import Channel
    from thespian_connector.model.errors import UnknownChannel, UsageError
    from thespian_connector.system.recording import record

    *symbols, file = args.words
    if not symbols:
        raise UsageError("record needs at least one SYMBOL and a FILE: record --exchange bybit BTC/USDT out.jsonl")
    try:
        channels = [Channel.of(channel, "--channel") for channel in args.channel] or list(Channel)
    except ValueError as error:
        raise UnknownChannel(str(error)) from None
    config = Path(args.config) if args.config is not None else None
    with sigterm_interrupts():
        result = record(
            args.exchange,
            symbols,
            Path(file),
            channels=channels,
            seconds=args.seconds,
            system=args.system,
            config_file=config,
            overrides=[f"{key}={value}" for key, value in args.set],
            overwrite=args.overwrite,
        )
    if args.json:
        print_document(result)
    else:
        say(f"{result['frames']} frames, {result['answers']} REST answers in {file}")
    return 0
