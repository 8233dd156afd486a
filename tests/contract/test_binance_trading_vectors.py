"""Every signature that Binance publishes with a key that is published, too; the keys are the documentation's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.binance_trading_samples import API_KEY, SECRET

from thespian_connector.drivers.binance.signing import payload, signed, signed_params, spelled
from thespian_connector.drivers.signing import HmacSigner, signer_of
from thespian_connector.drivers.trading import Auth

VECTORS = Path(__file__).parents[3] / "shared" / "protocol" / "binance_sign_vectors.json"
SIGNER = HmacSigner(API_KEY, SECRET)
ED25519_PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u\n"
    "-----END PRIVATE KEY-----\n"
)
_LIMIT = (("side", "BUY"), ("type", "LIMIT"), ("timeInForce", "GTC"), ("quantity", "1"), ("price", "0.1"))
_TIMES = (("recvWindow", "5000"), ("timestamp", "1499827319559"))


@pytest.mark.parametrize(
    ("symbol", "signature"),
    [
        ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        (
            "\uff11\uff12\uff13\uff14\uff15\uff16",
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
    ],
)
def test_a_rest_query_is_signed_as_it_is_transmitted(symbol: str, signature: str) -> None:
    query = spelled((("symbol", symbol), *_LIMIT, *_TIMES))
    assert query.isascii()
    assert signed(query, SIGNER) == f"{query}&signature={signature}"


_WS: tuple[tuple[dict[str, str | int], str], ...] = (
    (
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01000000",
            "price": "52000.00",
            "recvWindow": 100,
            "timestamp": 1645423376532,
        },
        "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
    ),
    (
        {
            "symbol": "\uff11\uff12\uff13\uff14\uff15\uff16",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1.00000000",
            "price": "0.10000000",
            "recvWindow": 5000,
            "timestamp": 1645423376532,
        },
        "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
    ),
    ({"timestamp": 1649729878532}, "1cf54395b336b0a9727ef27d5d98987962bc47aca6e13fe978612d0adee066ed"),
    (
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "price": "23416.10000000",
            "quantity": "0.00847000",
            "timestamp": 1660801715431,
        },
        "15af09e41c36f3cc61378c2fbe2c33719a03dd5eba8d0f9206fbda44de717c88",
    ),
    (
        {"symbol": "BTCUSDT", "origClientOrderId": "4d96324ff9d44481926157", "timestamp": 1660801715830},
        "33d5b721f278ae17a52f004a82a6f68a70c68e7dd6776ed0be77a455ab855282",
    ),
    (
        {"symbol": "BTCUSDT", "orderId": 12569099453, "timestamp": 1660801720951},
        "2c3aab5a078ee4ea465ecd95523b77289f61476c2f238ec10c55ea6cb11a6f35",
    ),
    ({"timestamp": 1660801839500}, "76289424d6e288f4dc47d167ac824e859dabf78736f4348abbbac848d719eb94"),
)


@pytest.mark.parametrize(("params", "signature"), _WS)
def test_websocket_parameters_are_signed_sorted_and_raw(params: dict[str, str | int], signature: str) -> None:
    assert SIGNER.sign(payload(params | {"apiKey": API_KEY})) == signature


def test_what_is_sent_over_the_websocket_is_what_was_signed() -> None:
    params = signed_params((("symbol", "BTCUSDT"), ("quantity", "0.1")), Auth(SIGNER, 1645423376532, 5000))
    assert json.loads(json.dumps(params)) == params
    signature = params.pop("signature")
    assert list(params) == ["symbol", "quantity", "apiKey", "recvWindow", "timestamp"]
    assert SIGNER.sign(payload(params)) == signature


def test_the_published_ed25519_key_signs_the_published_payload() -> None:
    signer = signer_of("4yNzx3yW", ED25519_PEM)
    signature = "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA=="
    assert signer.sign(b"A\x01EXAMPLE\x01SPOT\x011\x0120240627-11:17:25.223") == signature


def test_a_base64_signature_is_percent_encoded_in_a_query_and_not_in_json() -> None:
    signer = signer_of("4yNzx3yW", ED25519_PEM)
    plain, spelled_one = "", ""
    for number in range(20):  # until a signature has each of the characters that a URL must not have
        query = f"symbol=BTCUSDT&timestamp={number}"
        plain += signer.sign(query.encode())
        spelled_one += signed(query, signer).removeprefix(f"{query}&signature=")
    assert set("+/=") <= set(plain)
    assert not set("+/=") & set(spelled_one)
    assert spelled_one.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=") == plain


def _published() -> dict[str, Any]:
    if not VECTORS.is_file():
        pytest.skip("the file of published vectors is not beside this checkout")
    document: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return document


def test_every_published_rest_vector() -> None:
    hmac = _published()["hmac"]
    signer = HmacSigner(hmac["apiKey"], hmac["secretKey"])
    assert len(hmac["rest"]) == 3
    for vector in hmac["rest"]:
        assert vector["query"] + vector["body"] == vector["payload"]
        assert signed(vector["payload"], signer) == f"{vector['payload']}&signature={vector['signature']}", vector


def test_every_published_websocket_vector() -> None:
    hmac = _published()["hmac"]
    signer = HmacSigner(hmac["apiKey"], hmac["secretKey"])
    assert len(hmac["ws_api"]) == 16
    for vector in hmac["ws_api"]:
        assert payload(vector["params"]).decode() == vector["payload"], vector
        assert signer.sign(payload(vector["params"])) == vector["signature"], vector


def test_the_published_ed25519_vector() -> None:
    vector = _published()["ed25519_fix_logon"]
    signer = signer_of("any", vector["private_key_pem"])
    assert signer.sign("\x01".join(vector["payload_fields_soh_joined"]).encode()) == vector["signature_base64"]
