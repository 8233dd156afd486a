"""What may be asked about the account (v5 docs: "Account", "User / Get API Key Information")."""

from __future__ import annotations

from typing import Any

from thespian_connector.model.decimals import text
from thespian_connector.simulator.venue import Venue

from . import refusals as no
from .envelope import PARAMETER_ERROR, VenueError
from .order_views import wallet_item
from .prices import dollar_prices
from .queries import Query
from .settings import FEE_RATE, USER_ID

_LONG_AGO, _FAR_OFF = "2024-01-01T00:00:00Z", "2044-01-01T00:00:00Z"


class AccountQueries:
    """Answers them. Each returns ``result``."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def wallet_balance(self, query: Query) -> dict[str, Any]:
        """The unified account. A coin of which there is nothing is there only if it is asked for."""
        if query.get("accountType") != "UNIFIED":
            raise VenueError(PARAMETER_ERROR, "accountType only support UNIFIED.")
        account = self._venue.account
        asked = [coin for coin in query.get("coin").split(",") if coin]
        held = [coin for coin in account.free if account.free[coin] or account.locked.get(coin)]
        return {"list": [wallet_item(account, asked or held, dollar_prices(self._venue))]}

    def info(self, _query: Query) -> dict[str, Any]:
        """A unified account 2.0."""
        return {
            "unifiedMarginStatus": 5,
            "marginMode": "REGULAR_MARGIN",
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
            "updatedTime": "1704067200000",
            "dcpStatus": "OFF",
            "timeWindow": 10,
            "smpGroup": 0,
        }

    def fee_rate(self, query: Query) -> dict[str, Any]:
        """Maker and taker rate of a symbol, or of all."""
        symbol = query.get("symbol")
        if symbol and symbol not in self._venue.markets:
            raise no.refusal(no.BAD_SYMBOL)
        names = ([symbol] if symbol else list(self._venue.markets)) if query.spot() else []
        rate = text(FEE_RATE)
        return {
            "category": query.get("category"),
            "list": [{"symbol": name, "baseCoin": "", "takerFeeRate": rate, "makerFeeRate": rate} for name in names],
        }

    def coins(self, query: Query) -> dict[str, Any]:
        """The coins that the account's markets trade, each on one chain (v5 docs: "Asset / Get Coin Info")."""
        listed = sorted(
            {coin for market in self._venue.markets.values() for coin in (market.spec.base, market.spec.quote)}
        )
        chain = {
            "confirmation": "1",
            "withdrawFee": "0",
            "depositMin": "0",
            "withdrawMin": "0",
            "chainDeposit": "0",
            "chainWithdraw": "0",
            "minAccuracy": "8",
            "withdrawPercentageFee": "0",
            "contractAddress": "",
        }
        return {
            "rows": [
                {
                    "name": coin,
                    "coin": coin,
                    "remainAmount": "0",
                    "chains": [{"chain": coin, "chainType": coin, **chain}],
                }
                for coin in listed
                if query.get("coin") in ("", coin)
            ]
        }

    def api_key(self, _query: Query) -> dict[str, Any]:
        """What the key may do."""
        read_only = bool(self._venue.setting("read_only"))
        return {
            "id": "1",
            "note": "simulator",
            "apiKey": self._venue.account.api_key,
            "readOnly": int(read_only),
            "secret": "",
            "permissions": {
                "ContractTrade": [],
                "Spot": ["SpotTrade"],
                "Wallet": [],
                "Options": [],
                "Derivatives": [],
                "Exchange": [],
                "Earn": [],
            },
            "ips": ["*"],
            "type": 1,
            "deadlineDay": 90,
            "expiredAt": _FAR_OFF,
            "createdAt": _LONG_AGO,
            "unified": 0,
            "uta": 1,
            "userID": USER_ID,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }
