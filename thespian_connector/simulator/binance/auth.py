"""Who sent a request, and whether in time (Binance: "Request Security", "Timing security").

REST signs the bytes of query and body as they were sent, one after the other; the WebSocket API signs its parameters,
the API key among them, sorted by name and not percent-encoded. The venue checks the time three times: when a request
comes in, before it is forwarded, and before the engine takes it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from thespian_connector.simulator.venue import Account, ApiKey, Venue

from .errors import ApiError, illegal, missing

RECV_WINDOW_MS = Decimal(5_000)
RECV_WINDOW_MAX_MS = 60_000
AHEAD_MAX_MS = 1_000
#: 2017-01-01: earlier timestamps are refused outright.
EARLIEST_MS = 1_483_228_800_000
_KEY = re.compile(r"[A-Za-z0-9]{64}")
_TIMESTAMP = re.compile(r"[0-9]{1,20}")
_RECV_WINDOW = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


class InvalidKey(ApiError):
    """-2015. `revoked`: it was a good one before."""

    def __init__(self, *, revoked: bool) -> None:
        super().__init__(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        self.revoked = revoked


def invalid_signature() -> ApiError:
    return ApiError(-1022, "Signature for this request is not valid.")


def without_signature(text: str) -> str:
    """A query or form body with the pair of the signature cut out, and not otherwise touched."""
    return "&".join(pair for pair in text.split("&") if not pair.startswith("signature="))


def sorted_payload(params: Mapping[str, str]) -> bytes:
    """What a WebSocket API request signs."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature").encode()


class Key:
    """An API key and the account that it is of."""

    def __init__(self, account: Account, key: ApiKey) -> None:
        self.account = account
        self.api_key = key.api_key
        self.is_hmac = key.kind == "hmac"
        self._secret = key.secret.encode()
        self._public: ed25519.Ed25519PublicKey | None = None
        if not self.is_hmac:
            private = serialization.load_pem_private_key(self._secret, None)
            assert isinstance(private, ed25519.Ed25519PrivateKey), "keys are of HMAC or Ed25519"
            self._public = private.public_key()

    def fits(self, payload: bytes, signature: str) -> bool:
        """Whether a signature is this key's of a payload: hexadecimal of any case, or base64 of Ed25519."""
        if self._public is None:
            expected = hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
            return signature.isascii() and hmac.compare_digest(signature.lower(), expected)
        try:
            self._public.verify(base64.b64decode(signature, validate=True), payload)
        except (ValueError, InvalidSignature):
            return False
        return True


class Auth:
    """The keys of one venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._keys = {key.api_key: Key(venue.account, key) for key in venue.account.keys}

    def key(self, api_key: str | None, surfaces: tuple[str, ...]) -> Key:
        """The key of that name.

        :raises ApiError: -2014 it looks like no key, -2015 it is none, or was revoked.
        """
        if api_key is None or not _KEY.fullmatch(api_key):
            self._venue.usage.auth_failures += 1
            raise ApiError(-2014, "API-key format invalid.", 401)
        key = self._keys.get(api_key)
        if key is None or self._venue.take(surfaces, "key_revoked") is not None:
            self._venue.usage.auth_failures += 1
            raise InvalidKey(revoked=key is not None)
        return key

    def signed(self, key: Key, values: Mapping[str, str], payload: bytes, arrived_ms: Decimal) -> None:
        """Check the time and the signature of a request that came in at `arrived_ms`, the venue's clock.

        :raises ApiError: -1102, -1100, -1131, -1021, -1022.
        """
        for name in ("timestamp", "signature"):
            if not values.get(name):
                raise missing(name)
        self.in_time(values, arrived_ms)
        # What is not percent-encoded is refused since 2026-01-15, even if it is signed as it was sent.
        encoded = payload.isascii() or "apiKey" in values
        if not encoded or not key.fits(payload, values["signature"]):
            self._venue.usage.auth_failures += 1
            raise invalid_signature()

    def stamped(self, values: Mapping[str, str], arrived_ms: Decimal) -> None:
        """Check the time of a request that needs no signature.

        :raises ApiError: -1102, -1100, -1131, -1021.
        """
        if not values.get("timestamp"):
            raise missing("timestamp")
        self.in_time(values, arrived_ms)

    def in_time(self, values: Mapping[str, str], now_ms: Decimal) -> None:
        """One of the three gates.

        :raises ApiError: -1021, or a timestamp or window that is none.
        """
        stamp, window = values["timestamp"], values.get("recvWindow") or str(RECV_WINDOW_MS)
        if not _TIMESTAMP.fullmatch(stamp):
            raise illegal("timestamp", "^[0-9]{1,20}$")
        if not _RECV_WINDOW.fullmatch(window):
            raise illegal("recvWindow", "^[0-9]{1,6}(\\.[0-9]{1,3})?$")
        if Decimal(window) > RECV_WINDOW_MAX_MS:
            raise ApiError(-1131, f"'recvWindow' must be less than {RECV_WINDOW_MAX_MS}.")
        sent_ms = Decimal(stamp)
        if sent_ms >= 10**14:
            sent_ms /= 1_000
        if sent_ms < EARLIEST_MS or now_ms - sent_ms > Decimal(window):
            raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")
        if sent_ms >= now_ms + AHEAD_MAX_MS:
            raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
