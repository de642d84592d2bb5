"""``make demo``: the main job twice, domain data only and mixed, side by side."""

import sys

from flows.demo.driver import main

sys.exit(main())
