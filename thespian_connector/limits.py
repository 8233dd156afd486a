"""Every cap of the package by name, units last, with what happens at the limit."""

from __future__ import annotations

from .store_limits import *  # noqa: F403 - they are read as one; this module is long enough

#: Diffs kept while a book waits for its snapshot. At the limit the oldest are dropped and the snapshot is asked anew.
BOOK_BUFFER_DIFFS_MAX = 10_000
#: One WebSocket message. A larger one is dropped with its connection.
FRAME_BYTES_MAX = 16 * 1024 * 1024
#: One HTTP answer's body. A larger one is an error, not memory.
BODY_BYTES_MAX = 64 * 1024 * 1024

# -- a market-data connection (net/socket.py)

#: Name resolved, to WebSocket open. At the limit the attempt failed, and the next waits its turn.
CONNECT_TIMEOUT_S = 10.0
#: The answer to a handshake, an error page included. A larger one is no answer.
HANDSHAKE_BYTES_MAX = 64 * 1024
#: Bytes that the venue does not take from us. At the limit the connection is dropped: it does not read.
OUTGOING_BYTES_MAX = 256 * 1024

# -- a feed session (net/feed.py); FeedTiming takes the intervals from here

#: Reconnect pauses double from the first to the largest, each drawn between half and whole. The count starts anew once
#: a connection has held for the last of these. The largest is also how long a venue that is back is waited for, at
#: most: 100 attempts in five minutes, of the 300 that Binance allows an address.
RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 4.0
RECONNECT_STABLE_S = 30.0
#: Without an answer to a subscribe request it is made again once, then the connection is.
ACK_TIMEOUT_S = 5.0
#: A topic that the venue refused is asked for again this often: a symbol may be halted today and back tomorrow.
REFUSED_RETRY_S = 60.0
#: We leave a connection after a random share between these of the time after which the venue would cut it.
LIFETIME_SHARE = (0.95, 0.99)
#: What a thread that was told to end may take to do so.
JOIN_S = 1.0
#: After the subscription: how long a book waits for its first update before its snapshot is fetched all the same.
SNAPSHOT_QUIET_S = 1.0
#: What one snapshot may take, waiting for the shared budget included; then it is another book's turn.
SNAPSHOT_DEADLINE_S = 10.0
#: Failed or too old snapshots of one book are repeated with pauses that double between these.
SNAPSHOT_RETRY_FIRST_S = 0.3
SNAPSHOT_RETRY_MAX_S = 20.0
#: Snapshots that only widen what is certified come no faster than this for one book.
REFILL_EVERY_S = 1.0
#: A book without an update for this long is compared with the venue over REST (where no stream repeats).
SILENCE_CHECK_S = 3.0
#: The least pause between two such checks of one session, whichever books they are of: 6 a second of weight 5 leave
#: more than two thirds of Binance's 6,000 a minute to others.
SILENCE_CHECK_EVERY_S = 0.15
#: However busy the books are, one of them is compared with the venue this often: a stream that was late from the first
#: message on is found by nothing else. Weight 20 a minute on Binance.
AUDIT_S = 15.0
#: Updates in flight arrive within this: a venue that is ahead of a book for longer is not just in the air.
BEHIND_GRACE_S = 1.0
#: So many times the grace without an update, while the venue is known to be ahead: that stream has stopped. (One alone
#: convicted healthy streams of a venue, or of a machine of ours, that was busy.)
BEHIND_GRACES_STOPPED = 2.5
#: A connection whose updates the venue showed to be late so many times is replaced.
LAG_PROOFS_MAX = 2
#: A book without proof for this long is STALE, where REST proves and where a stream repeats (Bybit: every 3 s).
STALE_REST_S = 5.0
STALE_STREAM_S = 6.5
#: A connection that brings no data for this long while its books are STALE is dropped.
SILENT_RECONNECT_S = 10.0
#: With two connections: so often in a row one must have brought nothing of a topic, for half the above each time, after
#: the other brought something. Then that connection is replaced.
DEAD_TOPIC_STRIKES = 2
#: Our keepalive must be answered within this.
PONG_TIMEOUT_S = 10.0
#: A resubscribed topic whose snapshot does not come within this is resubscribed again; after three, we reconnect.
RESUBSCRIBE_TIMEOUT_S = 5.0
RESUBSCRIBE_TRIES_MAX = 3
#: How far updates may lag behind the quickest of the last minute before the books they are for are called STALE.
LAG_STALE_S = 3.0
#: A quiet book that was verified is told of this often, so that readers elsewhere see `verified_at_ns` move.
VERIFIED_TOLD_S = 1.0
#: A session that did not run for this long (a stopped process, a callback that blocked) cannot vouch for its books, and
#: must not blame the venue for the silence.
HELD_UP_S = 3.0
#: The session looks at its clocks at least this often.
FEED_TICK_S = 0.1
#: As many of these looks become one while no data comes, all connections are open and all books LIVE: still one for
#: each beat of the bus.
FEED_QUIET_TICKS = 2
#: Messages handled before clocks and other threads get a turn.
FEED_BATCH_MESSAGES = 64
#: With conflation, how long to take chunk after chunk before the changed books are told, even if more waits.
CONFLATE_S_MAX = 0.02
#: Levels kept on one side of a book. At the limit the worst are forgotten and are no longer certified. Twice the
#: deepest snapshot: 1.7 MB.
BOOK_LEVELS_MAX = 10_000
#: Prices of one side whose ticks are remembered. At the limit all are forgotten and parsed anew. More than the deepest
#: snapshot has, and little more: a book whose price walks fills it in minutes, and then it holds 2.5 MB.
BOOK_PRICES_REMEMBERED_MAX = 5_120

