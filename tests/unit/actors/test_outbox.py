"""What waits for a peer that does not acknowledge."""

from __future__ import annotations

from thespian_connector.actors.messages import Announce
from thespian_connector.actors.outbox import Outbox
from thespian_connector.limits import NEWS_UNANSWERED_MAX


def news(name: str, restarts: int = 0) -> Announce:
    return Announce(1, name, "Toy", "running", None, 1, 2, restarts, 3, "local")


def test_news_go_at_once_while_they_are_acknowledged() -> None:
    outbox = Outbox()
    for number in range(3 * NEWS_UNANSWERED_MAX):
        assert [one.restarts for one in outbox.put(news("a", number))] == [number]
        assert list(outbox.heard()) == []


def test_a_peer_that_hangs_is_owed_no_more_than_the_limit_and_only_the_newest() -> None:
    outbox = Outbox(limit=3)
    sent = [one for number in range(100) for name in "abcd" for one in outbox.put(news(name, number))]
    assert [(one.name, one.restarts) for one in sent] == [("a", 0), ("b", 0), ("c", 0)]
    later = [one for _ in range(10) for one in outbox.heard()]
    assert sorted((one.name, one.restarts) for one in later) == [(name, 99) for name in "abcd"]


def test_a_new_life_begins_without_debts() -> None:
    outbox = Outbox(limit=1)
    assert len(list(outbox.put(news("a")))) == 1
    assert list(outbox.put(news("b"))) == []
    outbox.renew()
    assert [one.name for one in outbox.put(news("c"))] == ["c"], "b is told with everything else"


def test_acknowledgements_of_a_former_life_give_no_further_credit() -> None:
    outbox = Outbox(limit=1)
    assert list(outbox.heard()) == list(outbox.heard()) == []
    assert len(list(outbox.put(news("a")))) == 1
    assert list(outbox.put(news("b"))) == []
