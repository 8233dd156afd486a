"""Of `limits`: those of what is journaled, who writes it and who hears of it, and of what is kept of orders."""

from __future__ import annotations

# -- the store (storage/)

#: Another process writes to the same file. At the limit the append failed, and nothing is sent.
STORE_BUSY_S_MAX = 5.0
#: A file up to this size is checked whole when it is opened. A larger one takes seconds: what is read of it is checked.
STORE_CHECKED_BYTES_MAX = 64_000_000
#: Entries that one query reads. The rest is read by the next.
STORE_READ_ROWS_MAX = 1_000

# -- what is kept of orders (orders/kept.py, actors/keeping.py)

#: Journaled facts until what changed by them is written as orders, which a start then reads instead. Few at a time:
#: orders that are being placed wait for the file meanwhile.
SNAPSHOT_FACTS = 500
#: The same while a start reads them: nobody waits for what it writes.
SNAPSHOT_FACTS_READ = 10_000
#: Entries of each journal that stay though a snapshot stands for them: for people who look for what happened.
ENTRIES_KEPT = 50_000
#: Entries, or orders whose time is over, that are removed in one transaction; so many transactions after each snapshot.
PRUNE_ROWS_MAX = 250
PRUNES_A_SNAPSHOT_MAX = 4
#: Orders whose time is over are dropped no sooner after a start: what was missed meanwhile is told first. They stay so
#: much longer than what is told of unknown orders is believed to be new: the clocks of venues differ from ours.
DROP_AFTER_S = 3_600.0
DROP_MARGIN_S = 3_600.0
#: Orders in memory that have ended and are in the snapshot. More are forgotten until they are asked for.
ENDED_IN_MEMORY_MAX = 1_000
#: Fills of one symbol that are told one by one in the snapshot, and for how long: they may come in another order than
#: they happened in. Older ones are a sum.
FILLS_UNSUMMED_MAX = 500
FILLS_UNSUMMED_S = 600.0

# -- the command side (net/commands.py, net/journal.py)

#: Commands that are made durable together. The rest waits for the next commit.
JOURNAL_BATCH_MAX = 256
#: Requests of one account in the air. At the limit a command waits its turn, until its deadline.
SENDERS_MAX = 32
#: Commands that wait for one order. At the limit another is refused.
COMMANDS_AN_ORDER_MAX = 16

# -- facts on their way to OrderState (actors/facts.py)

#: Facts in one message. The rest is asked for next.
FACTS_A_MESSAGE_MAX = 500
#: Facts that a source keeps at hand. Older ones are read from the store.
FACTS_KEPT_MAX = 10_000
#: A question for facts is asked again after this: it may have been lost. (Another life of its source is asked at once.)
FACTS_ASK_AGAIN_S = 3.0
#: What a command made durable is told so long after its reply, or, whatever holds that up, no later than this: to tell
#: it takes the processor from the request and what follows it, and who needs it sooner reads it.
FACTS_AFTER_S = 0.01
FACTS_HELD_S_MAX = 0.05
#: One commit of a journal. A longer one means a hung disk, and the process is replaced.
COMMAND_THREAD_SILENT_S_MAX = 10.0
