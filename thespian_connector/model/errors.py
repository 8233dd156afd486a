"""The one tree of errors.

::

    ConnectorError
    ├── UsageError                  the caller asked for what cannot be                     never     known
    │   ├── ConfigError             the config names file, key and fix
    │   ├── UnknownExchange, UnknownSymbol, UnknownChannel
    │   └── InvalidOrder            fails the instrument's filters before anything is sent
    ├── NotRunning                  no system of that name                                  never     known
    ├── Interrupted                 who worked on an order ended before it answered         now       unknown
    ├── CaptureError                a file of recorded traffic that is not one              never     known
    ├── StoreError                  the journal of orders cannot be used: damaged, newer, held  never  known
    ├── Refused                     we declined; nothing was sent                           later     known
    │   ├── Busy                    who would answer has too many questions waiting
    │   ├── CircuitOpen             the breaker of that venue and surface is open
    │   ├── LimitExceeded           our own budget has no room before the deadline
    │   ├── DeadlineExceeded        it was too late before anything was sent
    │   ├── RiskRefused, Fenced     (never: the same command stays refused)
    │   ├── PoisonCommand           the same command crashed its handler twice          never     known
    │   └── DuplicateClientOrderId  the id is taken by an order with other parameters       never     known
    └── ExchangeError               the venue, or the way to it
        ├── TransportError          no answer, or one that is not the venue's
        │   ├── NotSent             no byte left: refused, unresolvable, TLS failed         retry     known
        │   ├── AnswerLost          bytes left, no (whole) answer came back                 retry*    unknown
        │   └── ServerFault         5xx, gateway pages, a body that does not parse          retry*    unknown
        ├── RateLimited             429 and the venues' limit codes                         later     known
        │   └── Banned              418 / 403: the whole IP must be silent                  later     known
        ├── ClockError              our timestamp was refused; nothing was executed         retry     known
        ├── AuthError               key, signature, permission                              never     known
        ├── Rejected                the venue said no                                       never     known
        │   └── InsufficientBalance
        ├── OrderNotFound           the venue has no such order (now)                       later     known
        ├── Maintenance             trading or the venue is halted for a while              later     known
        └── OutcomeUnknown          the venue itself says that it does not know             never     unknown

    retry*: only what is idempotent. An order whose outcome is unknown is queried, never resent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from thespian_connector.limits import GIVEN_SHOWN_CHARS_MAX


class Retry(StrEnum):
    """Whether the same request may be sent again."""

    NEVER = "never"
    #: At once, a few times, with back-off.
    NOW = "now"
    #: Not before the venue's or our own pause has passed (`retry_after_s` where it is known).
    LATER = "later"


class ConnectorError(Exception):
    """Base of all. `retry` and `outcome_known` are what a caller needs to act; a message never holds a secret."""

    retry: ClassVar[Retry] = Retry.NEVER
    outcome_known: ClassVar[bool] = True
    #: The command line's exit code.
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", *, client_order_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.client_order_id = client_order_id

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))

    def __str__(self) -> str:
        return self.message

    def document(self) -> dict[str, object]:
        """The error as `--json` prints it."""
        body: dict[str, object] = {
            "type": type(self).__name__,
            "message": self.message,
            "retry": self.retry.value,
            "outcome_known": self.outcome_known,
        }
        if self.client_order_id is not None:
            body["client_order_id"] = self.client_order_id
        return body


def _rebuild(cls: type[ConnectorError], state: dict[str, object]) -> ConnectorError:
    error = cls.__new__(cls)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class UsageError(ConnectorError):
    exit_code = 2


class ConfigError(UsageError):
    """A config value that cannot be: says file, key and fix."""


class UnknownExchange(UsageError):
    """No such exchange is configured."""


class UnknownSymbol(UsageError):
    """The exchange has no such instrument, or the system does not carry it."""


class UnknownChannel(UsageError):
    """No such channel."""


class InvalidOrder(UsageError):
    """An order that the instrument's filters would refuse; nothing was sent."""


