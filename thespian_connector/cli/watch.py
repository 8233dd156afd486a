"""``watch``: events as they come, one line each."""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import TYPE_CHECKING, Any

from ._output import paint, print_document, sigterm_interrupts, trust_colour

if TYPE_CHECKING:
    from thespian_connector.bus.events import BusEvent


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    watch = subparsers.add_parser(
        "watch",
        help="events as they come",
        description="One line an event, until Ctrl-C or -n. A book's line is its best prices; --json shows it whole.",
    )
    watch.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    watch.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="C",
        help="book, trade, ticker, status; of our account: order, fill, balance (of the symbol's two assets); of all"
        " exchanges together: merged, best; may be repeated (default: book)",
    )
    watch.add_argument("--exchange", action="append", default=[], metavar="X", help="only this one; may be repeated")
    watch.add_argument("-n", dest="count", type=int, metavar="N", help="end after N events")
    watch.set_defaults(run=run_watch)


def run_watch(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector, channel_name
    from thespian_connector.model.errors import UsageError

    if args.count is not None and not 0 <= args.count <= sys.maxsize:
        raise UsageError(f"-n: take a number of events from 0 to {sys.maxsize}")
    channels = [channel_name(channel) for channel in args.channel] or ["book"]
    with sigterm_interrupts():
        with Connector.attach(args.system) as connector:
            stream = connector.stream(args.symbol, channels, tuple(args.exchange))
        for event in itertools.islice(stream, args.count):
            document = event_document(event)
            if args.json:
                print_document(document)
            else:
                print(event_line(document))
            sys.stdout.flush()
    return 0


def event_document(event: BusEvent) -> dict[str, Any]:
    """The event as `watch --json` prints it: the record's fields after what the bus knows of it."""
    from thespian_connector.model import Order, plain

    head = {
        "kind": event.kind,
        "exchange": event.exchange,
        "symbol": event.symbol,
        "sequence": event.sequence,
        "incarnation": event.incarnation,
    }
    known = {"outcome_known": event.record.outcome_known} if isinstance(event.record, Order) else {}
    return {**plain(event.record), **known, **head}


def event_line(document: dict[str, Any]) -> str:
    """What a person wants to see of it."""
    exchange = "all" if document["exchange"] == "*" else document["exchange"]
    head = f"{document['kind']:<7} {exchange:<8} {document['symbol']:<10}"
    line = _LINES.get(document["kind"])
    return f"{head} {line(document)}" if line is not None else head


def _book(document: dict[str, Any]) -> str:
    trust = document["trust"]
    return f"{paint(f'{trust:<8}', trust_colour(trust))} {_sides(document)}"


def _merged(document: dict[str, Any]) -> str:
    return f"{'+'.join(document['exchanges']) or 'nobody':<13} {_sides(document)}{_notes(document)}"


def _sides(document: dict[str, Any]) -> str:
    bid, ask = ((side[0] if side else ("-", "-")) for side in (document["bids"], document["asks"]))
    return _prices(bid[1], bid[0], ask[0], ask[1])


def _prices(bid_quantity: str, bid: str, ask: str, ask_quantity: str) -> str:
    return f"{bid_quantity:>12} @ {paint(f'{bid:<11}', 'green')} {paint(f'{ask:>11}', 'red')} @ {ask_quantity:<12}"


def _best(document: dict[str, Any]) -> str:
    bid, ask = ((document[side] or {}) for side in ("bid", "ask"))
    left, right = _quote(bid, "green"), _quote(ask, "red")
    return f"{left} {right} spread {document['spread'] or '-'}{_notes(document)}"


def _quote(side: dict[str, Any], colour: str) -> str:
    price, exchange = side.get("price", "-"), side.get("exchange", "")
    return f"{paint(f'{price:>11}', colour)} {exchange:<8}"


def _notes(document: dict[str, Any]) -> str:
    left_out = "".join(f"  without {exchange}: {trust}" for exchange, trust in document["excluded"].items())
    return paint(left_out, "yellow") + (paint("  crossed", "red") if document["crossed"] else "")


def _trade(document: dict[str, Any]) -> str:
    side = document["aggressor"]
    return f"{paint(f'{side:<4}', 'green' if side == 'buy' else 'red')} {document['quantity']} @ {document['price']}"


def _ticker(document: dict[str, Any]) -> str:
    shown = {name: document.get(name) or "-" for name in ("last", "bid", "ask", "volume")}
    return " ".join(f"{name} {value}" for name, value in shown.items())


def _status(document: dict[str, Any]) -> str:
    trust = document["trust"]
    return f"{paint(trust, trust_colour(trust))} update {document['update_id']} {document['reason']}".rstrip()


def _order(document: dict[str, Any]) -> str:
    amount = document["quantity"] or f"{document['quote_quantity']} (quote)"
    price = f" @ {document['price']}" if document["price"] else f" {document['type']}"
    filled = f" filled {document['filled']}" if document["filled"] != "0" else ""
    colour = "yellow" if document["status"] == "UNKNOWN" else "bold"
    head = (
        f"{document['client_order_id']} {paint(document['status'], colour)} {document['side']} {amount}{price}{filled}"
    )
    return f"{head} {document['reason']}".rstrip()


def _fill(document: dict[str, Any]) -> str:
    fee = f" fee {document['fee']} {document['fee_asset']}".rstrip()
    return f"{document['execution_id']} {document['quantity']} @ {document['price']}{fee}"


def _balance(document: dict[str, Any]) -> str:
    return f"free {document['free']} locked {document['locked']}"


def _marker(document: dict[str, Any]) -> str:
    words = [document["what"], document["channel"], f"{document['missed']} lost" if document["missed"] else ""]
    return paint(" ".join(filter(None, [*words, document["detail"]])), "yellow")


_LINES = {
    "book": _book,
    "merged": _merged,
    "best": _best,
    "trade": _trade,
    "ticker": _ticker,
    "status": _status,
    "order": _order,
    "fill": _fill,
    "balance": _balance,
    "marker": _marker,
}
