"""The program, of the console script and of ``python -m thespian_connector``.

Imports nothing before it minds Ctrl-C: the command line's own imports take long enough to be interrupted.
"""

import sys

_EXIT_INTERRUPTED = 130


def main() -> int:
    """Runs the command line; returns its exit code."""
    try:
        from thespian_connector.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
