"""What the config file says, typed. `system.config` reads and checks it; the actors get their part as msgpack."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from thespian_connector.model import Channel, Environment

#: Files and sockets are named after it.
NAME_FORM = "1 to 32 letters, digits, '.', '_' or '-', the first of them a letter or digit"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Port = Annotated[int, Meta(ge=0, le=65535)]
KeyPlace = Annotated[str, Meta(pattern=r"^(|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
Symbol = Annotated[str, Meta(pattern=r"^[A-Z0-9]{1,20}/[A-Z0-9]{1,20}$")]


class SystemSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`admin_port` 0: any free one. `bind`: the one address that is listened on. `log_file` "": log.jsonl in the
    runtime directory."""

    name: Name = "default"
    host: Name = "local"
    admin_port: Port = 0
    bind: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    log_file: str = ""
    log_level: str = "INFO"
    #: A TOML file laid over the logging set-up, relative to the config.
    logging: str = ""


class ExchangeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exchange. `depth` 0: the deepest book that the venue streams. `shard_symbols`: books in one process.

    `redundancy`: connections of each market-data process that bring the same; with 2, either may be lost without a book
    losing trust. `rotate_after_s`: the age in seconds at which a connection is replaced; 0: a little before the venue's
    own cut.
    """

    environment: Environment = Environment.PAPER
    symbols: Annotated[tuple[Symbol, ...], Meta(min_length=1)] = ("BTC/USDT", "ETH/USDT")
    channels: tuple[Channel, ...] = (Channel.BOOK, Channel.TRADE, Channel.TICKER)
    depth: Annotated[int, Meta(ge=0)] = 0
    #: Levels a side of each published book.
    publish_depth: Annotated[int, Meta(ge=1, le=1000)] = 20
    shard_symbols: Annotated[int, Meta(ge=1)] = 25
    #: Where the account's key and secret are: ``env:NAME`` or ``file:PATH``. Without both there is no trading.
    api_key: KeyPlace = ""
    api_secret: KeyPlace = ""
    redundancy: Annotated[int, Meta(ge=1, le=2)] = 1
    rotate_after_s: Annotated[float, Meta(ge=0)] = 0.0
    urls: dict[str, str] = field(default_factory=dict)
    enabled: bool = True

    @property
    def trades(self) -> bool:
        """Whether there is an account to trade with."""
        return bool(self.api_key and self.api_secret)


class SimulatorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulator that the launcher starts for paper exchanges without URLs. None: its own default."""

    seed: int = 1
    rate: Annotated[float, Meta(gt=0)] | None = None
    control_port: Port = 0


class StoreSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where orders are journaled. `url`: ``sqlite`` (state.db in the runtime directory), ``memory``, or a database as
    SQLAlchemy spells it. `durability`: "process" survives the end of any process, "power" the loss of power too."""

    url: Annotated[str, Meta(min_length=1)] = "sqlite"
    durability: Literal["process", "power"] = "process"


class OrderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`prefix`: client order ids that we make begin with it; it tells our orders from others' on the same account, so
    two systems on one account need two. `timeout_s`: until when an order may be sent, where the caller does not say.
    `retention_days`: how long an order that has ended stays known, by its id too."""

    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,8}$")] = "tc"
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    retention_days: Annotated[int, Meta(ge=7)] = 7


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    system: SystemSettings = SystemSettings()
    exchanges: dict[Name, ExchangeSettings] = field(default_factory=dict)
    simulator: SimulatorSettings = SimulatorSettings()
    store: StoreSettings = StoreSettings()
    orders: OrderSettings = OrderSettings()


class ExchangeStart(Struct, frozen=True, kw_only=True):
    """What an Exchange and its components are started with."""

    exchange: str
    settings: ExchangeSettings
    #: Where the rate budgets of all systems of this user are.
    budget_dir: str = ""
    #: "sqlite" is spelled out by Root.
    store: StoreSettings = StoreSettings()
    orders: OrderSettings = OrderSettings()

    @property
    def trades(self) -> bool:
        """Whether there is an account to trade with."""
        return self.settings.trades


class AggregatorStart(Struct, frozen=True, kw_only=True):
    """Where Aggregator publishes."""

    endpoint: str
    lock_path: str


class OrderStateStart(Struct, frozen=True, kw_only=True):
    """OrderState, and where it publishes."""

    exchange: ExchangeStart
    endpoint: str
    lock_path: str


class ShardStart(Struct, frozen=True, kw_only=True):
    """One MarketData shard: its symbols and where it publishes."""

    exchange: ExchangeStart
    symbols: tuple[str, ...]
    endpoint: str
    lock_path: str
