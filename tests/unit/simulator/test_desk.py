"""The desk: funds to the last digit, the book's own matching, and every order's whole story."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from thespian_connector.model.enums import OrderStatus, OrderType, Side, TimeInForce
from thespian_connector.simulator.desk import Desk, DeskRules
from thespian_connector.simulator.faults import Faults
from thespian_connector.simulator.market import Market
from thespian_connector.simulator.orders import Reason, Refusal, Refused, SelfTrade, SimOrder, Ticket
from thespian_connector.simulator.venue import Venue, seeded_account
from thespian_connector.simulator.world import market_spec

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
NATIVE = "BTCUSDT"


class Trading:
    """A desk over one empty market; the flow is the test's own."""

    def __init__(self, **rules: Any) -> None:
        self.now_ns = 1_000_000_000
        faults = Faults(("binance",), lambda: self.now_ns)
        self.market = Market(market_spec("binance", "BTC/USDT", 10))
        self.venue = Venue(
            "binance",
            {NATIVE: self.market},
            faults,
            account=seeded_account(1, "binance"),
            time_ns=lambda: self.now_ns,
            monotonic_ns=lambda: self.now_ns,
        )
        numbers = itertools.count(1)
        settled: dict[str, Any] = {
            "order_id": lambda native: next(numbers),
            "execution_id": lambda trade_id, maker: f"{trade_id}{'m' if maker else 't'}",
            "maker_fee": D("0.001"),
            "taker_fee": D("0.002"),
            "fee_step": D("0.00000001"),
        }
        self.desk = Desk(self.venue, DeskRules(**{**settled, **rules}))
        self.told: list[str] = []
        self.desk.on_order.append(
            lambda event: self.told.append(f"{event.what} {event.order.client_id} {event.order.status}")
        )
        self.desk.on_balances.append(lambda account, assets: self.told.append("balances " + ",".join(assets)))
        self._ids = itertools.count(1)

    def flow(self, side: Side, quantity: str, price: str | None = None) -> None:
        """An order of the flow."""
        spec = self.market.spec
        ticks = None if price is None else int(D(price) / spec.tick)
        self.market.submit(side is BUY, int(D(quantity) / spec.step), ticks, now_ns=self.now_ns)
        self.market.commit(self.now_ns)

    def ticket(self, side: Side, quantity: str | None, price: str | None = None, **fields: Any) -> Ticket:
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        if "stop_price" in fields:
            kind = OrderType.STOP_LIMIT
        settled: dict[str, Any] = {
            "client_id": f"c{next(self._ids)}",
            "native": NATIVE,
            "side": side,
            "type": kind,
            "quantity": None if quantity is None else D(quantity),
            "price": None if price is None else D(price),
        }
        return Ticket(**{**settled, **fields})

    def place(self, side: Side, quantity: str | None, price: str | None = None, **fields: Any) -> SimOrder:
        return self.desk.place(self.ticket(side, quantity, price, **fields))

    def balance(self, asset: str) -> tuple[Decimal, Decimal]:
        account = self.venue.account
        return account.free[asset], account.locked[asset]

    def start(self, asset: str) -> Decimal:
        return self.venue.account.starting[asset]


@pytest.fixture
def trading() -> Trading:
    return Trading()


def test_a_resting_order_locks_its_worth_and_its_cancel_frees_it(trading: Trading) -> None:
    order = trading.place(BUY, "0.5", "60000")
    assert trading.balance("USDT") == (trading.start("USDT") - 30_000, D(30_000))
    assert trading.market.book.levels("bid") == [(D("60000"), D("0.5"))]
    trading.desk.cancel(order)
    assert trading.balance("USDT") == (trading.start("USDT"), D(0))
    assert (order.status, order.reason) == (OrderStatus.CANCELED, Reason.USER)
    assert trading.market.book.levels("bid") == []
    assert trading.told == ["accepted c1 NEW", "balances USDT", "ended c1 CANCELED", "balances USDT"]
    with pytest.raises(Refused) as refused:
        trading.desk.cancel(order)
    assert refused.value.why is Refusal.NOT_OPEN


