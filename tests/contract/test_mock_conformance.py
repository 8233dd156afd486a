"""The mock drivers keep the promises of a driver; their samples are what the mock venue itself sends."""

from __future__ import annotations

import json

import pytest

from thespian_connector.drivers.base import SubscribeFrame
from thespian_connector.drivers.conformance import Samples, check_driver
from thespian_connector.drivers.mock import MockVenue
from thespian_connector.model import Channel, errors
from thespian_connector.model.wire import Ack


def accepted(frame: SubscribeFrame) -> bytes:
    return json.dumps({"reply": json.loads(frame.frame)["id"], "ok": True, "message": ""}).encode()


def refused(frame: SubscribeFrame) -> bytes:
    return json.dumps({"reply": json.loads(frame.frame)["id"], "ok": False, "message": "no"}).encode()


@pytest.mark.parametrize("snapshot_by_rest", [False, True])
def test_the_mock_drivers_are_drivers(snapshot_by_rest: bool) -> None:
    venue = MockVenue(seed=5, snapshot_by_rest=snapshot_by_rest)
    driver = venue.driver
    session = venue.connect()
    venue.fill("BTC/USDT", "100", levels=5)
    for channel in Channel:
        for frame in driver.subscribe(driver.topics(channel, "BTC-USDT"), 1):
            session.send(frame.frame)
    venue.run(20)
    venue.trade("BTC/USDT", "buy", "100", "1")
    one_of_each = {type(driver.decode(frame)): frame for frame in session.frames()}
    del one_of_each[Ack]
    assert len(one_of_each) == (4 if snapshot_by_rest else 5)

    samples = Samples(
        native="BTC-USDT",
        frames=tuple(one_of_each.values()),
        instruments=venue.request(driver.instruments_request()).body,
        depth=venue.request(driver.depth_request("BTC-USDT", 5)).body,
        trades=venue.request(driver.trades_request("BTC-USDT", 5)).body,
        ticker=venue.request(driver.ticker_request("BTC-USDT")).body,
        time=venue.request(driver.time_request()).body,
        accepted=accepted,
        refused=refused,
        errors=(
            (401, {}, b"", errors.AuthError),
            (418, {"Retry-After": "60"}, b"", errors.Banned),
            (400, {}, b'{"error":"no such instrument"}', errors.Rejected),
        ),
    )
    assert check_driver(driver, samples) > 5_000
