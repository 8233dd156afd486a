"""Trading by the command line, both venues: every document is what the simulator's own record says, to the letter."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support.simulator import Simulator
from support.system import System, traded_at
from support.trading import Trader as Stranger
from support.trading import soon
from support.waiting import wait_until

PATIENCE_S = 60
SYMBOL = "BTC/USDT"
TERMS = ("client_order_id", "order_id", "symbol", "side", "type", "price", "quantity", "status", "filled")
FILL = ("execution_id", "price", "quantity", "fee", "fee_asset", "maker")


class Desk:
    """One exchange of the system, by the command line; its keys are in the environment, as a user's are."""

    def __init__(self, system: System, simulator: Simulator, exchange: str) -> None:
        self.system = system
        self.simulator = simulator
        self.exchange = exchange

    def run(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        done = self.system.run(*words, "--json")
        assert done.returncode == code, done.stdout + done.stderr + self.system.log()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def one(self, *words: str, code: int = 0) -> dict[str, Any]:
        return self.run(*words, code=code)[-1]

    def price(self, share: float) -> str:
        """That share of the best bid, on the grid."""
        [best, *_] = self.one("book", SYMBOL, "--exchange", self.exchange)["bids"]
        return str(int(float(best[0]) * share))

    def place(self, share: float, *words: str, side: str = "buy", quantity: str = "0.02") -> dict[str, Any]:
        terms = (self.exchange, SYMBOL, side, quantity, "--price", self.price(share), *words)
        return self.one("order", "place", *terms)

    def ended(self, name: str, status: str) -> dict[str, Any]:
        """The order once it is so, and all of its fills are told: a venue may say first that it has it."""

        def there() -> dict[str, Any] | None:
            shown = self.one("order", "show", name)
            told = sum(Fraction(fill["quantity"]) for fill in shown["fills"])
            return shown if shown["status"] == status and told == Fraction(shown["filled"]) else None

        return wait_until(there, PATIENCE_S, f"{name} is {status}") or {}

    def truth(self, order_id: str) -> dict[str, Any]:
        [row] = [row for row in self.simulator.truth(self.exchange, "orders") if row["order_id"] == order_id]
        return dict(row)

    def open(self) -> list[str]:
        rows = self.simulator.truth(self.exchange, "orders")
        return [row["client_order_id"] for row in rows if row["status"] in ("NEW", "PARTIALLY_FILLED")]

    def check(self, document: dict[str, Any], *, renamed: bool = False) -> None:
        """:param renamed: the venue knows it by another id than ours: it took the place of another."""
        true = self.truth(document["order_id"])
        for term in TERMS[1:] if renamed else TERMS:
            assert document[term] == true[term], (term, document, true)
        fills = sorted((one for one in document["fills"]), key=lambda one: int(one["execution_id"]))
        assert [{name: one[name] for name in FILL} for one in fills] == [
            {name: one[name] for name in FILL} for one in true["fills"]
        ]
        assert document["outcome_known"] is True


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=5) as one:
        yield one


@pytest.fixture(scope="module")
def system(simulator: Simulator) -> Iterator[System]:
    overrides, keys = traded_at(simulator)
    # A busy machine is not what is tested.
    with System(*overrides, "orders.timeout_s=30") as one:
        one.environment.update(keys)
        one.start("--wait", "live", "--timeout", "120")
        yield one
        log = one.log()
        assert not any(value in log for name, value in keys.items() if name.endswith("SECRET"))


@pytest.fixture(params=["binance", "bybit"])
def desk(system: System, simulator: Simulator, request: pytest.FixtureRequest) -> Iterator[Desk]:
    yield Desk(system, simulator, request.param)
    simulator.clear_faults()


def test_an_order_is_placed_amended_and_cancelled(desk: Desk) -> None:
    placed = desk.place(0.9, "--client-order-id", f"mine-{desk.exchange}")
    assert (placed["status"], placed["client_order_id"]) == ("NEW", f"mine-{desk.exchange}")
    desk.check(placed)
    name = placed["client_order_id"]
    again = ("--price", placed["price"], "--client-order-id", name)
    assert desk.one("order", "place", desk.exchange, SYMBOL, "buy", "0.02", *again)["order_id"] == placed["order_id"]
    error = desk.one("order", "place", desk.exchange, SYMBOL, "buy", "0.03", *again, code=4)["error"]
    assert (error["type"], error["client_order_id"]) == ("DuplicateClientOrderId", name)
    amended = desk.one("order", "amend", name, "--quantity", "0.025", "--price", desk.price(0.89))
    assert (amended["client_order_id"], amended["quantity"], amended["status"]) == (name, "0.025", "NEW")
    desk.check(amended, renamed=True)
    assert desk.one("order", "show", name)["quantity"] == "0.025"
    assert name in [one["client_order_id"] for one in desk.run("order", "list", "--open", "--exchange", desk.exchange)]
    ended = desk.one("order", "cancel", name)
    assert ended["status"] == "CANCELED"
    desk.check(ended, renamed=True)
    assert desk.one("order", "cancel", name)["status"] == "CANCELED"
    assert desk.open() == []


