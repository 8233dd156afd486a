import subprocess
import sys

import pytest

from thespian_connector.drivers.registry import EXCHANGES, driver_for, trading_for
from thespian_connector.model.errors import UnknownExchange


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_a_driver_answers_to_its_name_and_is_one_for_all(exchange: str) -> None:
    assert driver_for(exchange).exchange == exchange
    assert driver_for(exchange) is driver_for(exchange)


@pytest.mark.parametrize("name", ["kraken", "", "Binance", "binance "])
def test_an_unknown_exchange_is_told_the_choices(name: str) -> None:
    for make in (driver_for, trading_for):
        with pytest.raises(UnknownExchange, match=", ".join(EXCHANGES)):
            make(name)


def test_one_venue_does_not_load_another_nor_market_data_what_signs() -> None:
    program = (
        "import sys; from thespian_connector.drivers.registry import driver_for; driver_for('binance');"
        "print(*[name for name in sys.modules if '.bybit' in name or '.mock' in name or '.trading' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"
