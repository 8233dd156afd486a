"""A process that wants more than the limit allows: ``python -m support.limiter_client JSON``.

The options: `exchange`, `url`, `directory` of the budget, `limits` (None: the driver's own), `path`, `query`, `weight`,
`threads`, `seconds`. It ends with a JSON line: how many calls succeeded, how many were refused by the venue's limiter.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from thespian_connector.drivers.base import Limit, RestRequest
from thespian_connector.drivers.registry import driver_for
from thespian_connector.model.errors import ConnectorError
from thespian_connector.net.budget import Budget
from thespian_connector.net.rest import RestClient


def main(options: dict[str, Any]) -> None:
    driver = driver_for(options["exchange"])
    url = options["url"]
    if options["limits"] is None:
        budget = Budget.for_venue(driver, url, Path(options["directory"]))
    else:
        own = msgspec.convert(options["limits"], tuple[Limit, ...])
        budget = Budget(Path(options["directory"]) / "scaled.budget", own, exchange=driver.exchange)
    client = RestClient(driver, url, budget=budget)
    deadline = time.monotonic() + options["seconds"]
    counts: Counter[str] = Counter()

    def hammer(thread: int) -> None:
        number = 0
        while time.monotonic() < deadline:
            number += 1
            query = options["query"] or f"thread={thread}&n={number}"
            request = RestRequest(method="GET", path=options["path"], query=query, weight=options["weight"])
            try:
                client.call(request, deadline_s=deadline - time.monotonic(), share=False)
                counts["answered"] += 1
            except ConnectorError as error:
                counts[type(error).__name__] += 1

    threads = [threading.Thread(target=hammer, args=(n,)) for n in range(options["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
