"""``order``, ``balances``, ``positions``, ``fees``: what is asked for, what is printed, and the exit codes."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest

from thespian_connector.cli import main as cli
from thespian_connector.connector import Connector
from thespian_connector.model import Balance, FeeRates, Fill, Order, OrderStatus, OrderType, Position, Side
from thespian_connector.model.errors import InsufficientBalance, OrderNotFound, OutcomeUnknown, Refused

FILL = Fill(
    execution_id="7",
    price=Decimal(60000),
    quantity=Decimal("0.01"),
    fee=Decimal("0.6"),
    fee_asset="USDT",
    time_ns=5,
    maker=False,
)
ORDER = Order(
    client_order_id="tc-a",
    order_id="99",
    exchange="bybit",
    symbol="BTC/USDT",
    side=Side.BUY,
    type=OrderType.LIMIT,
    status=OrderStatus.FILLED,
    price=Decimal("60000.5"),
    quantity=Decimal("0.01"),
    filled=Decimal("0.01"),
    avg_price=Decimal(60000),
    fills=(FILL,),
)
DOCUMENT = {
    "client_order_id": "tc-a",
    "order_id": "99",
    "exchange": "bybit",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "status": "FILLED",
    "price": "60000.5",
    "stop_price": None,
    "quantity": "0.01",
    "quote_quantity": None,
    "time_in_force": "gtc",
    "filled": "0.01",
    "avg_price": "60000",
    "fills": [
        {
            "execution_id": "7",
            "price": "60000",
            "quantity": "0.01",
            "fee": "0.6",
            "fee_asset": "USDT",
            "time_ns": 5,
            "maker": False,
        }
    ],
    "reason": "",
    "outcome_known": True,
    "created_ns": 0,
    "updated_ns": 0,
    "foreign": False,
}


class Played:
    """Connector's calls, noted; each answers `answer`, or raises it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Any = ORDER
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        monkeypatch.setattr(Connector, "attach", classmethod(lambda cls, system: cls(system)))
        monkeypatch.setattr(Connector, "accounts", lambda _self: ["binance", "bybit"])
        for name in (
            *("place_order", "cancel_order", "amend_order", "cancel_all", "order", "orders"),
            *("balances", "positions", "fees"),
        ):
            monkeypatch.setattr(Connector, name, self._method(name))

    def _method(self, name: str) -> Any:
        def method(_connector: Connector, *args: Any, **keywords: Any) -> Any:
            self.calls.append((name, args, {key: value for key, value in keywords.items() if value is not None}))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return method


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


def run(words: str) -> int:
    return cli.main(words.split())


