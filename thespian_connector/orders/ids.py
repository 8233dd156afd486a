"""Client order ids: made before anything is asked, so that whoever loses the answer can ask again by name."""

from __future__ import annotations

import re

from thespian_connector.model.errors import InvalidOrder, UsageError

#: Binance's FIX page gives the pattern, Bybit's "Place Order" page the length and the letters.
CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
PREFIX = re.compile(r"[A-Za-z0-9]{1,8}", re.ASCII)
#: Longer than any venue's own id, or a client's there.
FOREIGN_ID_CHARS_MAX = 64
#: Ids that we make are `prefix-token`; a token is 20 of these letters: 100 bits of randomness.
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
TOKEN_LENGTH = 20


def make_client_order_id(prefix: str, token: bytes) -> str:
    """`prefix` and 20 letters of `token`, 13 random bytes or more.

    :raises UsageError: the prefix is not 1 to 8 letters or digits.
    """
    if not PREFIX.fullmatch(prefix):
        raise UsageError(f"order prefix: {prefix!r} is not 1 to 8 letters or digits")
    number = int.from_bytes(token, "big")
    letters = [ALPHABET[number >> 5 * place & 31] for place in range(TOKEN_LENGTH)]
    return f"{prefix}-{''.join(letters)}"


def check_client_order_id(client_order_id: str) -> str:
    """The id itself.

    :raises InvalidOrder: not 1 to 36 of ``[A-Za-z0-9_-]``.
    """
    if not isinstance(client_order_id, str) or not CLIENT_ORDER_ID.fullmatch(client_order_id):
        raise InvalidOrder(
            f"client_order_id: {client_order_id!r:.60} is not 1 to 36 of A-Z a-z 0-9 _ -; leave it out to get one"
        )
    return client_order_id


def check_known_as(client_order_id: str) -> None:
    """What an order is looked for by: those of others may have ids that we would not make.

    :raises InvalidOrder: no text, or too long for any venue.
    """
    if not isinstance(client_order_id, str) or not 1 <= len(client_order_id) <= FOREIGN_ID_CHARS_MAX:
        raise InvalidOrder(f"client_order_id: {client_order_id!r:.60} is no order's id")


def is_ours(client_order_id: str, prefix: str) -> bool:
    """Whether an id was made by a system with that prefix."""
    return client_order_id.startswith(f"{prefix}-")


def successor_id(client_order_id: str, number: int) -> str:
    """The id of the order that takes the place of `client_order_id` as its `number`-th replacement (1, 2, ...).

    The same for the same arguments, so that a replacement is found again after a crash; the handle stays readable.
    """
    suffix = f"_{number}"
    return f"{client_order_id[: 36 - len(suffix)]}{suffix}"
