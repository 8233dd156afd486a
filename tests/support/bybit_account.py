"""What Bybit tells of an account, as its documentation shapes it: orders, executions, wallets, frames, envelopes."""

from __future__ import annotations

import json
from typing import Any

ORDER: dict[str, Any] = {
    "category": "spot",
    "symbol": "BTCUSDT",
    "orderId": "2290000000012345678",
    "orderLinkId": "erl-000001",
    "blockTradeId": "",
    "side": "Buy",
    "positionIdx": 0,
    "orderStatus": "New",
    "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoError",
    "timeInForce": "GTC",
    "isLeverage": "0",
    "price": "64200.1",
    "qty": "0.000078",
    "avgPrice": "",
    "leavesQty": "0.000078",
    "leavesValue": "5.0076078",
    "cumExecQty": "0",
    "cumExecValue": "0.0000000",
    "cumExecFee": "0",
    "orderType": "Limit",
    "stopOrderType": "",
    "triggerPrice": "0.0",
    "takeProfit": "0.0",
    "stopLoss": "0.0",
    "lastPriceOnCreated": "64848.6",
    "reduceOnly": False,
    "closeOnTrigger": False,
    "smpType": "None",
    "smpGroup": 0,
    "smpOrderId": "",
    "marketUnit": "",
    "createdTime": "1784800000001",
    "updatedTime": "1784800000002",
    "feeCurrency": "",
    "slippageTolerance": "",
    "slippageToleranceType": "UNKNOWN",
    "cumFeeDetail": {},
    "rpiTakerAccess": False,
    "rpiMatchedQty": "0",
}
EXECUTION: dict[str, Any] = {
    "category": "spot",
    "symbol": "BTCUSDT",
    "orderId": "2290000000012345678",
    "orderLinkId": "erl-000001",
    "side": "Buy",
    "orderPrice": "64200.1",
    "orderQty": "0.000078",
    "leavesQty": "0.000028",
    "orderType": "Limit",
    "execId": "2290000000099999999",
    "execPrice": "64200.10",
    "execQty": "0.000050",
    "execValue": "3.210005",
    "execFee": "0.00000005",
    "feeCurrency": "BTC",
    "feeRate": "0.001",
    "execType": "Trade",
    "execTime": "1784800000003",
    "isMaker": True,
    "isLeverage": "0",
    "seq": 66544703342,
    "marketUnit": "",
    "stopOrderType": "",
    "extraFees": "",
}
WALLET: dict[str, Any] = {
    "accountType": "UNIFIED",
    "totalEquity": "1000.5",
    "coin": [
        {
            "coin": "USDT",
            "walletBalance": "1000.50",
            "locked": "5.0076078",
            "equity": "1000.5",
            "usdValue": "1000.4",
            "spotBorrow": "0",
            "free": "",
            "availableToWithdraw": "",
        },
        {"coin": "BTC", "walletBalance": "0.5", "locked": "0", "spotBorrow": "0.2"},
        {"coin": "USDC", "walletBalance": "0", "locked": "0"},
    ],
}


def order(**changes: Any) -> dict[str, Any]:
    return ORDER | changes


def execution(**changes: Any) -> dict[str, Any]:
    return EXECUTION | changes


def frame(topic: str, *items: Any) -> bytes:
    return json.dumps({"id": "u-20000-7", "topic": topic, "creationTime": 1784800000010, "data": items}).encode()


def envelope(result: Any, code: int = 0, text: str = "OK") -> bytes:
    return json.dumps(
        {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": 1784800000123}
    ).encode()


def listing(*items: Any, cursor: str = "") -> bytes:
    """A page of orders or executions, whose items have no category of their own."""
    bare = [{key: value for key, value in item.items() if key != "category"} for item in items]
    return envelope({"category": "spot", "list": bare, "nextPageCursor": cursor})


def trade_answer(code: int = 0, text: str = "OK", **changes: Any) -> bytes:
    """An answer of the trade socket to the request ``r-1``; a change to None leaves the field out."""
    message: dict[str, Any] = {
        "reqId": "r-1",
        "retCode": code,
        "retMsg": text,
        "op": "order.create",
        "data": {"orderId": "2290000000012345678", "orderLinkId": "erl-000001"} if code == 0 else {},
        "retExtInfo": {},
        "header": {
            "X-Bapi-Limit": "20",
            "X-Bapi-Limit-Status": "19",
            "X-Bapi-Limit-Reset-Timestamp": "1784800000523",
            "Traceid": "t",
            "Timenow": "1784800000123",
        },
        "connId": "c-1",
    } | changes
    return json.dumps({key: value for key, value in message.items() if value is not None}).encode()