def test_a_taker_pays_the_makers_price_and_the_fee_is_of_what_it_gets(trading: Trading) -> None:
    trading.flow(SELL, "0.3", "59990")
    trading.flow(SELL, "0.3", "60000")
    order = trading.place(BUY, "1", "60000")
    assert [(fill.price, fill.quantity, fill.fee, fill.fee_asset, fill.maker) for fill in order.fills] == [
        (D("59990"), D("0.3"), D("0.0006"), "BTC", False),
        (D("60000"), D("0.3"), D("0.0006"), "BTC", False),
    ]
    paid = D("0.3") * 59_990 + D("0.3") * 60_000
    assert (order.filled, order.filled_quote, order.status) == (D("0.6"), paid, OrderStatus.PARTIALLY_FILLED)
    assert trading.balance("USDT") == (trading.start("USDT") - paid - 24_000, D(24_000))
    assert trading.balance("BTC") == (trading.start("BTC") + D("0.6") - D("0.0012"), D(0))
    assert [trade.trade_id for trade in trading.market.tape] == [fill.trade_id for fill in order.fills]


def test_the_flow_hits_a_resting_order_with_the_makers_fee(trading: Trading) -> None:
    first = trading.place(SELL, "1", "60000")
    second = trading.place(SELL, "1", "60000")
    trading.told.clear()
    trading.flow(BUY, "1.5")
    assert (first.status, second.status) == (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED)
    assert second.fills[0].maker
    assert second.fills[0].fee == D("30")
    assert second.fills[0].fee_asset == "USDT"
    assert trading.balance("BTC") == (trading.start("BTC") - 2, D("0.5"))
    assert trading.told == ["fill c1 FILLED", "fill c2 PARTIALLY_FILLED", "balances BTC,USDT"]


def test_ioc_and_market_remainders_expire_and_fok_is_all_or_nothing(trading: Trading) -> None:
    trading.flow(SELL, "0.5", "60000")
    fok = trading.place(BUY, "0.6", "60000", time_in_force=TimeInForce.FOK)
    assert (fok.status, fok.reason, fok.fills) == (OrderStatus.EXPIRED, Reason.FOK, [])
    ioc = trading.place(BUY, "0.2", "59999", time_in_force=TimeInForce.IOC)
    assert (ioc.status, ioc.reason, ioc.filled) == (OrderStatus.EXPIRED, Reason.IOC, 0)
    whole = trading.place(BUY, "0.4", "60001", time_in_force=TimeInForce.FOK)
    assert (whole.status, whole.filled) == (OrderStatus.FILLED, D("0.4"))
    market = trading.place(BUY, "0.4")
    assert (market.status, market.reason, market.filled) == (OrderStatus.EXPIRED, Reason.NO_LIQUIDITY, D("0.1"))
    assert trading.balance("USDT")[1] == 0


def test_a_market_order_by_quote_spends_what_whole_steps_cost(trading: Trading) -> None:
    trading.flow(SELL, "0.01", "50000")
    trading.flow(SELL, "1", "60000")
    order = trading.place(BUY, None, quote_quantity=D("1000"))
    assert (order.status, order.quantity, order.filled_quote) == (OrderStatus.FILLED, D("0.01833"), D("999.8"))
    assert trading.balance("USDT") == (trading.start("USDT") - D("999.8"), D(0))
    short = trading.place(BUY, None, quote_quantity=D("1000000"))
    assert (short.status, short.filled) == (OrderStatus.EXPIRED, D("0.99167"))


def test_what_is_refused_leaves_nothing(trading: Trading) -> None:
    trading.flow(SELL, "1", "60000")
    cases: list[tuple[Refusal, Ticket]] = [
        (Refusal.FUNDS, trading.ticket(SELL, "100.00001", "70000")),
        (Refusal.FUNDS, trading.ticket(BUY, "1000", "59000")),
        (Refusal.WOULD_TAKE, trading.ticket(BUY, "1", "60000", type=OrderType.LIMIT_MAKER)),
    ]
    for why, ticket in cases:
        with pytest.raises(Refused) as refused:
            trading.desk.place(ticket)
        assert refused.value.why is why
    assert trading.told == []
    assert trading.venue.orders == []
    assert trading.balance("USDT") == (trading.start("USDT"), D(0))


