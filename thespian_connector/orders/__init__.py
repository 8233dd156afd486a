"""Orders as pure code: checks, the state of an order from what is known of it, positions, what to ask when it is not.

No socket, no clock, no thread: times come in as arguments, and what is known comes as the records of `events`.
"""
