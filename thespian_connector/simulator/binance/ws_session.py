"""What a connection of the WebSocket API is to an account: its session, and its user data subscriptions.

A session is opened by one signed request (`session.logon`, Ed25519 keys only); requests on it need no key and no
signature, but a timestamp still. User data is had with a signature of its own by any key, or by a session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thespian_connector.simulator.venue import Venue

from .auth import Key
from .errors import ApiError
from .params import Params
from .private import SIGNED, PrivateDoor
from .reports import stamp
from .user_data import SURFACE, Subscriber, UserData
from .ws_requests import RATE_LIMITS, Ask

TRADE_SURFACE = "trade"
_SIGNED = ("apiKey", RATE_LIMITS, *SIGNED)


class Session:
    """The session of one connection.

    :param rate_limits: whether replies tell the limits, as the status says.
    """

    def __init__(
        self, venue: Venue, door: PrivateDoor, users: UserData, subscriber: Subscriber, *, rate_limits: bool
    ) -> None:
        self._venue = venue
        self._door = door
        self._users = users
        self._subscriber = subscriber
        self.rate_limits = rate_limits
        self._connected_ns = venue.time_ns()
        self._authorized_ns = 0
        self._subscription: int | None = None
        #: The key that it is logged on with.
        self.key: Key | None = None
        self._methods: dict[str, Callable[[Ask], Any]] = {
            "session.logon": self._logon,
            "session.status": self._status,
            "session.logout": self._logout,
            "session.subscriptions": self._subscriptions,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._unsubscribe,
        }

    def answer(self, ask: Ask) -> Any:
        """The result of a request about session or user data.

        :raises ApiError: it is refused; -1020, the method is no one's.
        """
        method = self._methods.get(ask.method)
        if method is None:
            raise ApiError(-1020, f"Unsupported operation: method '{ask.method[:60]}' is not known.")
        return method(ask)

    def _signer(self, ask: Ask) -> Key:
        key = self._door.auth.key(ask.values.get("apiKey"), (TRADE_SURFACE, SURFACE))
        self._door.auth.signed(key, ask.values, ask.payload, self._door.now_ms((TRADE_SURFACE,)))
        Params(ask.values, _SIGNED, self._venue.markets)
        return key

    def _logon(self, ask: Ask) -> dict[str, Any]:
        key = self._signer(ask)
        if key.is_hmac:
            raise ApiError(-4056, "HMAC_SHA256 API key is not supported.")
        self.key, self._authorized_ns = key, self._venue.time_ns()
        return self._status(ask)

    def _logout(self, ask: Ask) -> dict[str, Any]:
        self.key = None
        if self._subscription in self._subscriber.by_owner.values():
            self._users.unsubscribe(self._subscriber, self._subscription)
        self._subscription = None
        return self._status(ask)

    def _status(self, ask: Ask) -> dict[str, Any]:
        factor = self._subscriber.factor
        return {
            "apiKey": self.key.api_key if self.key is not None else None,
            "authorizedSince": stamp(self._authorized_ns, factor) if self.key is not None else None,
            "connectedSince": stamp(self._connected_ns, factor),
            "returnRateLimits": self.rate_limits,
            "serverTime": stamp(self._venue.now_ns(TRADE_SURFACE, "session"), factor),
            "userDataStream": bool(self._subscriber.by_owner),
        }

    def _subscriptions(self, ask: Ask) -> list[dict[str, Any]]:
        return [{"subscriptionId": number} for number in self._subscriber.by_owner.values()]

    def _subscribe(self, ask: Ask) -> dict[str, Any]:
        if self.key is None:
            raise ApiError(-1002, "You are not authorized to execute this request: the session is not logged on.", 401)
        self._door.auth.key(self.key.api_key, (TRADE_SURFACE, SURFACE))
        self._subscription = self._users.subscribe(self._subscriber, self.key.account.api_key)
        return {"subscriptionId": self._subscription}

    def _subscribe_signed(self, ask: Ask) -> dict[str, Any]:
        return {"subscriptionId": self._users.subscribe(self._subscriber, self._signer(ask).account.api_key)}

    def _unsubscribe(self, ask: Ask) -> dict[str, Any]:
        params = Params(ask.values, ("subscriptionId", *_SIGNED), self._venue.markets)
        self._users.unsubscribe(self._subscriber, params.integer("subscriptionId"))
        return {}