# -- the shared budget of a venue and egress IP (net/budget.py)

#: How much of a limit each priority may fill, in thousandths. What is above data's share is kept for the others; the
#: last part is nobody's: answers that overtake each other and windows that close between send and arrival eat it.
BUDGET_SHARE_CANCEL = 980
BUDGET_SHARE_ORDER = 950
BUDGET_SHARE_RECONCILE = 900
BUDGET_SHARE_DATA = 800
#: A request this near to a window's end may be counted in either window, and is charged to both.
BUDGET_GUARD_S_MAX = 0.5
#: How fast our clock and the venue's may part after a measurement, in millionths. Widens the guard.
BUDGET_DRIFT_PPM = 100
#: Another process holds the file's lock. At the limit (that process is frozen) the request is refused unsent.
BUDGET_LOCK_WAIT_S_MAX = 2.0
#: One sleep of a request that waits for room, so that what other processes learn meanwhile is noticed.
BUDGET_SLEEP_S_MAX = 1.0
#: The answer to the request that learns an unknown window. At the limit another process may send one.
BUDGET_PROBE_S_MAX = 2.0
#: A pause a venue may ask for (Binance bans for up to three days). A longer one is a broken header, and is cut.
BUDGET_PAUSE_S_MAX = 4 * 86400.0
#: A pause when the venue refused for the rate but did not say how long: a minute holds Binance's weight window.
BUDGET_PAUSE_S_DEFAULT = 60.0
#: The same for a ban: Bybit's least, and five times Binance's.
BUDGET_BAN_S_DEFAULT = 600.0

# -- REST (net/rest.py)

#: Name resolved, connected, TLS agreed. At the limit nothing was sent.
REST_CONNECT_S_MAX = 5.0
#: Silence between two pieces of an answer. At the limit the answer is lost.
REST_READ_S_MAX = 10.0
#: A call that names no deadline: waiting for the budget, all tries and their back-off together.
REST_CALL_S_MAX = 30.0
#: Tries of an idempotent request. At the limit its last error is the caller's.
REST_TRIES_MAX = 4
#: Back-off before try n + 1 is a random share of base * 2 ** n, at most the cap.
REST_BACKOFF_S_BASE = 0.1
REST_BACKOFF_S_MAX = 5.0
#: Open connections kept to one venue by one client: as many as orders may be in the air. More threads than that open
#: others, which are closed after use.
REST_CONNECTIONS_MAX = 32

# -- breakers (net/breaker.py)

#: Failures in a row of one surface. At the limit its calls fail fast.
BREAKER_FAILURES_MAX = 5
#: How long an open breaker refuses before it lets one probe through.
BREAKER_RESET_S = 3.0

# -- the venue's clock (net/clock.py)

