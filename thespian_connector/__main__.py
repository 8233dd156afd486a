"""``python -m thespian_connector`` is the command line."""

import sys

from thespian_connector.cli.main import main

sys.exit(main())
