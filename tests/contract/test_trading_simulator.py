"""The trading half of each driver against the simulator, each written from the protocol apart: they must agree."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from support.trading import SYMBOL, Trader, soon, trader
from support.waiting import wait_until

from thespian_connector.drivers.signing import signer_of
from thespian_connector.drivers.trading import AmendWay
from thespian_connector.model import Order, OrderStatus, OrderType, Side, TimeInForce
from thespian_connector.model.decimals import text
from thespian_connector.model.errors import AuthError, ConnectorError, InsufficientBalance, OrderNotFound, Rejected
from thespian_connector.model.private import OrderReport
from thespian_connector.net.trading import TradeRest

D = Decimal


@pytest.fixture(scope="module", params=["binance", "bybit"])
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trader]:
    with trader(request.param, tmp_path_factory.mktemp("budgets")) as made:
        yield made


def settled(one: Trader, order: Any, *statuses: OrderStatus) -> OrderReport:
    """The venue's word on it, when it is one of these."""
    found: list[OrderReport] = []

    def known() -> bool:
        report = one.rest.query(one.key(order), soon())
        if report is None or report.status not in statuses:
            return False
        found.append(report)
        return True

    wait_until(known, 60, f"{order.client_order_id} is {' or '.join(statuses)}")
    return found[-1]


def check(one: Trader, order: Any, report: OrderReport) -> None:
    """Against the judge: numbers as strings."""
    true = one.true_order(order)
    assert report.client_order_id == order.client_order_id == true["client_order_id"]
    assert report.order_id == true["order_id"]
    assert text(report.filled or D(0)) == true["filled"]
    if report.status is not None and report.status.terminal:
        assert report.status.value == true["status"]
    told = {fill.execution_id: fill for fill in one.rest.fills("BTCUSDT", report.order_id, 0, soon())}
    assert set(told) == {fill["execution_id"] for fill in true["fills"]}
    for fill in true["fills"]:
        mine = told[fill["execution_id"]]
        asset = one.trading.fee_asset(mine, one.instrument)
        assert (text(mine.price), text(mine.quantity), text(mine.fee), asset) == (
            fill["price"],
            fill["quantity"],
            fill["fee"],
            fill["fee_asset"],
        )
        assert (mine.maker, mine.time_ns // 1_000_000) == (fill["maker"], fill["time_ns"] // 1_000_000)
        assert mine.order_id == report.order_id


@pytest.mark.parametrize("side", list(Side))
def test_an_order_rests_is_found_and_canceled(one: Trader, side: Side) -> None:
    order = one.order(side)
    report = one.rest.place(order, one.instrument, soon())
    assert report.client_order_id == order.client_order_id
    resting = settled(one, order, OrderStatus.NEW)
    assert (resting.price, resting.quantity, resting.side, resting.type) == (
        order.price,
        order.quantity,
        side,
        OrderType.LIMIT,
    )
    assert order.client_order_id in {row.client_order_id for row in one.rest.open_orders("BTCUSDT", soon())}
    assert order.client_order_id in {row.client_order_id for row in one.rest.open_orders(None, soon())}
    one.rest.cancel(one.key(order), soon())
    check(one, order, settled(one, order, OrderStatus.CANCELED))
    assert order.client_order_id not in {row.client_order_id for row in one.rest.open_orders("BTCUSDT", soon())}
    with pytest.raises(OrderNotFound):
        one.rest.cancel(one.key(order), soon())


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("by_quote", [False, True])
def test_a_market_order_is_filled(one: Trader, side: Side, by_quote: bool) -> None:
    terms: dict[str, Any] = {"quote_quantity": D(1000), "quantity": None} if by_quote else {"quantity": "0.01"}
    order = one.order(side, type=OrderType.MARKET, **terms)
    one.rest.place(order, one.instrument, soon())
    report = settled(one, order, OrderStatus.FILLED, OrderStatus.CANCELED)
    assert report.filled
    check(one, order, report)


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC])
def test_a_crossing_order_is_filled(one: Trader, tif: TimeInForce) -> None:
    order = one.crossing(time_in_force=tif)
    one.rest.place(order, one.instrument, soon())
    check(one, order, settled(one, order, OrderStatus.FILLED))


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_cannot_fill_at_once_ends(one: Trader, tif: TimeInForce) -> None:
    order = one.order(time_in_force=tif)
    one.rest.place(order, one.instrument, soon())
    check(one, order, settled(one, order, OrderStatus.EXPIRED, OrderStatus.CANCELED))


def test_a_post_only_order_that_would_take_is_refused(one: Trader) -> None:
    order = one.crossing(type=OrderType.LIMIT_MAKER)
    if one.exchange == "binance":
        with pytest.raises(Rejected, match="immediately match"):
            one.rest.place(order, one.instrument, soon())
    else:  # accepted first, refused on the way
        one.rest.place(order, one.instrument, soon())
        assert settled(one, order, OrderStatus.REJECTED).filled == 0


