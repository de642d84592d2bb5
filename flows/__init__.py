"""What a person runs: flows, and the command line over them."""

import os

# A run without a server starts a temporary one, which takes longer than Prefect's 20 seconds on
# a busy machine or in a new PREFECT_HOME. Prefect reads this when it is first imported.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
# Threads of the math library that wait for each other by spinning slow everything down several
# times as soon as a second process wants the same cores; never spinning costs a wake-up for each
# of thousands of small operations. A short spin is the middle.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