#: Samples of one measurement; the one with the shortest round trip counts.
CLOCK_SAMPLES = 5
#: How far behind the venue's estimated time our timestamps may be set on purpose, at most.
CLOCK_BIAS_S_MAX = 0.1
#: Jobs that wait for one worker thread of an actor. At the limit a request is refused.
WORKER_QUEUE_JOBS_MAX = 64
#: One message between actors, as pickled. A sender that declares more is cut off before anything is allocated.
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
#: Characters before the ``>`` of a Thespian packet. More is no packet.
MESSAGE_PREFIX_BYTES_MAX = 16
#: Connections to an actor that have not brought a signed message yet. At the limit the oldest is closed; each is after
#: its time, too.
STRANGERS_MAX = 100
STRANGER_S_MAX = 10.0
#: Connections to one component's door, each with a thread; others ask Root. One that is silent for so long is closed.
DOOR_CONNECTIONS_MAX = 64
DOOR_IDLE_S_MAX = 60.0
#: Contexts, and connections to doors, that a client keeps to ask with again; and for how long it keeps a context that
#: it does not use: far less than the twenty minutes after which the other side hangs up.
CONTEXTS_KEPT_MAX = 16
CONTEXT_KEPT_S_MAX = 60.0
#: Connections that wait in the kernel until an actor's loop takes them.
CONNECTIONS_WAITING_MAX = 1024
#: Requests that Root has under way at one component; further ones are refused until it answers.
REQUESTS_UNANSWERED_MAX = 10
#: How often the launcher starts the whole system anew within the period. Past it, it ends and says why.
LAUNCHER_RESTARTS_MAX = 5
LAUNCHER_RESTART_PERIOD_S = 60.0

# -- captures (net/capture.py, net/replay.py)

#: One line of a capture. A longer one is an error that names the line, not memory.
CAPTURE_LINE_BYTES_MAX = 2 * BODY_BYTES_MAX
#: How much of a recording a crash may lose.
CAPTURE_FLUSH_S = 1.0
#: Warnings about one capture. Further ones are only counted.
REPLAY_WARNINGS_MAX = 20

# -- actors

#: A command that crashed its handler so often is refused until the system is started anew.
COMMAND_CRASHES_MAX = 2
#: Crashes by commands that the lives of one component remember. At the limit the oldest are forgotten.
COMMAND_CRASHES_REMEMBERED_MAX = 256
#: Characters of a refused command in its error; the rest is left out.
COMMAND_SHOWN_CHARS_MAX = 200

#: A feed's thread that is silent for longer counts as hung: its process is killed.
FEED_THREAD_SILENT_S_MAX = 5.0
#: Instruments that cannot be loaded at start are asked for again after this, doubled up to the cap.
INSTRUMENTS_RETRY_FIRST_S = 0.2
INSTRUMENTS_RETRY_MAX_S = 3.0
INSTRUMENTS_REFRESH_S = 3600.0
CLOCK_MEASURE_EVERY_S = 60.0
#: What a Gateway keeps fresh and could not refresh is tried again after this.
MAINTENANCE_RETRY_S = 5.0
#: Trades of one request. More is a UsageError.
TRADES_ASKED_MAX = 1000
#: Updates of one socket that wait for the other to catch up. At the limit the oldest go (a gap, if the other fails).
ARBITER_DIFFS_MAX = 1_000
#: How long they wait. Then the other socket is taken for broken.
ARBITER_WAIT_NS = 1_000_000_000
#: Trades of a symbol whose ids are remembered, to drop those that come twice.
TRADES_REMEMBERED_MAX = 4096
#: Trades of one connection that wait for another to bring those before them, and how long. Then they are told, and the
#: missing ones are counted where the venue numbers trades.
TRADES_WAITING_MAX = 2048
TRADES_WAIT_S = 1.0
#: A connection that is to take over brings everything for this long before the old one is closed: what is still on its
#: way on the old one arrives within it.
ROTATION_OVERLAP_S = 1.0
#: The least age at which connections may be replaced: the new one must have taken over before it is old itself.
ROTATE_AFTER_S_MIN = 3.0

# -- the bus