def test_fills_balances_and_positions_are_the_venue_s(desk: Desk) -> None:
    for side, share in (("buy", 1.01), ("sell", 0.99), ("buy", 1.01)):
        crossed = desk.place(share, side=side, quantity="0.02" if side == "buy" else "0.013")
        desk.check(desk.ended(crossed["client_order_id"], "FILLED"))
    sold = desk.one("order", "place", desk.exchange, SYMBOL, "sell", "0.003", "--type", "market")
    assert sold["status"] == "FILLED"
    desk.simulator.pause()
    try:
        wait_until(lambda: desk_balances(desk) == true_balances(desk), PATIENCE_S, "balances are the venue's")
        wait_until(lambda: positions_right(desk), PATIENCE_S, "positions are those of the venue's fills")
    finally:
        desk.simulator.resume()


def desk_balances(desk: Desk) -> dict[str, tuple[str, str]]:
    rows = desk.run("balances", "--exchange", desk.exchange)
    return {row["asset"]: (row["free"], row["locked"]) for row in rows}


def true_balances(desk: Desk) -> dict[str, tuple[str, str]]:
    rows = desk.simulator.truth(desk.exchange, "balances")
    return {row["asset"]: (row["free"], row["locked"]) for row in rows}


def positions_right(desk: Desk) -> bool:
    """Average cost, worked out anew from the venue's fills in fractions; what is sold realises against it."""
    orders = [row for row in desk.simulator.truth(desk.exchange, "orders") if row["symbol"] == SYMBOL]
    fills = [(int(fill["execution_id"]), row["side"], fill) for row in orders for fill in row["fills"]]
    held, cost, realized, fees = Fraction(0), Fraction(0), Fraction(0), dict[str, Fraction]()
    for _, side, fill in sorted(fills, key=lambda one: one[0]):
        price, quantity, fee = (Fraction(fill[name]) for name in ("price", "quantity", "fee"))
        if side == "buy":
            held, cost = held + quantity, cost + price * quantity
        else:
            assert held >= quantity, "this test never sells what it has not bought"
            realized += (price - cost / held) * quantity
            held, cost = held - quantity, cost - cost / held * quantity
        if fill["fee_asset"] == "BTC":
            held, cost = held - fee, cost - cost / held * fee
        fees[fill["fee_asset"]] = fees.get(fill["fee_asset"], Fraction(0)) + fee
    book = desk.simulator.book(desk.exchange, SYMBOL.replace("/", ""))
    mark = (Fraction(book["bids"][0][0]) + Fraction(book["asks"][0][0])) / 2
    [row] = [row for row in desk.run("positions", "--exchange", desk.exchange) if row["symbol"] == SYMBOL]
    true = {"quantity": held, "avg_cost": cost / held, "realized_pnl": realized, "unrealized_pnl": mark * held - cost}
    if {asset: Fraction(fee) for asset, fee in row["fees"].items()} != fees:
        return False
    return all(abs(Fraction(row[name]) - value) < Fraction(1, 10**20) for name, value in true.items())


def test_an_answer_that_is_lost_is_exit_code_5_and_show_tells_the_rest(desk: Desk) -> None:
    desk.simulator.fault(desk.exchange, "ack_lost", count=1, op="place")
    terms = (desk.exchange, SYMBOL, "buy", "0.02", "--price", desk.price(0.9), "--timeout", "15")
    error = desk.one("order", "place", *terms, code=5)["error"]
    assert error["outcome_known"] is False
    name = error["client_order_id"]
    wait_until(lambda: desk.one("order", "show", name)["status"] == "NEW", PATIENCE_S, "it is asked for")
    desk.check(desk.one("order", "show", name))
    assert desk.one("order", "cancel", name)["status"] == "CANCELED"


