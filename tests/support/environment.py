"""What the settings need before pytest-django reads them: loaded by `-p`, ahead of everything else."""

import os

os.environ.setdefault("DEMO", "1")
# The cast asks faster than anybody may. The tests of the limit switch it on, live processes that have it say so.
os.environ["RATE_LIMIT"] = "off"
