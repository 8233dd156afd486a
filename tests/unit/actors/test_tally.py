"""Restarts, over the lives of those who count them."""

from __future__ import annotations

from pathlib import Path

from thespian_connector.actors.messages import Announce
from thespian_connector.actors.tally import Tally


def news(incarnation: int, restarts: int = 0, name: str = "registry") -> Announce:
    return Announce(1, name, "Toy", "running", None, incarnation, 2, restarts, 3, "local")


def test_a_new_incarnation_is_a_restart_and_news_of_the_same_is_not(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "root.restarts")
    assert [tally.restarts(news(5)) for _ in range(3)] == [0, 0, 0]
    assert tally.restarts(news(5, restarts=1)) == 0, "its supervisor counts at its end, we when another is there"
    assert tally.restarts(news(6, restarts=1)) == 1
    assert tally.restarts(news(9, name="aggregator")) == 0


def test_a_supervisor_that_was_restarted_begins_at_nought_and_we_go_on(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "root.restarts")
    for incarnation, restarts in ((5, 0), (6, 1), (7, 2)):
        tally.restarts(news(incarnation, restarts))
    assert tally.restarts(news(8, restarts=0)) == 3


def test_lives_that_were_not_announced_are_counted_too(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "root.restarts")
    tally.restarts(news(5))
    assert tally.restarts(news(9, restarts=4)) == 4


def test_a_new_root_goes_on_where_the_old_one_was(tmp_path: Path) -> None:
    path = tmp_path / "root.restarts"
    for incarnation in (5, 6):
        Tally(path).restarts(news(incarnation))
    assert Tally(path).restarts(news(7)) == 2
    path.write_text("{half")
    assert Tally(path).restarts(news(8)) == 0, "a file that is not whole is none"