def test_the_venue_s_no_is_exit_code_1_and_ours_2(desk: Desk) -> None:
    resting = desk.place(1.1, side="sell", quantity="60")["client_order_id"]
    terms = ("order", "place", desk.exchange, SYMBOL, "sell")
    error = desk.one(*terms, "60", "--price", desk.price(1.1), code=1)["error"]
    assert (error["type"], error["outcome_known"]) == ("InsufficientBalance", True)
    assert error["client_order_id"]
    assert desk.one("order", "cancel", resting)["status"] == "CANCELED"
    assert desk.one(*terms, "0.02", "--price", "60000.00001", code=2)["error"]["message"].startswith("price: ")
    assert desk.one("order", "cancel", "tc-nobody", code=1)["error"]["type"] == "OrderNotFound"


def test_a_batch_is_answered_line_by_line(desk: Desk) -> None:
    price = int(desk.price(0.9))
    place = {"op": "place", "exchange": desk.exchange, "symbol": SYMBOL, "side": "buy", "quantity": "0.01"}
    lines: list[dict[str, Any]] = [{"id": number, **place, "price": str(price + number)} for number in range(20)]
    lines.append({"id": "float", **place, "price": 60000.5})
    lines.append({"id": "first", **place, "price": str(price), "client_order_id": f"first-{desk.exchange}"})
    lines.append({"id": "gone", "op": "cancel", "client_order_id": f"first-{desk.exchange}"})
    done = subprocess.run(
        [sys.executable, "-m", "thespian_connector", "--system", desk.system.name, "order", "batch", "-"],
        input="\n".join(map(json.dumps, lines)),
        env=desk.system.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert set(answers) == {line["id"] for line in lines}
    assert "price" in answers.pop("float")["error"]["message"]
    assert (answers.pop("first")["status"], answers.pop("gone")["status"]) == ("NEW", "CANCELED")
    for answer in answers.values():
        desk.check(answer)
    ended = desk.run("order", "cancel-all", desk.exchange)
    assert {one["client_order_id"] for one in ended} == {one["client_order_id"] for one in answers.values()}
    assert {one["status"] for one in ended} == {"CANCELED"}
    assert desk.open() == []


def test_cancel_all_leaves_others_orders_unless_it_is_told(desk: Desk, tmp_path: Path) -> None:
    stranger = Stranger(desk.simulator, desk.exchange, tmp_path)
    with contextlib.closing(stranger):
        foreign = stranger.order(far="0.9", client_order_id=f"theirs-{desk.exchange}")
        stranger.rest.place(foreign, stranger.instrument, soon())
        theirs = foreign.client_order_id
        mine = desk.place(0.9)["client_order_id"]
        assert [one["client_order_id"] for one in desk.run("order", "cancel-all", desk.exchange)] == [mine]
        assert desk.open() == [theirs]
        seen = ("order", "list", "--open", "--exchange", desk.exchange)
        wait_until(lambda: [one["client_order_id"] for one in desk.run(*seen)] == [theirs], PATIENCE_S, "it is seen")
        ended = desk.run("order", "cancel-all", desk.exchange, "--foreign")
        assert [(one["client_order_id"], one["status"]) for one in ended] == [(theirs, "CANCELED")]
        assert desk.open() == []


def test_watch_tells_of_orders(desk: Desk) -> None:
    words = ("watch", SYMBOL, "--exchange", desk.exchange, "--channel", "order", "-n", "1", "--json")
    command = [sys.executable, "-m", "thespian_connector", "--system", desk.system.name, *words]
    with subprocess.Popen(command, env=desk.system.environment, stdout=subprocess.PIPE, text=True) as watch:
        names = []

        def told() -> bool:
            if watch.poll() is None:
                names.append(desk.place(0.9)["client_order_id"])
            return watch.poll() is not None

        wait_until(told, PATIENCE_S, "an order is told")
        assert watch.stdout is not None
        event = json.loads(watch.stdout.read())
    assert (event["kind"], event["exchange"], event["symbol"]) == ("order", desk.exchange, SYMBOL)
    assert event["client_order_id"] in names
    assert event["outcome_known"] is True
    desk.run("order", "cancel-all", desk.exchange)


def test_fees_are_the_account_s(desk: Desk) -> None:
    [rates] = desk.run("fees", desk.exchange, "--symbol", SYMBOL)
    assert set(rates) == {"exchange", "symbol", "maker", "taker"}
    assert 0 < float(rates["maker"]) <= float(rates["taker"]) < 0.01