def test_a_stop_order_waits_and_is_canceled(one: Trader) -> None:
    _, ask = one.top()
    stop = (ask * D("1.02")).quantize(D("0.1"))
    order = one.order(type=OrderType.STOP_LIMIT, stop_price=stop, price=stop)
    one.rest.place(order, one.instrument, soon())
    report = settled(one, order, OrderStatus.NEW)
    assert (report.stop_price, report.price) == (stop, stop)
    assert order.client_order_id in {row.client_order_id for row in one.rest.open_orders("BTCUSDT", soon())}
    one.rest.cancel(one.key(order), soon())
    settled(one, order, OrderStatus.CANCELED)


def test_an_amendment_in_place(one: Trader) -> None:
    order = one.order(quantity="0.02")
    one.rest.place(order, one.instrument, soon())
    settled(one, order, OrderStatus.NEW)
    known = Order(
        client_order_id=order.client_order_id,
        exchange=one.exchange,
        symbol=SYMBOL,
        side=order.side,
        type=order.type,
        status=OrderStatus.NEW,
        quantity=order.quantity,
        price=order.price,
    )
    assert one.trading.amend_way(known, D("0.015"), None) is AmendWay.IN_PLACE
    one.rest.amend(one.key(order), D("0.015"), None, soon())
    wait_until(lambda: settled(one, order, OrderStatus.NEW).quantity == D("0.015"), 60, "it is amended")
    one.rest.cancel(one.key(order), soon())
    settled(one, order, OrderStatus.CANCELED)


def test_balances_are_the_venues(one: Trader) -> None:
    one.rest.place(one.order(), one.instrument, soon())

    def same() -> bool:
        true = {asset: amounts for asset, amounts in one.true_balances().items() if amounts != ("0", "0")}
        mine = {row.asset: (text(row.free), text(row.locked)) for row in one.rest.balances(soon())}
        return {asset: amounts for asset, amounts in mine.items() if amounts != ("0", "0")} == true

    wait_until(same, 60, "the balances agree")
    one.rest.cancel_all("BTCUSDT", soon())
    wait_until(lambda: not one.rest.open_orders(None, soon()), 60, "nothing is open")


def test_fees_are_told(one: Trader) -> None:
    fees = one.rest.fees("BTCUSDT", soon())
    assert 0 < fees.maker <= fees.taker < D("0.01")


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({"quantity": "0.000001"}, Rejected),
        ({"quantity": "0.0123456789"}, Rejected),
        ({"price": Decimal("60000.123456789")}, Rejected),
    ],
)
def test_what_the_venue_refuses_is_a_known_refusal(
    one: Trader, terms: dict[str, Any], kind: type[ConnectorError]
) -> None:
    order = one.order(**terms)
    with pytest.raises(kind) as caught:
        one.rest.place(order, one.instrument, soon())
    assert caught.value.outcome_known


def test_more_than_there_is_cannot_be_spent(one: Trader) -> None:
    most = min(one.instrument.max_quantity or D(50), D(50))
    each = one.order(quantity=str(most))
    assert each.price is not None
    times = int(D(one.true_balances()["USDT"][0]) / (each.price * most)) + 2

    def spend() -> None:
        for _ in range(times):
            one.rest.place(one.order(quantity=str(most)), one.instrument, soon())

    with pytest.raises(InsufficientBalance):
        spend()
    one.rest.cancel_all("BTCUSDT", soon())
    wait_until(lambda: not one.rest.open_orders(None, soon()), 60, "nothing is open")


def test_an_unknown_order_is_not_found(one: Trader) -> None:
    assert one.rest.query(one.key(one.order()), soon()) is None


def test_history_and_fills_page_to_their_end(one: Trader) -> None:
    orders = [one.crossing() for _ in range(3)]
    for order in orders:
        one.rest.place(order, one.instrument, soon())
        settled(one, order, OrderStatus.FILLED)
    since_ms = 0 if one.exchange == "binance" else one.clock.now_ms() - 3_600_000
    wait_until(
        lambda: (
            {order.client_order_id for order in orders}
            <= {row.client_order_id for row in one.rest.order_history("BTCUSDT", since_ms, soon())}
        ),
        60,
        "history has them",
    )
    told = one.rest.fills("BTCUSDT", None, since_ms, soon())
    true = {fill["execution_id"] for order in orders for fill in one.true_order(order)["fills"]}
    assert true <= {fill.execution_id for fill in told}


def test_a_wrong_secret_is_told_as_such(one: Trader) -> None:
    wrong = signer_of(one.signer.api_key, "w" * 36)
    stranger = TradeRest(one.trading, one.client, wrong, one.clock)
    with pytest.raises(AuthError) as caught:
        stranger.balances(soon())
    assert one.signer.api_key not in str(caught.value)
