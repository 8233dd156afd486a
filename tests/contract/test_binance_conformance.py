from support.binance_samples import FRAMES, REST_DEPTH, REST_TICKER, REST_TIME, REST_TRADES, compact, error, listing

from thespian_connector.drivers.base import SubscribeFrame
from thespian_connector.drivers.binance.driver import BinanceDriver
from thespian_connector.drivers.conformance import Samples, check_driver
from thespian_connector.model import errors

HTML = b"<html><head><title>410 Gone</title></head></html>"
ERRORS: tuple[tuple[int, dict[str, str], bytes, type[errors.ExchangeError]], ...] = (
    (400, {"X-MBX-USED-WEIGHT-1M": "7"}, error(-1121, "Invalid symbol."), errors.Rejected),
    (400, {}, error(-1021, "Timestamp for this request is outside of the recvWindow."), errors.ClockError),
    (400, {}, error(-1022, "Signature for this request is not valid."), errors.AuthError),
    (401, {}, error(-2015, "Invalid API-key, IP, or permissions for action."), errors.AuthError),
    (400, {}, error(-2010, "Account has insufficient balance for requested action."), errors.InsufficientBalance),
    (400, {}, error(-2010, "Duplicate order sent."), errors.Rejected),
    (400, {}, error(-2010, "Market is closed."), errors.Maintenance),
    (400, {}, error(-2011, "Unknown order sent."), errors.OrderNotFound),
    (400, {}, error(-2011, "Order was not canceled due to cancel restrictions."), errors.Rejected),
    (400, {}, error(-2013, "Order does not exist."), errors.OrderNotFound),
    (400, {}, error(-1013, "Filter failure: LOT_SIZE"), errors.Rejected),
    (409, {}, error(-2021, "Order cancel-replace partially failed."), errors.OutcomeUnknown),
    (400, {}, error(-2022, "Order cancel-replace failed."), errors.Rejected),
    (429, {"Retry-After": "13"}, error(-1003, "Too much request weight used."), errors.RateLimited),
    (429, {}, error(-1015, "Too many new orders; current limit is 50 orders per TEN_SECOND."), errors.RateLimited),
    (418, {"Retry-After": "120"}, error(-1003, "Way too much request weight used; IP banned until 17."), errors.Banned),
    (429, {}, error(-1003, "Way too much request weight used; IP banned until 1659146400000."), errors.Banned),
    (418, {}, b"", errors.Banned),
    (403, {}, b"<html>Request blocked</html>", errors.Banned),
    (410, {}, HTML, errors.Rejected),
    (404, {}, HTML, errors.Rejected),
    (400, {}, HTML, errors.ServerFault),
    (302, {}, b"", errors.ServerFault),
    (502, {}, HTML, errors.ServerFault),
    (503, {}, error(-1008, "Server is currently overloaded with other requests."), errors.ServerFault),
    (504, {}, error(-1007, "Timeout waiting for response from backend server."), errors.OutcomeUnknown),
    (500, {}, error(-1006, "An unexpected response was received from the message bus."), errors.OutcomeUnknown),
    (400, {}, error(-1006, "An unexpected response was received from the message bus."), errors.OutcomeUnknown),
    (500, {}, error(-2010, "Duplicate order sent."), errors.ServerFault),
    (400, {}, error(-9999, "A code of next year."), errors.Rejected),
    (400, {}, compact({"code": 400, "msg": "a proxy's"}), errors.ServerFault),
)


def _accepted(frame: SubscribeFrame) -> bytes:
    return compact({"result": None, "id": frame.request_id})


def _refused(frame: SubscribeFrame) -> bytes:
    return compact({"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": frame.request_id})


def test_the_driver_keeps_every_promise_of_its_interface() -> None:
    tried = check_driver(
        BinanceDriver(),
        Samples(
            native="BTCUSDT",
            frames=FRAMES,
            instruments=listing(),
            depth=REST_DEPTH,
            trades=REST_TRADES,
            ticker=REST_TICKER,
            time=REST_TIME,
            accepted=_accepted,
            refused=_refused,
            errors=ERRORS,
        ),
    )
    assert tried > 1000
