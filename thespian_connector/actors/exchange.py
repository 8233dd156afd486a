"""Exchange: the supervisor of one venue's components, each restarted alone."""

from __future__ import annotations

from pathlib import Path

from .messages import pack, unpack
from .policy import ChildSpec, Strategy
from .settings import ExchangeStart, OrderStateStart, ShardStart
from .supervisor import Supervisor

GATEWAY = "thespian_connector.actors.gateway.Gateway"
ORDER_COMMAND = "thespian_connector.actors.order_command.OrderCommand"
ORDER_STATE = "thespian_connector.actors.order_state.OrderState"
USER_DATA = "thespian_connector.actors.user_data.UserData"
MARKET_DATA = "thespian_connector.actors.market_data.MarketData"


class Exchange(Supervisor):
    kind = "exchange"
    strategy = Strategy.ONE_FOR_ONE

    def begin(self, body: bytes) -> tuple[ChildSpec, ...]:
        start = unpack(body, ExchangeStart)
        trading = self._trading(start, body) if start.trades else []
        return (ChildSpec(f"{self.name}/gateway", GATEWAY, body), *trading, *self._shards(start))

    def _trading(self, start: ExchangeStart, body: bytes) -> list[ChildSpec]:
        socket = Path(self.context.runtime_dir) / f"os-{start.exchange}.sock"
        state = OrderStateStart(exchange=start, endpoint=f"ipc://{socket}", lock_path=str(socket.with_suffix(".lock")))
        return [
            ChildSpec(f"{self.name}/order-command", ORDER_COMMAND, body),
            ChildSpec(f"{self.name}/order-state", ORDER_STATE, pack(state), endpoint=state.endpoint),
            ChildSpec(f"{self.name}/user-data", USER_DATA, body),
        ]

    def _shards(self, start: ExchangeStart) -> list[ChildSpec]:
        symbols, size = start.settings.symbols, start.settings.shard_symbols
        specs = []
        for number, first in enumerate(range(0, len(symbols), size)):
            socket = Path(self.context.runtime_dir) / f"md-{start.exchange}-{number}.sock"
            shard = ShardStart(
                exchange=start,
                symbols=symbols[first : first + size],
                endpoint=f"ipc://{socket}",
                lock_path=str(socket.with_suffix(".lock")),
            )
            name = f"{self.name}/market-data/{number}"
            specs.append(ChildSpec(name, MARKET_DATA, pack(shard), endpoint=shard.endpoint, symbols=shard.symbols))
        return specs
