"""What Binance says of orders and accounts, by its documentation of 2026-07: the shapes, with numbers of our own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from thespian_connector.drivers.signing import HmacSigner
from thespian_connector.drivers.trading import Auth, OrderKey
from thespian_connector.model import Instrument, InstrumentStatus, NewOrder, OrderType, Side

#: The documentation's public test key.
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SIGNER = HmacSigner(API_KEY, SECRET)
T_MS = 1_660_801_715_639
T_NS = T_MS * 1_000_000
AUTH = Auth(SIGNER, T_MS, 2000)

INSTRUMENT = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.00001"),
)
ORDER = NewOrder(
    client_order_id="tc-1",
    exchange="binance",
    symbol="BTC/USDT",
    side=Side.SELL,
    type=OrderType.LIMIT,
    quantity=Decimal("0.00847"),
    price=Decimal("23416.1"),
)
KEY = OrderKey(native="BTCUSDT", client_order_id="tc-1")
KEY_BY_ID = OrderKey(native="BTCUSDT", client_order_id="tc-1", order_id="12569099453")

ACK: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 12569099453,
    "orderListId": -1,
    "clientOrderId": "tc-1",
    "transactTime": T_MS,
}
RESULT: dict[str, Any] = ACK | {
    "price": "23416.10000000",
    "origQty": "0.00847000",
    "executedQty": "0.00000000",
    "origQuoteOrderQty": "0.000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "SELL",
    "workingTime": T_MS,
    "selfTradePreventionMode": "NONE",
}
FULL: dict[str, Any] = RESULT | {
    "executedQty": "0.00847000",
    "cummulativeQuoteQty": "198.33521500",
    "status": "FILLED",
    "fills": [
        {
            "price": "23416.50000000",
            "qty": "0.00212000",
            "commission": "0.04964298",
            "commissionAsset": "USDT",
            "tradeId": 1650422481,
        },
        {
            "price": "23416.10000000",
            "qty": "0.00635000",
            "commission": "0.14869224",
            "commissionAsset": "USDT",
            "tradeId": 1650422482,
        },
    ],
}
CANCELED: dict[str, Any] = RESULT | {
    "origClientOrderId": "tc-1",
    "clientOrderId": "4d96324ff9d44481926157ec08158a40",
    "executedQty": "0.00100000",
    "cummulativeQuoteQty": "23.41610000",
    "status": "CANCELED",
}
QUERIED: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 12569099453,
    "orderListId": -1,
    "clientOrderId": "tc-1",
    "price": "23416.10000000",
    "origQty": "0.00847000",
    "executedQty": "0.00100000",
    "cummulativeQuoteQty": "-1.00000000",
    "status": "PARTIALLY_FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "SELL",
    "stopPrice": "0.00000000",
    "icebergQty": "0.00000000",
    "time": T_MS,
    "updateTime": T_MS + 5,
    "isWorking": True,
    "workingTime": T_MS,
    "origQuoteOrderQty": "0.00000000",
    "selfTradePreventionMode": "NONE",
}
AMENDED: dict[str, Any] = {
    "transactTime": T_MS + 7,
    "executionId": 75,
    "amendedOrder": {
        "symbol": "BTCUSDT",
        "orderId": 12569099453,
        "orderListId": -1,
        "origClientOrderId": "tc-1",
        "clientOrderId": "tc-1",
        "price": "23416.10000000",
        "qty": "0.00500000",
        "executedQty": "0.00100000",
        "preventedQty": "0.00000000",
        "quoteOrderQty": "0.00000000",
        "cumulativeQuoteQty": "23.41610000",
        "status": "PARTIALLY_FILLED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "SELL",
        "workingTime": T_MS,
        "selfTradePreventionMode": "NONE",
    },
}
TRADE: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "id": 1650422481,
    "orderId": 12569099453,
    "orderListId": -1,
    "price": "23416.50000000",
    "qty": "0.00212000",
    "quoteQty": "49.64298000",
    "commission": "0.00000212",
    "commissionAsset": "BNB",
    "time": T_MS,
    "isBuyer": False,
    "isMaker": True,
    "isBestMatch": True,
}
ACCOUNT: dict[str, Any] = {
    "makerCommission": 15,
    "canTrade": True,
    "updateTime": T_MS,
    "accountType": "SPOT",
    "balances": [
        {"asset": "BTC", "free": "1.50000000", "locked": "0.00847000"},
        {"asset": "这是测试币456", "free": "0.00000000", "locked": "3.00000000"},
    ],
    "permissions": ["SPOT"],
    "uid": 354937868,
}
COMMISSION: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "standardCommission": {"maker": "0.00100000", "taker": "0.00200000", "buyer": "0.00000000", "seller": "0.00010000"},
    "specialCommission": {"maker": "0.00000000", "taker": "0.00000000", "buyer": "0.00000000", "seller": "0.00000000"},
    "taxCommission": {"maker": "0.00000100", "taker": "0.00000200", "buyer": "0.00000300", "seller": "0.00000000"},
    "discount": {
        "enabledForAccount": True,
        "enabledForSymbol": True,
        "discountAsset": "BNB",
        "discount": "0.75000000",
    },
}
NEW_EXECUTION: dict[str, Any] = {
    "e": "executionReport",
    "E": T_MS + 1,
    "s": "BTCUSDT",
    "c": "tc-1",
    "S": "SELL",
    "o": "LIMIT",
    "f": "GTC",
    "q": "0.00847000",
    "p": "23416.10000000",
    "P": "0.00000000",
    "F": "0.00000000",
    "g": -1,
    "C": "",
    "x": "NEW",
    "X": "NEW",
    "r": "NONE",
    "i": 12569099453,
    "l": "0.00000000",
    "z": "0.00000000",
    "L": "0.00000000",
    "n": "0",
    "N": None,
    "T": T_MS,
    "t": -1,
    "I": 8641984,
    "w": True,
    "m": False,
    "M": False,
    "O": T_MS,
    "Z": "0.00000000",
    "Y": "0.00000000",
    "Q": "0.00000000",
    "V": "NONE",
    "W": T_MS,
}
TRADE_EXECUTION: dict[str, Any] = NEW_EXECUTION | {
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "l": "0.00212000",
    "z": "0.00212000",
    "L": "23416.50000000",
    "n": "0.04964298",
    "N": "USDT",
    "T": T_MS + 3,
    "t": 1650422481,
    "m": True,
    "Z": "49.64298000",
    "Y": "49.64298000",
}
CANCELED_EXECUTION: dict[str, Any] = NEW_EXECUTION | {
    "c": "4d96324ff9d44481926157ec08158a40",
    "C": "tc-1",
    "x": "CANCELED",
    "X": "CANCELED",
}
REPLACED_EXECUTION: dict[str, Any] = NEW_EXECUTION | {"C": "tc-1", "x": "REPLACED", "q": "0.00500000"}
PREVENTED_EXECUTION: dict[str, Any] = NEW_EXECUTION | {
    "x": "TRADE_PREVENTION",
    "X": "EXPIRED_IN_MATCH",
    "l": "0.00000000",
    "v": 3,
    "A": "0.00200000",
    "B": "0.00200000",
    "u": 2,
    "U": 37,
    "Cs": "BTCUSDT",
    "pl": "0.00200000",
    "pL": "23416.10000000",
    "pY": "46.83220000",
}
EXPIRED_EXECUTION: dict[str, Any] = NEW_EXECUTION | {
    "x": "EXPIRED",
    "X": "EXPIRED",
    "o": "MARKET",
    "p": "0.00000000",
    "q": "6.00000000",
    "z": "4.00000000",
    "Z": "80.00000000",
    "eR": "INSUFFICIENT_LIQUIDITY",
}
POSITION: dict[str, Any] = {
    "e": "outboundAccountPosition",
    "E": T_MS + 2,
    "u": T_MS + 1,
    "B": [
        {"a": "BTC", "f": "1.50000000", "l": "0.00847000"},
        {"a": "USDT", "f": "10000.00000000", "l": "0.00000000"},
    ],
}


def event(body: dict[str, Any]) -> dict[str, Any]:
    return {"subscriptionId": 0, "event": body}


PRIVATE_EVENTS: tuple[dict[str, Any], ...] = tuple(
    map(
        event,
        (
            NEW_EXECUTION,
            TRADE_EXECUTION,
            CANCELED_EXECUTION,
            REPLACED_EXECUTION,
            PREVENTED_EXECUTION,
            EXPIRED_EXECUTION,
            POSITION,
            {"e": "eventStreamTerminated", "E": T_MS},
        ),
    )
)