def test_a_client_id_is_unique_among_open_orders_or_for_ever() -> None:
    for for_ever in (False, True):
        trading = Trading(client_ids_for_ever=for_ever)
        order = trading.place(BUY, "1", "100", client_id="same")
        with pytest.raises(Refused) as refused:
            trading.place(BUY, "1", "100", client_id="same")
        assert refused.value.why is Refusal.DUPLICATE
        trading.desk.cancel(order)
        if for_ever:
            with pytest.raises(Refused):
                trading.place(BUY, "1", "100", client_id="same")
        else:
            again = trading.place(BUY, "1", "100", client_id="same")
            assert trading.desk.register.by_client(NATIVE, "same") is again


def test_a_post_only_order_that_would_take_may_be_accepted_and_then_rejected() -> None:
    trading = Trading(post_only_accepted=True)
    trading.flow(SELL, "1", "60000")
    order = trading.place(BUY, "1", "60000", type=OrderType.LIMIT_MAKER)
    assert (order.status, order.reason, order.filled) == (OrderStatus.REJECTED, Reason.POST_ONLY, 0)
    assert trading.told == ["ended c1 REJECTED", "balances USDT"]
    assert trading.balance("USDT")[1] == 0


def test_stop_orders_wait_for_the_last_trade_price(trading: Trading) -> None:
    trading.flow(SELL, "1", "60000")
    trading.flow(BUY, "0.1")
    stop = trading.place(BUY, "0.2", "60020", stop_price=D("60010"), trigger_above=True)
    assert (stop.working, stop.status) == (False, OrderStatus.NEW)
    assert trading.balance("USDT")[1] == D("0.2") * 60_020
    with pytest.raises(Refused) as refused:
        trading.place(BUY, "0.2", "60020", stop_price=D("60000"), trigger_above=True)
    assert refused.value.why is Refusal.WOULD_TRIGGER
    trading.flow(SELL, "1", "60009.99")
    trading.flow(BUY, "0.1", "60009.99")
    assert not stop.working
    trading.flow(SELL, "1", "60010")
    trading.flow(BUY, "2.75")
    assert (stop.working, stop.status, stop.filled) == (True, OrderStatus.PARTIALLY_FILLED, D("0.05"))
    assert trading.told[-3:] == ["triggered c1 NEW", "fill c1 PARTIALLY_FILLED", "balances USDT,BTC"]
    assert trading.market.book.levels("bid") == [(D("60020"), D("0.15"))]


def test_a_stop_order_that_locks_nothing_is_rejected_if_the_funds_are_gone() -> None:
    trading = Trading(stops_lock=False)
    trading.flow(BUY, "0.1", "60000")
    stop = trading.place(SELL, "100", "50000", stop_price=D("60000"), trigger_above=False)
    assert trading.balance("BTC")[1] == 0
    trading.place(SELL, "1", "70000")
    trading.flow(SELL, "0.1")
    assert (stop.status, stop.reason, stop.filled) == (OrderStatus.REJECTED, Reason.FUNDS, 0)


def test_a_smaller_quantity_keeps_its_place_and_anything_else_queues_anew(trading: Trading) -> None:
    first = trading.place(BUY, "1", "60000")
    second = trading.place(BUY, "1", "60000")
    trading.desk.amend(first, quantity=D("0.6"))
    assert trading.balance("USDT")[1] == D("1.6") * 60_000
    assert trading.market.book.levels("bid") == [(D("60000"), D("1.6"))]
    trading.flow(SELL, "0.1")
    assert (first.filled, second.filled) == (D("0.1"), 0)
    trading.desk.amend(first, quantity=D("0.7"))
    trading.flow(SELL, "0.1")
    assert (first.filled, second.filled) == (D("0.1"), D("0.1"))
    trading.flow(SELL, "0.3", "60001")
    trading.desk.amend(second, price=D("60001"))
    assert (second.filled, second.resting is not None) == (D("0.4"), True)
    assert trading.balance("USDT")[1] == D("0.6") * 60_000 + D("0.6") * 60_001
    for changes, why in (
        ({"quantity": D("0.4")}, Refusal.TOO_SMALL),
        ({"quantity": D("1")}, Refusal.NO_CHANGE),
        ({"quantity": D("10000")}, Refusal.FUNDS),
    ):
        with pytest.raises(Refused) as refused:
            trading.desk.amend(second, **changes)
        assert refused.value.why is why


