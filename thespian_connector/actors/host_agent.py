"""HostAgent: creates, probes and kills the Exchanges of this host. One host is the case n = 1."""

from __future__ import annotations

import os

from .messages import Address, HostUp, Message, RunExchange
from .policy import ChildSpec
from .supervisor import Supervisor

EXCHANGE = "thespian_connector.actors.exchange.Exchange"


class HostAgent(Supervisor):
    kind = "hostagent"
    watches_launcher = True

    def begin(self, body: bytes) -> tuple[ChildSpec, ...]:
        del body
        self.send(
            self.context.root,
            HostUp(self.context.root_incarnation, self.context.host, self.myAddress, self.incarnation, os.getpid()),
        )
        return ()

    def handle(self, message: Message, sender: Address) -> None:
        if isinstance(message, RunExchange):
            self.add_child(ChildSpec(f"exchange/{message.exchange}", EXCHANGE, message.body))
        else:
            super().handle(message, sender)
