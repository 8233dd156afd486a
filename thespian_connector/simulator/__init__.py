"""Local venues that speak the Binance and Bybit wire protocols, and a control port that tells the truth about them.

One asyncio process. Every venue has its own price-time matching books (`engine`, `market`), a minute of exact history
(`history`), and its front (`binance/`, `bybit/`); one seeded order flow (`flow`) trades around a fair price that all of
them share. `faults` and `usage` are what a front asks before it answers and what it reports to; `control` serves them.

Shares `thespian_connector.model` with the rest of the package and nothing else: the judge must not have the bugs of the
judged.
"""