#: A publisher's heartbeat, and the silence after which a reader calls its topics STALE.
BUS_BEAT_NS = 200_000_000
BUS_SILENCE_NS = 1_000_000_000
#: Messages queued for one reader, on each side. At the limit the newest are dropped, and the reader finds out.
BUS_MESSAGES_QUEUED_MAX = 20_000
#: One part of a message. A larger one is not decoded; the reader counts it.
BUS_MESSAGE_BYTES_MAX = 16 * 1024 * 1024
#: Messages taken in one poll of a reader. At the limit the rest wait for the next.
BUS_MESSAGES_A_POLL_MAX = 50_000
#: Subscriptions served in one poll of a publisher. At the limit the rest wait for the next.
BUS_SUBSCRIPTIONS_A_POLL_MAX = 1_000
#: A reader that is behind asks for a topic's last value at most this often.
BUS_ASK_NS = 500_000_000
#: Topics that a reader keeps state of. At the limit further ones are ignored and counted.
BUS_TOPICS_MAX = 10_000
#: Root or HostAgent without a beat for this long hang: the launcher replaces them.
TOP_SILENT_S_MAX = 4.0
#: What is stopped (SIGSTOP, a debugger) for this long hangs for sure: the same, and for the admin, Thespian's logger
#: and the simulator too.
TOP_STOPPED_S_MAX = 2.5
#: An admin that has not looked at its socket for this long spins: the same follows. (A busy one comes to it in time.)
ADMIN_DEAF_S_MAX = 7.0
#: The same of the simulator: it has one thread, and warms up whole markets in it.
SIMULATOR_DEAF_S_MAX = 10.0
#: A stopped launcher is let go on after this (SIGCONT by Root).
LAUNCHER_STOPPED_S_MAX = 3.0
#: What the admin may take to answer a process that attaches. At the limit the question fails: ask again in a moment.
ATTACH_S_MAX = 2.0
#: Descriptors that a process of a system may open: a thousand strangers' connections must not use them up. The
#: system's own hard limit may be lower.
OPEN_FILES_MAX = 65_536
#: Blocks of memory from this size on come from the kernel one by one and go back to it when they are freed. (The C
#: library would take whole books from its heap as soon as one was freed, and keep the holes that they leave.)
HEAP_BLOCK_BYTES_MAX = 128 * 1024
#: Heaps of the C library in a process, shared by its threads. Each keeps the holes of its own.
HEAPS_MAX = 2
#: Messages of one actor under way to all others together. At the limit it sends nothing to anybody, so that it must be
#: far above what hung peers can owe (ten each).
TRANSMITS_PENDING_MAX = 500

# -- merged books (actors/aggregator.py, actors/merging.py)

#: Changes are merged at most this often, and the merging thread takes at most this share of a core; what comes
#: meanwhile is in the next merged book.
MERGE_EVERY_S = 0.025
MERGE_CORE_SHARE_MAX = 0.25
#: How long a merged book that is deeper than what is published waits for a feed's whole book. At the limit that
#: exchange is left out, and named.
MERGE_ASK_S_MAX = 2.0
#: Questions that a feed owes Aggregator an answer to. At the limit it is not asked, and left out of deep books.
MERGE_ASKED_MAX = 5
#: How often Aggregator asks Registry who is there, and how soon after a change. (Changes are told at once.)
WATCH_EVERY_S = 5.0
WATCH_AGAIN_S = 1.0
#: News of components that a peer (Root, Registry) has not acknowledged. At the limit further ones wait, the newest of
#: each component.
NEWS_UNANSWERED_MAX = 10
#: Notices to a watcher since it last asked. At the limit it is told no more until it asks again.
WATCH_NOTICES_UNANSWERED_MAX = 10

# -- logging (actors/log_output.py)

#: The log file. Past it, it is moved aside, and the oldest of those kept is dropped.
LOG_BYTES_MAX = 64 * 1024 * 1024
LOG_FILES_KEPT = 3
#: Records of one message that one process writes at once, and in a second after that. Further ones are counted.
LOG_BURST_RECORDS = 30
LOG_RECORDS_A_S = 2.0
#: The same for all messages of one process together.
LOG_PROCESS_BURST_RECORDS = 1_000
LOG_PROCESS_RECORDS_A_S = 100.0
#: Messages told apart. At the limit the one not seen for longest is forgotten, with its count.
LOG_KEYS_MAX = 1_000
#: Counts of a message that did not come again for this long are told with any other record.
LOG_QUIET_S = 2.0
#: How long the janitor waits for the last process of a system whose launcher was killed. Then the files stay.
JANITOR_S_MAX = 10.0

# -- orders (orders/reconcile.py)

