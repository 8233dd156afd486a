"""``python -m thespian_connector.simulator``"""

import sys

from .main import main

sys.exit(main())
