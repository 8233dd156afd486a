"""What Bybit refuses orders with (v5 docs: "Error Codes", spot trade). Clients match on the code, never on the text."""

from __future__ import annotations

from .envelope import PARAMETER_ERROR, VenueError

TOO_MANY_VISITS = 10006
SERVER_RESTARTING = 10019
OVERLOADED = 10429
TOO_MANY_FROM_IP = 10403
BAD_OPERATION = 10404
REPEATED_AUTH = 20001
DUPLICATE_REQUEST_ID = 20006

EMPTY_PARAMETER = 170105
BAD_TIME_IN_FORCE = 170115
BAD_ORDER_TYPE = 170116
BAD_SIDE = 170117
BAD_SYMBOL = 170121
AMOUNT_TOO_LARGE = 170124
BAD_VALUE = 170130
NO_BALANCE = 170131
PRICE_TOO_HIGH = 170132
PRICE_TOO_LOW = 170133
PRICE_DECIMALS = 170134
QUANTITY_DECIMALS = 170137
VALUE_TOO_LOW = 170140
DUPLICATE_LINK_ID = 170141
AMOUNT_DECIMALS = 170148
NOT_OPEN_FOR_TRADING = 170151
PRICE_ABOVE_BAND = 170193
PRICE_BELOW_BAND = 170194
BAD_ORDER_FILTER = 170201
TRIGGERS_AT_ONCE = 170203
ORDER_NOT_FOUND = 170213
POST_ONLY_PRICE = 170218
QUANTITY_BELOW_FILLED = 170313
LIMIT_QUANTITY_TOO_LARGE = 170381
MARKET_QUANTITY_TOO_LARGE = 170382
TOO_MANY_ORDERS = 170810
NO_MARGIN = 176008

_TEXTS = {
    PARAMETER_ERROR: "Request parameter error.",
    TOO_MANY_VISITS: "Too many visits. Exceeded the API Rate Limit.",
    SERVER_RESTARTING: "WebSocket trade service is restarting. Please reconnect.",
    OVERLOADED: "System level frequency protection.",
    TOO_MANY_FROM_IP: "Exceed IP rate limit.",
    BAD_OPERATION: "op type is not found or category is not correct.",
    REPEATED_AUTH: "Repeat auth",
    DUPLICATE_REQUEST_ID: "Duplicate reqId",
    BAD_TIME_IN_FORCE: "Invalid timeInForce.",
    BAD_ORDER_TYPE: "Invalid orderType.",
    BAD_SIDE: "Invalid side.",
    BAD_SYMBOL: "Invalid symbol.",
    AMOUNT_TOO_LARGE: "Order amount too large.",
    NO_BALANCE: "Insufficient balance.",
    PRICE_TOO_HIGH: "Order price too high.",
    PRICE_TOO_LOW: "Order price lower than the minimum.",
    PRICE_DECIMALS: "Order price has too many decimals.",
    QUANTITY_DECIMALS: "Order quantity has too many decimals.",
    VALUE_TOO_LOW: "Order value exceeded lower limit.",
    DUPLICATE_LINK_ID: "Duplicate clientOrderId",
    AMOUNT_DECIMALS: "Market order amount decimal too long.",
    NOT_OPEN_FOR_TRADING: "This trading pair is not open yet.",
    PRICE_ABOVE_BAND: "Buy order price cannot be higher than {}.",
    PRICE_BELOW_BAND: "Sell order price cannot be lower than {}.",
    BAD_ORDER_FILTER: "Invalid orderFilter.",
    TRIGGERS_AT_ONCE: "The trigger price is reached already.",
    ORDER_NOT_FOUND: "Order does not exist.",
    POST_ONLY_PRICE: "The LIMIT-MAKER order is rejected due to invalid price.",
    QUANTITY_BELOW_FILLED: "The quantity must be larger than what is filled already.",
    LIMIT_QUANTITY_TOO_LARGE: "Order quantity exceeds the maximum of a limit order.",
    MARKET_QUANTITY_TOO_LARGE: "Order quantity exceeds the maximum of a market order.",
    TOO_MANY_ORDERS: "Cannot have more than 500 active orders.",
    NO_MARGIN: "You haven't enabled Cross Margin Trading yet.",
    EMPTY_PARAMETER: "Required parameter '{}' was empty.",
    BAD_VALUE: "Data sent for parameter '{}' is not valid.",
}


def refusal(code: int, about: str = "") -> VenueError:
    """The refusal of a code; `about` fills its text where the text is about something."""
    return VenueError(code, _TEXTS[code].format(about))