def documents(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_place_asks_for_what_was_typed(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    words = "order place bybit BTC/USDT buy 0.01 --type stop_limit --price 60000.5 --stop-price 1 --tif ioc --timeout 3"
    assert cli.main([*words.split(), "--client-order-id", "tc-a", "--json"]) == 0
    [(name, args, keywords)] = played.calls
    assert (name, args) == ("place_order", ("bybit", "BTC/USDT"))
    assert keywords == {
        "side": "buy",
        "type": "stop_limit",
        "quantity": "0.01",
        "price": "60000.5",
        "stop_price": "1",
        "time_in_force": "ioc",
        "client_order_id": "tc-a",
        "timeout_s": 3.0,
    }
    assert documents(capsys) == [DOCUMENT]


def test_a_market_order_by_quote(played: Played) -> None:
    assert run("order place bybit BTC/USDT sell --type market --quote-quantity 100") == 0
    [(_, _, keywords)] = played.calls
    assert keywords == {"side": "sell", "type": "market", "quote_quantity": "100", "time_in_force": "gtc"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutcomeUnknown("who knows", client_order_id="tc-a"), 5),
        (Refused("no", client_order_id="tc-a"), 4),
        (InsufficientBalance("no money", client_order_id="tc-a"), 1),
    ],
)
def test_errors_say_which_order(
    played: Played, error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    played.answer = error
    assert run("order place bybit BTC/USDT buy 1 --price 1 --json") == code
    [document] = documents(capsys)
    assert document["error"]["client_order_id"] == "tc-a"
    assert document["error"]["outcome_known"] is (code != 5)


def test_cancel_and_amend_find_the_exchange(played: Played) -> None:
    assert run("order cancel tc-a") == 0
    assert run("order amend tc-a --quantity 2 --price 3 --exchange bybit") == 0
    assert played.calls == [
        ("order", ("tc-a",), {}),
        ("cancel_order", ("bybit", "tc-a"), {}),
        ("amend_order", ("bybit", "tc-a"), {"quantity": "2", "price": "3"}),
    ]
    played.answer = OrderNotFound("none", client_order_id="tc-b")
    played.calls.clear()
    assert run("order cancel tc-b") == 1
    assert [args for _, args, _ in played.calls] == [("tc-b",), ("binance", "tc-b"), ("bybit", "tc-b")]


def test_lists(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = [ORDER, ORDER]
    assert run("order list --open --exchange bybit --json") == 0
    assert run("order cancel-all bybit --foreign --json") == 0
    assert documents(capsys) == [DOCUMENT] * 4
    assert played.calls == [
        ("orders", (), {"open_only": True, "exchange": "bybit"}),
        ("cancel_all", ("bybit",), {"foreign": True}),
    ]


def test_people_see_the_order_and_its_fills(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("order show tc-a") == 0
    shown = capsys.readouterr().out
    assert "tc-a FILLED\n" in shown
    assert "buy 0.01 BTC/USDT limit at 60000.5, bybit order 99" in shown
    assert "filled 0.01 at 60000 on average" in shown
    assert "0.6" in shown
    played.answer = [ORDER]
    assert run("order list") == 0
    [row] = [line for line in capsys.readouterr().out.splitlines() if "tc-a" in line]
    assert " ".join(row.split()) == "tc-a bybit BTC/USDT buy limit FILLED 60000.5 0.01 0.01 60000"


def test_a_batch_reads_standard_input(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = b'{"id":4,"op":"show","client_order_id":"tc-a"}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line)))
    assert cli.main(["order", "batch", "-"]) == 0
    assert documents(capsys) == [{"id": 4, **DOCUMENT}]
    assert cli.main(["order", "batch", "/nowhere/at-all"]) == 2


def test_the_account(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.answer = [Balance(exchange="bybit", asset="BTC", free=Decimal("1.50"), locked=Decimal(0))]
    assert cli.main(["balances", "--json"]) == 0
    assert documents(capsys) == [{"exchange": "bybit", "asset": "BTC", "free": "1.5", "locked": "0"}]
    assert cli.main(["balances"]) == 0
    assert "1.5" in capsys.readouterr().out
    played.answer = [
        Position(
            exchange="bybit",
            symbol="BTC/USDT",
            quantity=Decimal(1),
            avg_cost=Decimal(2),
            realized_pnl=Decimal(-3),
            unrealized_pnl=None,
            fees={"USDT": Decimal("0.6")},
        )
    ]
    assert cli.main(["positions", "--json"]) == 0
    [document] = documents(capsys)
    assert document["fees"] == {"USDT": "0.6"}
    assert cli.main(["positions"]) == 0
    assert "0.6 USDT" in capsys.readouterr().out
    played.answer = [FeeRates(exchange="bybit", symbol="BTC/USDT", maker=Decimal("0.0005"), taker=Decimal("0.001"))]
    assert cli.main(["fees", "bybit", "--symbol", "BTC/USDT", "--json"]) == 0
    assert documents(capsys) == [{"exchange": "bybit", "symbol": "BTC/USDT", "maker": "0.0005", "taker": "0.001"}]
    assert cli.main(["fees"]) == 0
    assert "0.05" in capsys.readouterr().out
    assert [call[:2] for call in played.calls[-3:]] == [
        ("fees", ("bybit", ["BTC/USDT"])),
        ("fees", ("binance", [])),
        ("fees", ("bybit", [])),
    ]
