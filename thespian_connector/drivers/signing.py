"""Signatures of an account's key: HMAC-SHA256, RSA (PKCS1 v1.5, SHA-256) or Ed25519, by the form of the secret.

Binance's request security and Bybit's integration guidance both take HMAC and RSA; Ed25519 is Binance's only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable

from thespian_connector.model.errors import ConfigError


class Signer(ABC):
    """One API key with what signs for it. `repr` and pickling show neither key nor secret: it cannot be pickled."""

    #: "hmac", "rsa" or "ed25519".
    kind: str

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key

    @abstractmethod
    def sign(self, payload: bytes) -> str:
        """HMAC: lower-case hex. RSA and Ed25519: base64, not percent-encoded."""

    def __repr__(self) -> str:
        return f"<{self.kind} signer>"

    def __reduce__(self) -> str:
        raise TypeError("a signer holds a secret and is not sent to other processes")


class HmacSigner(Signer):
    kind = "hmac"

    def __init__(self, api_key: str, secret: str) -> None:
        super().__init__(api_key)
        self._secret = secret.encode()

    def sign(self, payload: bytes) -> str:
        return hmac.new(self._secret, payload, hashlib.sha256).hexdigest()


class KeySigner(Signer):
    """Signs with a private key.

    :param sign: makes the signature of some bytes.
    """

    def __init__(self, api_key: str, kind: str, sign: Callable[[bytes], bytes]) -> None:
        super().__init__(api_key)
        self.kind = kind
        self._sign = sign

    def sign(self, payload: bytes) -> str:
        return base64.b64encode(self._sign(payload)).decode()


def signer_of(api_key: str, secret: str) -> Signer:
    """The signer for a secret: a PEM private key (PKCS#8) by its own kind, any other text as an HMAC secret.

    :raises ConfigError: either is empty or has blanks; a PEM that is none, is encrypted, or is of another kind. The
        message never holds any of it.
    """
    if not api_key or api_key != api_key.strip() or not api_key.isascii():
        raise ConfigError("api key: empty, or has blanks around it or characters that no API key has")
    if "PRIVATE KEY-----" in secret:
        return _key_signer(api_key, secret)
    if not secret or secret != secret.strip():
        raise ConfigError("api secret: empty, or has blanks around it")
    return HmacSigner(api_key, secret)


def _key_signer(api_key: str, pem: str) -> Signer:
    # Here, because they cost a process 12 MB, and most accounts have an HMAC secret.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private_key = load_pem_private_key(pem.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without its cause: the library's words may quote the key.
        raise ConfigError("api secret: looks like a PEM private key but is none, or is encrypted") from None
    if isinstance(private_key, Ed25519PrivateKey):
        return KeySigner(api_key, "ed25519", private_key.sign)
    if isinstance(private_key, RSAPrivateKey):
        rsa = private_key
        return KeySigner(api_key, "rsa", lambda payload: rsa.sign(payload, PKCS1v15(), hashes.SHA256()))
    raise ConfigError("api secret: a private key that is neither RSA nor Ed25519")
