"""Run the verifier with ``python -m safehold_verify``."""

import sys

from safehold_verify import main

sys.exit(main())
