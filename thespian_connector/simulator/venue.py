"""What a front gets: the markets of its venue, a clock, the faults, the counters, the account, the settings."""

from __future__ import annotations

import random
import string
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from thespian_connector.model.decimals import text

from .faults import Fault, Faults
from .market import Market
from .orders import SimOrder
from .usage import Usage

#: Write requests (and requests during a ban) remembered for the judge. Older ones are dropped.
REQUESTS_MAX = 200_000
_STARTING = {"BTC": Decimal(100), "ETH": Decimal(1_000), "USDT": Decimal(10_000_000), "BNB": Decimal(1_000)}


class SettingError(ValueError):
    """No such setting, or not a number; the message names the choices."""


@dataclass(frozen=True)
class ApiKey:
    """An API key. `secret` is an HMAC's secret, or the private key of ``ed25519`` as PKCS#8 PEM."""

    api_key: str
    kind: str
    secret: str


@dataclass
class Account:
    """An account with its key pair. Balances are exact; `starting` is what it began with.

    `api_key` is also the account's name; `more_keys` are keys of other kinds to it.
    """

    api_key: str
    secret: str
    starting: dict[str, Decimal]
    more_keys: tuple[ApiKey, ...] = ()
    free: dict[str, Decimal] = field(init=False)
    locked: dict[str, Decimal] = field(init=False)

    def __post_init__(self) -> None:
        self.free = dict(self.starting)
        self.locked = dict.fromkeys(self.starting, Decimal(0))

    def document(self) -> dict[str, Any]:
        """As ``/truth/<venue>/account`` tells it."""
        balances = {asset: text(amount) for asset, amount in self.starting.items()}
        keys = [{"api_key": key.api_key, "kind": key.kind, "secret": key.secret} for key in self.keys]
        return {"api_key": self.api_key, "secret": self.secret, "keys": keys, "balances": balances}

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """All its keys, that of HMAC first."""
        return (ApiKey(self.api_key, "hmac", self.secret), *self.more_keys)

    def balances(self) -> list[dict[str, str]]:
        """Free and locked per asset."""
        return [
            {"asset": asset, "free": text(self.free[asset]), "locked": text(self.locked[asset])} for asset in self.free
        ]


def seeded_account(seed: int, venue: str) -> Account:
    """The account of a venue: the same for the same seed, and of the shape that the venue gives out."""
    rng = random.Random(f"account/{venue}/{seed}")
    letters = string.ascii_letters + string.digits
    lengths = (18, 36) if venue == "bybit" else (64, 64)
    api_key, secret = ("".join(rng.choices(letters, k=length)) for length in lengths)
    more = (ApiKey("".join(rng.choices(letters, k=64)), "ed25519", _ed25519(rng)),) if venue == "binance" else ()
    return Account(api_key, secret, dict(_STARTING), more)


def _ed25519(rng: random.Random) -> str:
    """A private key of the simulation, the same for the same seed."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class Venue:
    """One simulated venue.

    :param markets: by the venue's own name of each.
    :param settings: the front's numbers (limits, periods); :meth:`setting` reads them.
    :param time_ns: the wall clock, epoch nanoseconds.
    :param monotonic_ns: the clock of periods and windows of faults.
    """

    def __init__(
        self,
        name: str,
        markets: Mapping[str, Market],
        faults: Faults,
        *,
        account: Account,
        settings: Mapping[str, int | float] | None = None,
        time_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = name
        self.markets = markets
        self.faults = faults
        self.usage = Usage()
        self.account = account
        self.settings = dict(settings or {})
        self.requests: deque[dict[str, Any]] = deque(maxlen=REQUESTS_MAX)
        #: Every order ever accepted, the oldest first.
        self.orders: list[SimOrder] = []
        #: Set by a front whose streams do not tick while nobody listens: brings the update ids of a symbol's stream
        #: (native, name as journaled) up to now, before the truth of now is told.
        self.look: Callable[[str, str], None] = lambda _native, _stream: None
        self._time_ns = time_ns
        self.monotonic_ns = monotonic_ns

    def setting(self, name: str) -> int | float:
        """A number of the front's settings; the fronts name them all, so a missing one is a bug."""
        return self.settings[name]

    def take(
        self, surface: str | tuple[str, ...], *kinds: str, op: str | tuple[str, ...] = "", symbol: str = ""
    ) -> Fault | None:
        """:meth:`Faults.take` for this venue."""
        return self.faults.take(self.name, surface, op=op, symbol=symbol, kinds=kinds)

    def time_ns(self) -> int:
        """The true time, epoch nanoseconds."""
        return self._time_ns()

    def now_ns(self, surface: str | tuple[str, ...] = "rest", op: str = "") -> int:
        """The time as the venue's clock shows it on a surface: the true time and the `clock_skew` fault."""
        fault = self.take(surface, "clock_skew", op=op)
        skew_ms: int = fault.params["skew_ms"] if fault else 0
        return self._time_ns() + skew_ms * 1_000_000

    def now_ms(self, surface: str = "rest", op: str = "") -> int:
        """:meth:`now_ns` in milliseconds."""
        return self.now_ns(surface, op) // 1_000_000


def merged_settings(
    venue: str, defaults: Mapping[str, int | float], overrides: Mapping[str, int | float]
) -> dict[str, int | float]:
    """The front's defaults with the user's numbers.

    :raises SettingError: an override that the front does not know.
    """
    for name in overrides:
        if name not in defaults:
            raise SettingError(f"{venue}.{name}: no such setting; {venue} has {', '.join(sorted(defaults))}")
    return {**defaults, **overrides}