class NotRunning(ConnectorError):
    """No system of that name answers."""

    exit_code = 3


class Interrupted(ConnectorError):
    """Who worked on an order command ended, or hung, before it answered. The same command under the same id may be
    asked for again at once: it is done once."""

    retry = Retry.NOW
    outcome_known = False
    exit_code = 5


class CaptureError(ConnectorError):
    """A file of recorded traffic that cannot be read as one; the message names file, line and fix."""


class StoreError(ConnectorError):
    """The store cannot be used: newer than this version, damaged, held by another, full. Nothing is dropped."""


class Refused(ConnectorError):
    """We declined; nothing was sent."""

    retry = Retry.LATER
    exit_code = 4


class Busy(Refused):
    """Who would answer has as many questions waiting as it may; it is asked again until the caller's time is over."""


class CircuitOpen(Refused):
    """The breaker of that venue and surface is open."""


class LimitExceeded(Refused):
    """The shared budget has no room for it before its deadline."""

    def __init__(self, message: str = "", *, retry_after_s: float = 0.0, client_order_id: str | None = None) -> None:
        super().__init__(message, client_order_id=client_order_id)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(Refused):
    """Its deadline had passed before anything was sent."""


class RiskRefused(Refused):
    """A risk limit or a halt forbids it."""

    retry = Retry.NEVER


class Fenced(Refused):
    """This process no longer owns the exchange's orders."""

    retry = Retry.NEVER


class PoisonCommand(Refused):
    """The same command crashed its handler twice; the component lives on without trying it again."""

    retry = Retry.NEVER


class DuplicateClientOrderId(Refused):
    """The id belongs to an order with other parameters."""

    retry = Retry.NEVER


class ExchangeError(ConnectorError):
    """The venue answered with an error, or did not answer. `code` is the venue's own, `status` HTTP's.

    `data` is the answer's body where an error says more than its code (one half of a cancel-replace).
    """

    def __init__(
        self,
        message: str = "",
        *,
        exchange: str = "",
        code: int | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        client_order_id: str | None = None,
        data: bytes = b"",
    ) -> None:
        super().__init__(message, client_order_id=client_order_id)
        self.data = data
        self.exchange = exchange
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class TransportError(ExchangeError):
    """No answer, or one that is not the venue's."""

    retry = Retry.NOW


class NotSent(TransportError):
    """No byte left this machine."""


class AnswerLost(TransportError):
    """Bytes left; no whole answer came back."""

    outcome_known = False
    exit_code = 5


class ServerFault(TransportError):
    """5xx, a gateway's page, or a body that does not parse."""

    outcome_known = False
    exit_code = 5


class RateLimited(ExchangeError):
    """Over a limit of the venue; `retry_after_s` says how long to be silent, where the venue said so."""

    retry = Retry.LATER
    exit_code = 4


class Banned(RateLimited):
    """The IP is banned; every process of this host must be silent until then."""


class ClockError(ExchangeError):
    """The venue refused our timestamp. It was not executed: resync the clock, sign anew, send again."""

    retry = Retry.NOW


class AuthError(ExchangeError):
    """Key, signature or permission."""


class Rejected(ExchangeError):
    """The venue said no, and meant it."""


class InsufficientBalance(Rejected):
    """Not enough free balance."""


class OrderNotFound(ExchangeError):
    """The venue knows no such order; it may merely not see it yet."""

    retry = Retry.LATER


class Maintenance(ExchangeError):
    """Halted for a while."""

    retry = Retry.LATER


class OutcomeUnknown(ExchangeError):
    """The venue says itself that it does not know what became of the request."""

    outcome_known = False
    exit_code = 5


def shown(given: object) -> str:
    """What somebody gave, as a message quotes it: cut when it is so long that nobody would read on."""
    text = repr(given)
    return text if len(text) <= GIVEN_SHOWN_CHARS_MAX else f"{text[:GIVEN_SHOWN_CHARS_MAX]}..."
