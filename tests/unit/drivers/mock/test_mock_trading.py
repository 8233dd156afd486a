"""Trading on the mock venue: what its driver asks, what the desk does with it, and what the account is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thespian_connector.drivers._mutations import damaged
from thespian_connector.drivers.base import RestRequest
from thespian_connector.drivers.mock import MockSession, MockTrading, MockVenue
from thespian_connector.drivers.mock.trading import PAGE_ROWS
from thespian_connector.drivers.registry import trading_for
from thespian_connector.drivers.signing import HmacSigner
from thespian_connector.drivers.trading import AmendWay, Auth, OrderKey
from thespian_connector.model import Instrument, NewOrder, Order, OrderStatus, OrderType, Side, TimeInForce, errors
from thespian_connector.model.private import BalanceReport, FillReport, OrderReport
from thespian_connector.model.wire import Ack, Ignored, Pong

TRADING = MockTrading()
D = Decimal


class Account:
    """One account of a fresh venue, with 1000 USDT and 10 BTC; the book is 99 x 1, 101 x 1, 102 x 2."""

    def __init__(self) -> None:
        self.venue = MockVenue()
        self.venue.set_levels("BTC/USDT", [("buy", 99, 1), ("sell", 101, 1), ("sell", 102, 2)])
        self.venue.deposit("USDT", 1000)
        self.venue.deposit("BTC", 10)
        self.instrument = self._listed()
        self._ids = 0

    def _listed(self) -> Instrument:
        answer = self.venue.request(self.venue.driver.instruments_request())
        return self.venue.driver.parse_instruments(answer.body)[0]

    @property
    def auth(self) -> Auth:
        return Auth(HmacSigner("key", "secret"), self.venue.time_ns // 1_000_000, 2000)

    def send(self, request: RestRequest) -> bytes:
        answer = self.venue.request(request)
        error = self.venue.driver.classify(*answer)
        if error is not None:
            raise error
        return answer.body

    def order(self, side: str, price: str | None, quantity: str | None = "1", **more: Any) -> NewOrder:
        self._ids += 1
        terms: dict[str, Any] = {
            "client_order_id": f"o-{self._ids}",
            "exchange": "mock",
            "symbol": "BTC/USDT",
            "side": Side(side),
            "type": OrderType.MARKET if price is None else OrderType.LIMIT,
            "price": None if price is None else D(price),
            "quantity": None if quantity is None else D(quantity),
        }
        return NewOrder(**(terms | more))

    def place(self, order: NewOrder) -> OrderReport:
        return TRADING.parse_placed(self.send(TRADING.place(order, self.instrument, self.auth)), order, self.instrument)

    def key(self, report: OrderReport) -> OrderKey:
        return OrderKey(native=report.native, client_order_id=report.client_order_id, order_id=report.order_id)

    def state(self, report: OrderReport) -> OrderReport:
        key = self.key(report)
        (query,) = TRADING.queries(key, self.auth)
        found = TRADING.parse_query(self.send(query), key)
        assert found is not None
        return found

    def held(self) -> dict[str, tuple[Decimal, Decimal]]:
        """asset -> (free, locked)"""
        balances = TRADING.parse_balances(self.send(TRADING.balances(self.auth)))
        return {balance.asset: (balance.free, balance.locked) for balance in balances}

    def fills(self) -> list[FillReport]:
        fills: list[FillReport] = []
        cursor = ""
        while True:
            page = TRADING.parse_fills(self.send(TRADING.fills("BTC-USDT", None, 0, cursor, self.auth)))
            fills += page.fills
            cursor = page.cursor
            if not cursor:
                return fills

    def session(self) -> MockSession:
        session = self.venue.connect()
        session.send(TRADING.private_login(1, self.auth))
        subscribe = TRADING.private_subscribe(2)
        assert subscribe is not None
        session.send(subscribe)
        assert told(session) == [Ack(1, True), Ack(2, True)]
        return session


def told(session: MockSession) -> list[Any]:
    return [event for frame in session.frames() for event in TRADING.decode_private(frame)]


def test_an_order_takes_the_levels_it_crosses_and_rests_with_the_rest() -> None:
    account = Account()
    report = account.place(account.order("buy", "101.5", "3"))
    assert (report.status, report.filled, report.filled_quote) == (OrderStatus.PARTIALLY_FILLED, D(1), D(101))
    (fill,) = report.fills
    assert (fill.price, fill.quantity, fill.fee, fill.fee_asset, fill.maker) == (D(101), D(1), D("0.001"), "BTC", False)
    assert account.held() == {"BTC": (D("10.999"), D(0)), "USDT": (D(696), D(203))}
    assert [level.price for level in account.venue.book("BTC/USDT")[1]] == [D(102)]


def test_a_resting_order_is_filled_at_its_own_price_when_the_book_reaches_it() -> None:
    account = Account()
    better, first, second = (account.place(account.order("buy", price, "1")) for price in ("100", "99.5", "99.5"))
    account.venue.set_level("BTC/USDT", "sell", "99.4", "2.5")
    assert account.state(better).filled_quote == D(100)
    assert account.state(first).status is OrderStatus.FILLED
    last = account.state(second)
    assert (last.status, last.filled, last.filled_quote) == (OrderStatus.PARTIALLY_FILLED, D("0.5"), D("49.75"))
    assert D("99.4") not in {level.price for level in account.venue.book("BTC/USDT")[1]}
    fills = account.fills()
    assert [(fill.price, fill.maker) for fill in fills] == [(D(100), True), (D("99.5"), True), (D("99.5"), True)]
    assert account.held()["USDT"] == (D("701"), D("49.75"))


def test_ioc_fok_and_market_orders_never_rest() -> None:
    account = Account()
    rest = account.place(account.order("buy", "101", "3", time_in_force=TimeInForce.IOC))
    assert (rest.status, rest.filled, rest.reason) == (OrderStatus.EXPIRED, D(1), "the rest found nothing to match")
    none = account.place(account.order("buy", "102", "2.5", time_in_force=TimeInForce.FOK))
    assert (none.status, none.filled, none.fills) == (OrderStatus.EXPIRED, D(0), ())
    whole = account.place(account.order("buy", "102", "1", time_in_force=TimeInForce.FOK))
    assert whole.status is OrderStatus.FILLED
    swept = account.place(account.order("sell", None, "5"))
    assert (swept.status, swept.filled, swept.filled_quote) == (OrderStatus.EXPIRED, D(1), D(99))
    by_quote = account.place(account.order("buy", None, None, quote_quantity=D(50)))
    assert (by_quote.status, by_quote.filled) == (OrderStatus.FILLED, D("0.4901"))
    assert account.held()["USDT"][1] == 0


def test_a_post_only_order_that_would_match_is_refused() -> None:
    account = Account()
    with pytest.raises(errors.Rejected):
        account.place(account.order("buy", "101", type=OrderType.LIMIT_MAKER))
    assert account.place(account.order("buy", "100", type=OrderType.LIMIT_MAKER)).status is OrderStatus.NEW


def test_a_stop_waits_for_a_trade_at_its_price() -> None:
    account = Account()
    stop = account.place(account.order("buy", "102", "2", type=OrderType.STOP_LIMIT, stop_price=D("101.5")))
    assert account.held()["USDT"] == (D(796), D(204))
    account.venue.trade("BTC/USDT", "buy", "101", "0.1")
    assert account.state(stop).filled == 0
    account.venue.trade("BTC/USDT", "buy", "101.5", "0.1")
    done = account.state(stop)
    assert (done.status, done.filled_quote) == (OrderStatus.FILLED, D(203))
    assert account.held()["USDT"] == (D(797), D(0))


def test_a_sell_stop_triggers_below() -> None:
    account = Account()
    stop = account.place(account.order("sell", "98", "1", type=OrderType.STOP_LIMIT, stop_price=D(99)))
    account.venue.trade("BTC/USDT", "buy", "100", "0.1")
    assert account.state(stop).status is OrderStatus.NEW
    account.venue.trade("BTC/USDT", "sell", "99", "0.1")
    assert account.state(stop).status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("side", "price", "quantity", "more", "kind"),
    [
        ("buy", "100", "10.0001", {}, errors.InsufficientBalance),
        ("sell", "100", "11", {}, errors.InsufficientBalance),
        ("sell", None, "11", {}, errors.Rejected),
        ("buy", "100.001", "1", {}, errors.Rejected),
        ("buy", "100", "0.00001", {}, errors.Rejected),
        ("buy", "0", "1", {}, errors.Rejected),
        ("buy", "100", "-1", {}, errors.Rejected),
        ("buy", "100", None, {}, errors.Rejected),
        ("buy", None, "1", {"quote_quantity": D(1)}, errors.Rejected),
        ("buy", "100", "1", {"type": OrderType.STOP_LIMIT}, errors.Rejected),
        ("buy", "100", "NaN", {}, errors.Rejected),
    ],
)
def test_an_order_that_cannot_be_changes_nothing(
    side: str, price: str | None, quantity: str | None, more: dict[str, Any], kind: type[errors.ExchangeError]
) -> None:
    account = Account()
    if (side, price) == ("sell", None):
        account.venue.set_level("BTC/USDT", "buy", "99", "20")
    before = account.held()
    with pytest.raises(kind):
        account.place(account.order(side, price, quantity, **more))
    assert account.held() == before
    history = account.send(TRADING.order_history("BTC-USDT", 0, "", account.auth))
    assert TRADING.parse_orders(history).orders == []


def test_a_client_order_id_is_free_again_when_its_order_is_done() -> None:
    account = Account()
    order = account.order("buy", "100")
    first = account.place(order)
    with pytest.raises(errors.Rejected):
        account.place(order)
    canceled = TRADING.parse_canceled(
        account.send(TRADING.cancel(account.key(first), account.auth)), account.key(first)
    )
    assert canceled.status is OrderStatus.CANCELED
    assert account.held()["USDT"] == (D(1000), D(0))
    assert account.place(order).order_id != first.order_id
    with pytest.raises(errors.OrderNotFound):
        account.send(TRADING.cancel(account.key(first), account.auth))


def test_an_amendment_changes_the_same_order() -> None:
    account = Account()
    resting = account.place(account.order("buy", "100", "2"))
    key = account.key(resting)

    def amended(quantity: str | None, price: str | None) -> OrderReport:
        amounts = (None if amount is None else D(amount) for amount in (quantity, price))
        return TRADING.parse_amended(account.send(TRADING.amend(key, *amounts, account.auth)), key)

    assert amended("3", None).quantity == D(3)
    assert account.held()["USDT"] == (D(700), D(300))
    assert amended(None, "101").status is OrderStatus.PARTIALLY_FILLED
    assert account.held()["USDT"] == (D(697), D(202))
    for quantity, price, kind in (
        ("1", None, errors.Rejected),
        (None, "101.001", errors.Rejected),
        ("30", None, errors.InsufficientBalance),
    ):
        with pytest.raises(kind):
            amended(quantity, price)
    assert account.state(resting).quantity == D(3)
    order = Order(
        client_order_id="x",
        exchange="mock",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=OrderStatus.NEW,
    )
    assert TRADING.amend_way(order, D(1), D(1)) is AmendWay.IN_PLACE


def test_listings_come_in_pages() -> None:
    account = Account()
    account.venue.deposit("USDT", 100_000)
    placed = [account.place(account.order("buy", "50", "0.1")) for _ in range(PAGE_ROWS + 1)]
    (request,) = TRADING.open_orders(None, "", account.auth)
    page = TRADING.parse_orders(account.send(request))
    (request,) = TRADING.open_orders("BTC-USDT", page.cursor, account.auth)
    rest = TRADING.parse_orders(account.send(request))
    assert [one.order_id for one in page.orders + rest.orders] == [one.order_id for one in placed]
    assert rest.cursor == ""
    (everything,) = TRADING.cancel_all("BTC-USDT", account.auth)
    assert len(TRADING.parse_orders(account.send(everything)).orders) == PAGE_ROWS + 1
    (request,) = TRADING.open_orders(None, "", account.auth)
    assert TRADING.parse_orders(account.send(request)).orders == []
    since = account.venue.time_ns // 1_000_000 + 1
    later = account.send(TRADING.order_history("BTC-USDT", since, "", account.auth))
    assert TRADING.parse_orders(later).orders == []


def test_fees_and_an_order_that_is_not_there() -> None:
    account = Account()
    fees = TRADING.parse_fees(account.send(TRADING.fees("BTC-USDT", account.auth)), "BTC-USDT")
    assert (fees.maker, fees.taker) == (D("0.001"), D("0.001"))
    key = OrderKey(native="BTC-USDT", client_order_id="never")
    (query,) = TRADING.queries(key, account.auth)
    assert TRADING.parse_query(account.send(query), key) is None


def test_the_account_is_told_what_happens_to_it() -> None:
    account = Account()
    session = account.session()
    report = account.place(account.order("buy", "101", "2"))
    account.send(TRADING.cancel(account.key(report), account.auth))
    events = told(session)
    statuses = [event.status.value for event in events if isinstance(event, OrderReport)]
    assert statuses == ["NEW", "PARTIALLY_FILLED", "CANCELED"]
    assert [event for event in events if isinstance(event, FillReport)] == list(report.fills)
    last = {event.asset: (event.free, event.locked) for event in events if isinstance(event, BalanceReport)}
    assert last == account.held()
    keepalive = TRADING.private_keepalive(9)
    assert keepalive is not None
    session.send(keepalive)
    assert told(session) == [Pong()]


def test_nobody_reads_an_account_without_a_login() -> None:
    venue = Account().venue
    session = venue.connect()
    subscribe = TRADING.private_subscribe(1)
    assert subscribe is not None
    session.send(subscribe)
    (ack,) = told(session)
    assert not ack.ok
    session.send(TRADING.private_login(2, Auth(HmacSigner("key", "secret"), 1, 2000)))
    (ack,) = told(session)
    assert not ack.ok


def test_a_late_request_is_not_carried_out() -> None:
    account = Account()
    request = TRADING.place(account.order("buy", "100"), account.instrument, account.auth)
    account.venue.advance(2_001_000_000)
    with pytest.raises(errors.ClockError):
        account.send(request)
    with pytest.raises(errors.AuthError):
        account.send(msgspec.structs.replace(request, headers=()))
    assert account.held()["USDT"] == (D(1000), D(0))


def test_an_answer_that_is_lost_leaves_the_order_there() -> None:
    account = Account()
    order = account.order("buy", "100")
    account.venue.lose_answers()
    with pytest.raises(errors.ServerFault) as caught:
        account.place(order)
    assert not caught.value.outcome_known
    key = OrderKey(native="BTC-USDT", client_order_id=order.client_order_id)
    (query,) = TRADING.queries(key, account.auth)
    found = TRADING.parse_query(account.send(query), key)
    assert found is not None
    assert found.status is OrderStatus.NEW


def test_orders_over_a_socket() -> None:
    account = Account()
    session = account.venue.connect()
    order, too_much = account.order("buy", "101"), account.order("buy", "100", "100")
    key = OrderKey(native="BTC-USDT", client_order_id=order.client_order_id)
    pending: dict[str, NewOrder | OrderKey] = {"r1": order, "r2": too_much, "r3": key}
    session.send(TRADING.place_frame("r1", order, account.instrument, account.auth))
    session.send(TRADING.place_frame("r2", too_much, account.instrument, account.auth))
    session.send(TRADING.cancel_frame("r3", key, account.auth))
    account.venue.lose_answers()
    session.send(TRADING.cancel_frame("r9", key, account.auth))
    frames = session.frames()
    placed, refused, gone = (answer for frame in frames for answer in TRADING.decode_trade(frame, pending))
    assert placed.report is not None
    assert (placed.request_id, placed.report.status) == ("r1", OrderStatus.FILLED)
    assert (refused.request_id, type(refused.error)) == ("r2", errors.InsufficientBalance)
    assert (gone.request_id, type(gone.error)) == ("r3", errors.OrderNotFound)
    (lost,) = TRADING.decode_trade(frames[-1], {"r9": key})
    assert type(lost.error) is errors.ServerFault
    keepalive = TRADING.trade_keepalive("k")
    assert keepalive is not None
    session.send(keepalive)
    assert len(session.frames()) == 1


def test_equal_calls_give_equal_frames() -> None:
    def run() -> list[bytes]:
        account = Account()
        session = account.session()
        account.venue.fill("BTC/USDT", 100)
        for number in range(20):
            account.place(account.order("buy" if number % 2 else "sell", str(95 + number // 2), "0.1"))
            account.venue.run(20)
        return session.frames()

    assert run() == run()


@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(9_800, 10_200), st.integers(1, 30_000))))
def test_nothing_is_made_or_lost_but_fees(orders: list[tuple[str, int, int]]) -> None:
    account = Account()
    account.venue.fill("BTC/USDT", 100)
    for side, cents, steps in orders:
        with suppress(errors.InsufficientBalance):
            account.place(account.order(side, str(D(cents) / 100), str(D(steps) / 10_000)))
        account.venue.run(5)
    base, quote = D(10), D(1000)
    for fill in account.fills():
        sign = 1 if fill.side is Side.BUY else -1
        base += sign * fill.quantity - (fill.fee if fill.fee_asset == "BTC" else 0)
        quote -= sign * fill.quantity * fill.price + (fill.fee if fill.fee_asset == "USDT" else 0)
    held = account.held()
    assert {asset: sum(both) for asset, both in held.items()} == {"BTC": base, "USDT": quote}
    assert all(free >= 0 and locked >= 0 for free, locked in held.values())
    bids, asks = account.venue.book("BTC/USDT")
    (request,) = TRADING.open_orders(None, "", account.auth)
    for order in TRADING.parse_orders(account.send(request)).orders:
        assert order.price is not None
        assert order.price < asks[0].price if order.side is Side.BUY else order.price > bids[0].price


def test_damaged_answers_and_frames() -> None:
    account = Account()
    session = account.session()
    order = account.order("buy", "101", "2")
    body = account.send(TRADING.place(order, account.instrument, account.auth))
    (open_orders,) = TRADING.open_orders(None, "", account.auth)
    parsers: list[tuple[Callable[[bytes], object], bytes]] = [
        (lambda raw: TRADING.parse_placed(raw, order, account.instrument), body),
        (TRADING.parse_orders, account.send(open_orders)),
        (TRADING.parse_fills, account.send(TRADING.fills("BTC-USDT", None, 0, "", account.auth))),
        (TRADING.parse_balances, account.send(TRADING.balances(account.auth))),
        (lambda raw: TRADING.parse_fees(raw, "BTC-USDT"), account.send(TRADING.fees("BTC-USDT", account.auth))),
    ]
    for parse, good in parsers:
        parse(good)
        for broken in damaged(good):
            with suppress(errors.ServerFault):
                parse(broken)
    answer = b'{"answer":"r1","status":200,"body":' + body + b"}"
    reasons = set()
    for frame in (*session.frames(), answer):
        for broken in damaged(frame):
            reasons |= {event.reason for event in TRADING.decode_private(broken) if isinstance(event, Ignored)}
            for one in TRADING.decode_trade(broken, {"r1": order}):
                assert (one.report is None) != (one.error is None)
    assert reasons <= {"kind", "json", "malformed"}


def test_it_is_the_registrys_driver() -> None:
    assert isinstance(trading_for("mock"), MockTrading)
