"""The tree of errors: what its docstring draws is what is there; every error crosses process borders whole."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

from thespian_connector.model import errors
from thespian_connector.model.errors import ConnectorError, ExchangeError, LimitExceeded, Retry, shown

CLASSES = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ConnectorError)),
    key=lambda kind: kind.__name__,
)


def drawn() -> Iterator[tuple[str, str, str]]:
    """(name, parent, rest of the line) of each error in the docstring's tree."""
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"(?P<indent>[ │├└─]*)(?P<names>\w+(?:, \w+)*)(?P<rest>.*)", line)
        names = found["names"].split(", ") if found else []
        if not names or not all(isinstance(getattr(errors, name, None), type) for name in names):
            continue
        assert found is not None
        depth = (len(found["indent"]) - 4) // 4
        for name in names:
            yield name, above[depth - 1] if depth else "", found["rest"]
        above[depth:] = [names[0]]


def test_the_drawing_has_every_error_below_its_parent() -> None:
    tree = {name: parent for name, parent, _ in drawn()}
    assert set(tree) == {kind.__name__ for kind in CLASSES}
    for kind in CLASSES:
        base = kind.__base__
        assert base is not None
        assert tree[kind.__name__] == (base.__name__ if base is not Exception else ""), kind


def test_the_drawing_says_what_may_be_retried_and_what_is_known() -> None:
    words = {"never": Retry.NEVER, "retry": Retry.NOW, "retry*": Retry.NOW, "later": Retry.LATER}
    checked = 0
    for name, _, rest in drawn():
        found = re.search(r" (never|retry\*?|later) +(known|unknown)$", rest)
        if found:
            kind = getattr(errors, name)
            assert kind.retry is words[found[1]], name
            assert kind.outcome_known is (found[2] == "known"), name
            checked += 1
    assert checked >= 15


def test_an_unknown_outcome_exits_with_five_and_is_never_called_refused() -> None:
    for kind in CLASSES:
        assert (kind.exit_code == 5) == (not kind.outcome_known), kind
        assert kind.exit_code in range(1, 6)
    assert {kind.exit_code for kind in CLASSES if issubclass(kind, errors.UsageError)} == {2}
    assert {kind.exit_code for kind in CLASSES if issubclass(kind, errors.Refused | errors.RateLimited)} == {4}


def full(kind: type[ConnectorError]) -> ConnectorError:
    if issubclass(kind, ExchangeError):
        return kind("m", exchange="bybit", code=10006, status=200, retry_after_s=1.5, client_order_id="c-1")
    if issubclass(kind, LimitExceeded):
        return kind("m", retry_after_s=2.5, client_order_id="c-1")
    return kind("m", client_order_id="c-1")


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling_with_all_that_it_says(kind: type[ConnectorError], protocol: int) -> None:
    error = full(kind)
    error.add_note("seen on the way")
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert (str(copy), copy.args, copy.__notes__) == ("m", ("m",), ["seen on the way"])
    assert copy.document() == error.document()


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_can_be_made_of_nothing_and_says_what_it_is(kind: type[ConnectorError]) -> None:
    assert kind().document() == {
        "type": kind.__name__,
        "message": "",
        "retry": kind.retry.value,
        "outcome_known": kind.outcome_known,
    }
    assert full(kind).document()["client_order_id"] == "c-1"
    assert inspect.getdoc(kind)


def test_a_users_own_error_travels_too() -> None:
    copy = pickle.loads(pickle.dumps(OfAUser("m", 5)))
    assert isinstance(copy, OfAUser)
    assert (copy.message, copy.extra) == ("m", 5)


class OfAUser(ConnectorError):
    def __init__(self, message: str, extra: int) -> None:
        super().__init__(message)
        self.extra = extra


def test_what_is_given_is_quoted_but_not_for_ever() -> None:
    assert shown("BTC/USDT") == "'BTC/USDT'"
    assert len(shown("B" * 5000)) < 70
