"""How much is measured: a plain run of everything takes about five minutes, `--quick` about two."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True)
class Scale:
    """:param progress: says on stderr what is being done."""

    progress: Console
    quick: bool = False
    count: int = 30_000
    rounds: int = 3
    kill_rounds: int = 2

    def pick(self, plain: float, quick: float) -> float:
        return quick if self.quick else plain

    def tell(self, what: str) -> None:
        self.progress.print(what, style="dim", highlight=False)
