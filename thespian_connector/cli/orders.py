"""``order``: place, cancel, amend, show, list, cancel-all, and many at once from standard input."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ._output import console, paint, print_document, progress, say, table

if TYPE_CHECKING:
    from thespian_connector.connector import Connector
    from thespian_connector.model import Order
    from thespian_connector.model.errors import ConnectorError

T = TypeVar("T")
_TYPES = ("limit", "market", "limit_maker", "stop_limit")
_TIMES_IN_FORCE = ("gtc", "ioc", "fok")
_COLOURS = {"FILLED": "green", "NEW": "green", "PARTIALLY_FILLED": "green", "CANCELED": "dim", "EXPIRED": "dim"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    order = subparsers.add_parser("order", help="place, cancel, amend, show and list orders")
    commands = order.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _register_place(commands)
    cancel = commands.add_parser("cancel", help="cancel an order of ours", description="Prints it as it ended.")
    _client_id(cancel)
    _timeout(cancel)
    cancel.set_defaults(run=run_cancel)
    amend = commands.add_parser("amend", help="change quantity or price", description="The order keeps its id.")
    _client_id(amend)
    amend.add_argument("--quantity", metavar="Q", help="the new total, what is filled included")
    amend.add_argument("--price", metavar="P")
    _timeout(amend)
    amend.set_defaults(run=run_amend)
    show = commands.add_parser("show", help="an order with its fills")
    _client_id(show)
    show.set_defaults(run=run_show)
    listing = commands.add_parser("list", help="orders, oldest first")
    listing.add_argument("--open", action="store_true", help="only those that have not ended")
    listing.add_argument("--exchange", metavar="X", help="only this one's")
    listing.set_defaults(run=run_list)
    everything = commands.add_parser("cancel-all", help="cancel every open order of ours at an exchange")
    everything.add_argument("exchange", metavar="EXCHANGE")
    everything.add_argument("--foreign", action="store_true", help="those of others on the same account, too")
    _timeout(everything)
    everything.set_defaults(run=run_cancel_all)
    batch = commands.add_parser(
        "batch",
        help="many commands at once, one JSON document a line",
        description='Reads commands like {"id":1,"op":"place","exchange":"bybit","symbol":"BTC/USDT","side":"buy",'
        '"quantity":"0.01","price":"60000"} (also cancel, amend, show), has many under way, and prints an answer a line'
        " as they come, each with the id of its command (without one: the number of its line).",
    )
    batch.add_argument("file", metavar="FILE", help="-: standard input")
    batch.set_defaults(run=run_batch)


def _register_place(commands: Any) -> None:
    place = commands.add_parser(
        "place",
        help="place an order",
        description="Prints the order as the exchange has it. The same --client-order-id and terms again never place a"
        " second. Exit code 5: nobody knows yet whether it was placed; `order show` tells.",
    )
    place.add_argument("exchange", metavar="EXCHANGE", help="like bybit")
    place.add_argument("symbol", metavar="SYMBOL", help="like BTC/USDT")
    place.add_argument("side", metavar="SIDE", help="buy or sell")
    place.add_argument("quantity", metavar="QUANTITY", nargs="?", help="in base; left out with --quote-quantity")
    place.add_argument("--type", default="limit", metavar="T", help=f"{', '.join(_TYPES)} (default limit)")
    place.add_argument("--price", metavar="P")
    place.add_argument("--stop-price", metavar="P")
    place.add_argument("--quote-quantity", metavar="Q", help="of a market order: what to spend, or to get")
    place.add_argument("--tif", default="gtc", metavar="T", help=f"{', '.join(_TIMES_IN_FORCE)} (default gtc)")
    place.add_argument("--client-order-id", metavar="ID", help="1 to 36 of A-Z a-z 0-9 _ - (default: one is made)")
    _timeout(place)
    place.set_defaults(run=run_place)


def _client_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client_order_id", metavar="CLIENT_ID")
    parser.add_argument("--exchange", metavar="X", help="where it is (default: the exchange that knows it)")


def _timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--timeout", type=float, metavar="S", help="nothing is sent later than this (default 5)")


# -- commands


def run_place(args: argparse.Namespace) -> int:
    def place(connector: Connector) -> Order:
        return connector.place_order(
            args.exchange,
            args.symbol,
            side=args.side,
            type=args.type,
            quantity=args.quantity,
            price=args.price,
            stop_price=args.stop_price,
            quote_quantity=args.quote_quantity,
            time_in_force=args.tif,
            client_order_id=args.client_order_id,
            timeout_s=args.timeout,
        )

    return _one(args, "placing", place)


def run_cancel(args: argparse.Namespace) -> int:
    def cancel(connector: Connector) -> Order:
        return wherever(
            connector,
            args.exchange,
            args.client_order_id,
            lambda exchange: connector.cancel_order(exchange, args.client_order_id, timeout_s=args.timeout),
        )

    return _one(args, "cancelling", cancel)


def run_amend(args: argparse.Namespace) -> int:
    def amend(connector: Connector) -> Order:
        return wherever(
            connector,
            args.exchange,
            args.client_order_id,
            lambda exchange: connector.amend_order(
                exchange,
                args.client_order_id,
                quantity=args.quantity,
                price=args.price,
                timeout_s=args.timeout,
            ),
        )

    return _one(args, "amending", amend)


def run_show(args: argparse.Namespace) -> int:
    return _one(args, "asking", lambda connector: connector.order(args.client_order_id, args.exchange))


def _one(args: argparse.Namespace, words: str, call: Callable[[Connector], Order]) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector, progress(words):
        order = call(connector)
    if args.json:
        print_document(order_document(order))
    else:
        _print_order(order)
    return 0


def run_list(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector:
        orders = connector.orders(open_only=args.open, exchange=args.exchange)
    return _many(args, orders)


def run_cancel_all(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector

    with Connector.attach(args.system) as connector, progress("cancelling"):
        orders = connector.cancel_all(args.exchange, foreign=args.foreign, timeout_s=args.timeout)
    if not args.json:
        say(f"{len(orders)} orders at {args.exchange} have ended")
    return _many(args, orders)


def _many(args: argparse.Namespace, orders: Sequence[Order]) -> int:
    if args.json:
        for order in orders:
            print_document(order_document(order))
    elif orders:
        _print_orders(orders)
    return 0


def run_batch(args: argparse.Namespace) -> int:
    from thespian_connector.connector import Connector
    from thespian_connector.model.errors import UsageError

    from ._batch import Batch

    try:
        file = sys.stdin.buffer if args.file == "-" else open(args.file, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(
            f"batch: {args.file}: {error.strerror}; name a file of commands, or - for standard input"
        ) from None
    with file, Connector.attach(args.system) as connector:
        return Batch(connector, print_document).run(file)


def wherever(connector: Connector, exchange: str | None, client_order_id: str, call: Callable[[str], T]) -> T:
    """What `call` says of the exchange; of None: of the one that knows the order.

    :raises OrderNotFound: none does. UsageError: more than one.
    """
    from thespian_connector.model.errors import OrderNotFound, Refused, UsageError

    if exchange is None:
        # Who is just restarting, or has not heard of it yet, may know it all the same: then each is tried.
        with contextlib.suppress(OrderNotFound, Refused):
            exchange = connector.order(client_order_id).exchange
    missing: ConnectorError | None = None
    for name in [exchange] if exchange is not None else connector.accounts():
        try:
            return call(name)
        except OrderNotFound as error:
            missing = missing or error
    raise missing or UsageError("this system has no key of an account; name one in the config: exchanges.<id>.api_key")


# -- what is shown


def order_document(order: Order) -> dict[str, Any]:
    """An order as ``--json`` prints it."""
    from thespian_connector.model import plain

    return {**plain(order), "outcome_known": order.outcome_known}


def _print_order(order: Order) -> None:
    document = order_document(order)
    status = document["status"]
    say_status = paint(status, _COLOURS.get(status, "yellow"))
    reason = f" ({document['reason']})" if document["reason"] else ""
    print(f"{document['client_order_id']} {say_status}{reason}")
    amount = document["quantity"] or f"{document['quote_quantity']} (quote)"
    price = f" at {document['price']}" if document["price"] else ""
    stop = f", stop {document['stop_price']}" if document["stop_price"] else ""
    where = f"{document['exchange']} order {document['order_id'] or '-'}"
    print(f"  {document['side']} {amount} {document['symbol']} {document['type']}{price}{stop}, {where}")
    if order.fills:
        print(f"  filled {document['filled']} at {document['avg_price']} on average")
        shown = table("execution", "price", "quantity", "fee", "", "maker", left=1)
        for fill in document["fills"]:
            maker = "yes" if fill["maker"] else "no"
            shown.add_row(fill["execution_id"], fill["price"], fill["quantity"], fill["fee"], fill["fee_asset"], maker)
        console().print(shown)


def _print_orders(orders: Sequence[Order]) -> None:
    shown = table(
        "client id", "exchange", "symbol", "side", "type", "status", "price", "quantity", "filled", "average", left=6
    )
    for document in map(order_document, orders):
        status = document["status"]
        shown.add_row(
            document["client_order_id"],
            document["exchange"],
            document["symbol"],
            f"[{'green' if document['side'] == 'buy' else 'red'}]{document['side']}[/]",
            document["type"],
            f"[{_COLOURS.get(status, 'yellow')}]{status}[/]",
            *(document[name] or "-" for name in ("price", "quantity", "filled", "avg_price")),
        )
    console().print(shown)