@pytest.mark.parametrize(
    ("mode", "taker", "maker", "filled"),
    [
        (SelfTrade.EXPIRE_TAKER, "EXPIRED", "NEW", "0.2"),
        (SelfTrade.EXPIRE_MAKER, "FILLED", "EXPIRED", "1"),
        (SelfTrade.EXPIRE_BOTH, "EXPIRED", "EXPIRED", "0.2"),
        (SelfTrade.DECREMENT, "FILLED", "EXPIRED", "0.5"),
        (SelfTrade.NONE, "FILLED", "FILLED", "1"),
    ],
)
def test_the_takers_mode_decides_what_a_self_trade_becomes(
    mode: SelfTrade, taker: str, maker: str, filled: str
) -> None:
    trading = Trading()
    trading.flow(SELL, "0.2", "60000")
    mine = trading.place(SELL, "0.5", "60000")
    trading.flow(SELL, "0.3" if mode is not SelfTrade.EXPIRE_MAKER else "2", "60000")
    order = trading.place(BUY, "1", "60000", self_trade=mode)
    if mode is SelfTrade.DECREMENT:
        assert (order.prevented, mine.prevented) == (D("0.5"), D("0.5"))
    assert (order.status, mine.status, order.filled) == (taker, maker, D(filled))
    if not order.open and not mine.open:
        assert trading.balance("USDT")[1] == trading.balance("BTC")[1] == 0


def test_a_hidden_order_is_missed_by_queries_until_its_time(trading: Trading) -> None:
    order = trading.desk.place(trading.ticket(BUY, "1", "100"), hidden_ms=500)
    register = trading.desk.register
    assert register.by_client(NATIVE, "c1") is order
    for ask in (
        lambda: register.by_client(NATIVE, "c1", visible=True),
        lambda: register.by_id(NATIVE, order.order_id, visible=True),
        lambda: register.open(visible=True),
        lambda: list(register.all()),
    ):
        assert not ask()
    trading.now_ns += 500_000_000
    assert register.by_client(NATIVE, "c1", visible=True) is order
    assert register.open(NATIVE, visible=True) == list(register.all()) == [order]


def test_maintenance_takes_no_orders_but_cancels(trading: Trading) -> None:
    order = trading.place(BUY, "1", "100")
    fault = trading.venue.faults.add({"venue": "binance", "kind": "maintenance"})
    for refuse in (lambda: trading.place(BUY, "1", "100"), lambda: trading.desk.amend(order, quantity=D("0.5"))):
        with pytest.raises(Refused) as refused:
            refuse()
        assert refused.value.why is Refusal.HALTED
    assert fault.fired == 2
    trading.desk.cancel(order)


def test_the_truth_tells_the_whole_story(trading: Trading) -> None:
    trading.flow(SELL, "0.3", "60000")
    trading.place(BUY, "0.5", "60000.00")
    (document,) = [order.document() for order in trading.venue.orders]
    fill = document["fills"][0]
    assert {name: document[name] for name in ("client_order_id", "order_id", "symbol", "side", "type")} == {
        "client_order_id": "c1",
        "order_id": "1",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
    }
    assert [document[name] for name in ("price", "quantity", "status", "filled")] == [
        "60000",
        "0.5",
        "PARTIALLY_FILLED",
        "0.3",
    ]
    assert [fill[name] for name in ("execution_id", "price", "quantity", "fee", "fee_asset", "maker")] == [
        "1t",
        "60000",
        "0.3",
        "0.0006",
        "BTC",
        False,
    ]
