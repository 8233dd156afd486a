"""The accounts of the simulator that the launcher starts: its keys, where the processes that sign read every key.

So a paper system trades as it is shipped, and by the same way as a real one. The account lives as long as the
simulator; so does what is known of its orders.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import structs

from thespian_connector.actors.settings import ExchangeSettings, Settings
from thespian_connector.drivers.registry import driver_for
from thespian_connector.model import Environment
from thespian_connector.model.errors import ConnectorError
from thespian_connector.net.budget import venue_file

from .runtime import Runtime

_ANSWER_S_MAX = 5.0
_BODY_BYTES_MAX = 1024 * 1024


def fill_in(settings: Settings, exchanges: Iterable[str], control: str, runtime: Runtime) -> Settings:
    """`settings` with the keys of the simulator's accounts wherever one of `exchanges` names none.

    :param control: the simulator's control URL.
    :raises ConnectorError: the simulator does not tell them.
    """
    filled = dict(settings.exchanges)
    for exchange in exchanges:
        if not filled[exchange].api_key:
            filled[exchange] = _with_keys(exchange, filled[exchange], control, runtime)
    return structs.replace(settings, exchanges=filled)


def _with_keys(exchange: str, one: ExchangeSettings, control: str, runtime: Runtime) -> ExchangeSettings:
    account = _account(control, exchange)
    places = {"api_key": runtime.key_file(exchange, "key"), "api_secret": runtime.key_file(exchange, "secret")}
    _write(places["api_key"], account["api_key"])
    _write(places["api_secret"], account["secret"])
    return structs.replace(one, **{name: f"file:{path.absolute()}" for name, path in places.items()})


def _account(control: str, exchange: str) -> dict[str, Any]:
    url = urlsplit(control)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_ANSWER_S_MAX)
    try:
        connection.request("GET", f"/truth/{exchange}/account")
        answer = connection.getresponse()
        body = answer.read(_BODY_BYTES_MAX)
        if answer.status != http.HTTPStatus.OK:
            raise ConnectorError(f"the simulator tells no account of {exchange}: HTTP {answer.status}")
        [account, *_] = json.loads(body)["accounts"]
        return dict(account)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise ConnectorError(f"the simulator tells no account of {exchange}: {type(error).__name__}") from error
    finally:
        connection.close()


def _write(path: Path, secret: str) -> None:
    """Ours alone from its first byte on; never half there."""
    temporary = path.with_suffix(f"{path.suffix}.new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(secret)
    temporary.replace(path)


def forget_journal(settings: Settings, simulated: Iterable[str], runtime: Runtime) -> None:
    """Moves aside the journal of an earlier simulator's accounts: their orders are gone, and their numbers come again.

    Only where it holds nothing else: the default journal of a system whose exchanges are all simulated.
    """
    enabled = {name for name, one in settings.exchanges.items() if one.enabled}
    if settings.store.url != "sqlite" or enabled - set(simulated):
        return
    for end in ("", "-wal", "-shm"):
        journal = runtime.path / f"state.db{end}"
        if journal.exists():
            journal.replace(runtime.path / f"state.previous.db{end}")
        else:
            (runtime.path / f"state.previous.db{end}").unlink(missing_ok=True)


def forget_budgets(urls: Mapping[str, Mapping[str, str]], runtime: Runtime) -> None:
    """Removes the shared budgets of a simulator that is ending: the next one has other ports, and nobody would.

    :param urls: what it served, by exchange; its ports must still be held, so that they are nobody else's yet.
    """
    for exchange, served in urls.items():
        base_url = driver_for(exchange).endpoints(Environment.PAPER, served).rest
        venue_file(exchange, base_url, runtime.budget_dir).unlink(missing_ok=True)