#: Questions about orders that are sent off together. The rest waits for the next turn.
RECONCILE_BATCH_MAX = 20
#: Pauses between two questions about one order grow from the first to the largest.
RECONCILE_FIRST_S = 0.25
RECONCILE_MAX_S = 5.0
#: What the private stream may take to tell of an accepted order, or of a fill, before the venue is asked.
RECONCILE_QUIET_S = 1.0
#: Queries may lag behind the engine by this (Bybit: >= 2 s; Binance reads memory, then the database).
RECONCILE_MARGIN_S = 2.0
#: Not found so many times in a row, past the bound, this long apart: it never got there.
RECONCILE_MISSES_MIN = 2
RECONCILE_AGAIN_S = 0.5

# -- signed requests (net/trading.py)

#: How late a signed request may reach the venue. Short, because an order whose answer is lost stays in doubt for so
#: long; longer than any round trip that one would trade on.
RECV_WINDOW_MS = 2_000
#: Pages of one listing. A venue that gives more gives the same ones again.
LISTING_PAGES_MAX = 1_000

# -- the query side (orders/survey.py, actors/order_state.py)

#: Signed reads of one account that OrderState has asked for and are not answered. The rest waits.
INQUIRIES_IN_AIR_MAX = 4
#: One signed read, its retries and the wait for room in the budget included. At the limit it failed.
PRIVATE_READ_S_MAX = 8.0
#: How long Gateway may take to answer. At the limit the question is put again.
INQUIRY_S_MAX = 30.0
#: Everything is asked for so often: orders, fills, balances; and so often while no private stream tells of them.
SURVEY_EVERY_S = 60.0
SURVEY_BLIND_EVERY_S = 10.0
#: Open orders are listed so often, those of each symbol by themselves while they are of so many at most.
SURVEY_OPEN_EVERY_S = 10.0
SURVEY_SYMBOLS_MAX = 10
#: Balances that moved, and that the private stream does not tell of, are asked for no more often (Binance: weight 20).
BALANCES_EVERY_S = 5.0
#: A question that failed, or found nothing, is asked again after the first pause, which doubles up to the largest.
SURVEY_RETRY_FIRST_S = 0.5
SURVEY_RETRY_MAX_S = 10.0
#: An order that was open and is not found so often in a row is left to the next round.
SURVEY_TRIES_MAX = 5
#: Fills are listed from so long before the newest that is known: they are told in no sure order.
FILLS_MARGIN_S = 60.0
#: Fills are listed for orders that were seen within this, or are open. (Those of older ones are asked by order.)
FILLS_RECENT_S = 180.0
#: Orders of one answer. More were not asked for: the newest are told.
ORDERS_ASKED_MAX = 5_000
#: Questions that wait for an order's state at one time. At the limit another is refused.
ORDERS_PARKED_MAX = 256
#: A question about an order that OrderState has not heard of waits so long for OrderCommand to tell of it.
ORDER_UNHEARD_S = 0.5
#: Requests that Root has under way at each process of an exchange's orders: a place takes as long as the venue does.
ORDERS_UNANSWERED_MAX = 64
#: A login that the venue refused is tried again after the first pause, which doubles up to the largest.
LOGIN_RETRY_FIRST_S = 5.0
LOGIN_RETRY_MAX_S = 60.0

# -- clients' orders (trading_api.py, account_api.py, cli/orders.py)

#: Until when an order may be sent, at most, after it was asked for.
ORDER_TIMEOUT_S_MAX = 60.0
#: After its deadline nothing is sent; an answer may still come for so long.
ORDER_ANSWER_GRACE_S = 1.0
#: A command whose process has just ended is asked for again after this.
ORDER_REPEAT_S = 0.05
#: How often an order is looked at that the venue has only acknowledged.
ORDER_LOOK_S = 0.02
#: What commands answered and the query side has not heard yet is waited for so long; then the question is refused.
ORDER_CATCH_UP_S = 5.0
#: Orders of a Connector of which that is watched; past it the oldest is forgotten, whose news is long there.
ORDERS_RECENT_MAX = 1_000
#: Cancels that one cancel_all has under way.
CANCELS_AT_ONCE_MAX = 8
#: Commands that one batch has under way. At the limit the next line is read when one is answered.
BATCH_COMMANDS_MAX = 16
#: A private session that is connected looks at its clocks so much more seldom than one that is not (`FEED_TICK_S`).
PRIVATE_QUIET_TICKS = 10
#: So much of what somebody gave is quoted in a message; what is longer is no symbol and no name.
GIVEN_SHOWN_CHARS_MAX = 60
