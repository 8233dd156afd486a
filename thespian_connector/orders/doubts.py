"""How it is said that a command was not done, or that nobody knows whether it was."""

from __future__ import annotations

from thespian_connector.model.errors import ConnectorError, OutcomeUnknown


def last_word(exchange: str, name: str, perhaps: str, error: ConnectorError) -> ConnectorError:
    """`error`, about the order `name`; that nobody knows, where it says so, or an earlier question was lost (`perhaps`
    says how): whatever it was, an order's caller may not just send it again, and needs its id to look for it."""
    if perhaps:
        return unknown(exchange, name, f"{perhaps}; {error}")
    if not error.outcome_known and name not in str(error):
        return unknown(exchange, name, str(error))
    error.client_order_id = error.client_order_id or name
    return error


def unknown(exchange: str, name: str, why: str) -> OutcomeUnknown:
    """What a caller is told who gives up on the order `name`."""
    return OutcomeUnknown(
        f"{exchange}: what became of {name} is not known yet ({why}); the system goes on asking: see order show {name}",
        exchange=exchange,
        client_order_id=name,
    )
