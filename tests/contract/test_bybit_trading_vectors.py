"""Bybit's signatures, byte for byte. The vectors were computed from Bybit's published rule with invented keys (Python's
hmac, checked with openssl), not with the code that they test."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from thespian_connector.drivers.bybit import signing
from thespian_connector.drivers.bybit.trading import BybitTrading
from thespian_connector.drivers.signing import signer_of
from thespian_connector.drivers.trading import Auth
from thespian_connector.model import Instrument, InstrumentStatus, NewOrder, OrderType, Side
from thespian_connector.model.errors import ConfigError

KEY = "DEMOKEY000000000001"
AUTH = Auth(signer_of(KEY, "demo-secret-0123456789abcdefghijklmn"), 1784800000000, 5000)
BTC = Instrument(
    exchange="bybit",
    symbol="BTC/USDT",
    native="BTCUSDT",
    base="BTC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.000001"),
)
LIMIT_BUY = NewOrder(
    client_order_id="erl-000001",
    exchange="bybit",
    symbol="BTC/USDT",
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal("0.001"),
    price=Decimal("60000.1"),
)
BODY = (
    b'{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"60000.1",'
    b'"timeInForce":"GTC","orderLinkId":"erl-000001"}'
)
SIGNED_BODY = "64765090d96a0492c2e54d7e6bba0f6d983714ad23395cc06c435092740faadc"


def test_a_read_signs_its_raw_query() -> None:
    params = {"category": "spot", "symbol": "BTCUSDT", "openOnly": "0", "limit": "50"}
    request = signing.get("/v5/order/realtime", AUTH, params)
    assert request.query == "category=spot&symbol=BTCUSDT&openOnly=0&limit=50"
    assert dict(request.headers) == {
        "X-BAPI-API-KEY": KEY,
        "X-BAPI-TIMESTAMP": "1784800000000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": "ba8a940dd7785b3382a1a98ca853155e34ede72f910c18c3d0d4abf14b5805a7",
    }
    assert (request.method, request.body, request.idempotent, request.surface) == ("GET", b"", True, "private")


def test_a_read_without_parameters_signs_an_empty_payload() -> None:
    request = signing.get("/v5/user/query-api", AUTH, {})
    assert request.query == ""
    expected = "ce4d450c38ad9c534c96b4c465dcd533a99b56fc1826232399048867be70176a"
    assert dict(request.headers)["X-BAPI-SIGN"] == expected


def test_an_order_signs_the_bytes_that_are_sent() -> None:
    request = BybitTrading().place(LIMIT_BUY, BTC, AUTH)
    assert (request.method, request.path, request.query, request.body) == ("POST", "/v5/order/create", "", BODY)
    headers = dict(request.headers)
    assert headers["X-BAPI-SIGN"] == SIGNED_BODY
    assert headers["Content-Type"] == "application/json"
    assert (request.idempotent, request.surface) == (False, "orders")
    spaced = json.dumps(json.loads(BODY)).encode()
    prefix = f"1784800000000{KEY}5000".encode()
    assert AUTH.signer.sign(prefix + spaced) == "5595db76eb1424d2fdd44828549bfa123078da955ee9b0d9e1cc1afc9fdda456"


def test_both_sockets_sign_the_end_of_their_login() -> None:
    signature = "eb45dedce5bc9a0236daf57f7f0db7e95807e6633677bc75e7dd2301a8a2eb93"
    args = [KEY, 1784800010000, signature]
    assert json.loads(BybitTrading().private_login(7, AUTH)) == {"req_id": "7", "op": "auth", "args": args}
    frame = BybitTrading().trade_login("r-1", AUTH)
    assert frame is not None
    assert json.loads(frame) == {"reqId": "r-1", "op": "auth", "args": args}


def test_a_cursor_is_sent_and_signed_as_it_came() -> None:
    cursor = "2290000000012345678%3A1784800000000%2C2290000000012345678%3A1784800000000"
    request = BybitTrading().fills("BTCUSDT", "229", 0, cursor, AUTH)
    assert request.query == f"category=spot&symbol=BTCUSDT&limit=100&orderId=229&cursor={cursor}"
    signed = f"1784800000000{KEY}5000{request.query}".encode()
    assert dict(request.headers)["X-BAPI-SIGN"] == AUTH.signer.sign(signed)


def test_a_cursor_cannot_add_a_parameter() -> None:
    request = BybitTrading().fills("BTCUSDT", "229", 0, "a&symbol=ETHUSDT#x y", AUTH)
    assert request.query.endswith("&cursor=a%26symbol=ETHUSDT%23x%20y")


def test_an_rsa_key_signs_in_base64() -> None:
    private_key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    request = BybitTrading().place(LIMIT_BUY, BTC, AUTH._replace(signer=signer_of(KEY, pem)))
    signature = base64.b64decode(dict(request.headers)["X-BAPI-SIGN"], validate=True)
    signed = f"1784800000000{KEY}5000".encode() + BODY
    private_key.public_key().verify(signature, signed, PKCS1v15(), hashes.SHA256())


def test_an_ed25519_key_is_refused_without_a_word_of_it() -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ConfigError, match="no Ed25519") as caught:
        BybitTrading().balances(AUTH._replace(signer=signer_of(KEY, pem)))
    assert KEY not in str(caught.value)
