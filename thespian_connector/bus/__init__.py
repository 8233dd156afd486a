"""The data plane: market data and events between processes, over ZeroMQ PUB/SUB. Control never goes here."""
