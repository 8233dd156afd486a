"""A command that crashed its handler twice is refused, by way of Root too; the component goes on."""

from __future__ import annotations

from typing import Any

import pytest
from support.system import System
from support.waiting import wait_until

from thespian_connector.model import Trade
from thespian_connector.model.errors import ConnectorError, PoisonCommand, Refused
from thespian_connector.system.client import Client
from thespian_connector.system.runtime import Runtime


def test_a_client_of_a_system_is_told() -> None:
    """By way of Root: who asked twice is told each time that the component ended; the third time that it refuses."""
    with System("exchanges.bybit.enabled=false", "exchanges.binance.symbols=['BTC/USDT']") as system:
        system.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(system.directory))
            client = Client(Runtime(system.name))
            try:
                poison = {"exchange": "binance", "symbol": "BTC/USDT", "limit": "many"}
                good = {**poison, "limit": 5}
                seen = []

                def trades(arguments: dict[str, Any]) -> list[Trade]:
                    return client.ask("trades", arguments, list[Trade], 60)

                def refused() -> bool:
                    try:
                        trades(poison)
                    except PoisonCommand as error:
                        seen.append(str(error))
                        return True
                    except Refused as error:  # it ended, or its replacement is not there yet
                        seen.append(str(error))
                    return False

                def works() -> bool:
                    try:
                        return len(trades(good)) > 0
                    except ConnectorError:
                        return False

                wait_until(works, 60, "trades come")
                wait_until(refused, 60, f"it is refused: {seen}")
                assert sum("ended while it worked on it" in text for text in seen) == 2, seen
                assert "exchange/binance/gateway refuses trades" in seen[-1]
                wait_until(works, 60, "other arguments work")
                assert refused()
                gateway = next(row for row in system.json("status")["actors"] if row["name"].endswith("/gateway"))
                assert gateway["restarts"] == 2
            finally:
                client.close()
        assert system.run("stop").returncode == 0
        assert not list(system.runtime.glob("*.crashes")), "the next start tries again"
