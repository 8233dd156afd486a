"""Many order commands at once: JSON lines in, an answer a line out, in the order of completion."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import msgspec

from thespian_connector.limits import BATCH_COMMANDS_MAX
from thespian_connector.model.errors import ConnectorError, InvalidOrder, UsageError

from .orders import order_document, wherever

if TYPE_CHECKING:
    from thespian_connector.connector import Connector
    from thespian_connector.model import Order

_TERMS = ("quantity", "price")
#: operation -> (fields that it must have, fields that it may have).
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "place": (
        ("exchange", "symbol", "side"),
        (*_TERMS, "type", "stop_price", "quote_quantity", "tif", "time_in_force", "client_order_id", "timeout"),
    ),
    "cancel": (("client_order_id",), ("exchange", "timeout")),
    "amend": (("client_order_id",), (*_TERMS, "exchange", "timeout")),
    "show": (("client_order_id",), ("exchange",)),
}
_MONEY = (*_TERMS, "stop_price", "quote_quantity")
#: As the Connector's arguments are called.
_NAMES = {"tif": "time_in_force", "timeout": "timeout_s"}


class Batch:
    """Commands of different orders run side by side; those of one client order id in their order."""

    def __init__(self, connector: Connector, show: Callable[[Any], None]) -> None:
        self._connector = connector
        self._show = show
        self._lock = threading.Lock()
        self._room = threading.Semaphore(BATCH_COMMANDS_MAX)
        #: client order id -> the last command of it, while it is under way.
        self._last: dict[str, Future[None]] = {}
        self._broken: BaseException | None = None
        self._exit_code = 0

    def run(self, lines: Iterable[bytes]) -> int:
        """Until every line is answered. Returns 0 when all went well, 5 when an outcome is not known, else 1."""
        with ThreadPoolExecutor(BATCH_COMMANDS_MAX, "batch") as pool:
            for number, line in enumerate(lines, 1):
                if self._broken is not None:  # nobody reads the answers any more
                    break
                if not line.strip():
                    continue
                self._room.acquire()
                try:
                    command = _command(line, number)
                except InvalidLine as error:
                    self._fail(error.name, error.problem)
                    self._room.release()
                    continue
                self._begin(pool, command)
        if self._broken is not None:
            raise self._broken
        return self._exit_code

    def _begin(self, pool: ThreadPoolExecutor, command: dict[str, Any]) -> None:
        name = command.get("client_order_id")
        with self._lock:
            before = self._last.get(name) if name else None
            future = pool.submit(self._do, command, before)
            if name:
                self._last[name] = future

        def ended(_future: Future[None]) -> None:
            with self._lock:
                self._broken = self._broken or future.exception()
                if name and self._last.get(name) is future:
                    del self._last[name]
            self._room.release()

        future.add_done_callback(ended)

    def _do(self, command: dict[str, Any], before: Future[None] | None) -> None:
        if before is not None:
            wait([before])  # it is ahead of us in the pool's queue
        name, number = command.pop("id"), command.pop("line")
        try:
            order = self._call(**command)
        except UsageError as error:
            error.message = f"line {number}: {error.message}"
            self._fail(name, error)
        except ConnectorError as error:
            self._fail(name, error)
        else:
            self._print({"id": name, **order_document(order)})

    def _call(self, op: str, **fields: Any) -> Order:
        connector = self._connector
        if op == "place":
            fields.setdefault("type", "limit")
            return connector.place_order(fields.pop("exchange"), fields.pop("symbol"), **fields)
        name = fields.pop("client_order_id")
        if op == "show":
            return connector.order(name, **fields)
        call = connector.cancel_order if op == "cancel" else connector.amend_order
        return wherever(connector, fields.pop("exchange", None), name, lambda exchange: call(exchange, name, **fields))

    def _fail(self, name: object, error: ConnectorError) -> None:
        with self._lock:
            self._exit_code = max(self._exit_code, 1 if error.outcome_known else 5)
        self._print({"id": name, "error": error.document()})

    def _print(self, document: dict[str, Any]) -> None:
        with self._lock:
            self._show(document)


class InvalidLine(Exception):
    """`name`: whom to answer."""

    def __init__(self, name: object, problem: UsageError) -> None:
        super().__init__(problem)
        self.name = name
        self.problem = problem


def _command(line: bytes, number: int) -> dict[str, Any]:
    """The arguments, with `op`, `id` and `line`.

    :raises InvalidLine: it is no command; the message names line and field.
    """
    try:
        document = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise InvalidLine(number, UsageError(f"line {number}: not JSON: {error}")) from None
    if not isinstance(document, dict):
        raise InvalidLine(number, UsageError(f'line {number}: not a JSON object; write {{"op":"place",...}}'))
    name = document.pop("id", number)
    op = document.pop("op", None)

    def invalid(field: str, words: str) -> InvalidLine:
        given = document.get("client_order_id")
        known = given if isinstance(given, str) else None
        return InvalidLine(name, InvalidOrder(f"line {number}: {field}: {words}", client_order_id=known))

    if not isinstance(op, str) or op not in _FIELDS:
        raise invalid("op", f"{op!r:.40} is not one of {', '.join(_FIELDS)}")
    needed, possible = _FIELDS[op]
    for field in needed:
        if document.get(field) is None:
            raise invalid(field, f"{op} needs it")
    arguments: dict[str, Any] = {"op": op, "id": name, "line": number}
    for key, value in document.items():
        field = str(key)
        if field not in (*needed, *possible):
            raise invalid(field, f"{op} has no such field; it has {', '.join((*needed, *possible))}")
        if value is None:
            continue
        kinds, words = _kind(field, value)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise invalid(field, words)
        argument = _NAMES.get(field, field)
        if argument in arguments:
            raise invalid(field, "tif is the same; give one of them")
        arguments[argument] = value
    return arguments


def _kind(field: str, value: object) -> tuple[tuple[type, ...], str]:
    """Of what type a field is, and what to say of another."""
    if field in _MONEY:
        words = "a float is no money" if isinstance(value, float) else "a number is meant"
        return (str, int), f'{words}; write it as a string, like "60000.1"'
    if field == "timeout":
        return (int, float), "a number of seconds is meant"
    return (str,), "a string is meant"
