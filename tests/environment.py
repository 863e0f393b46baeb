"""What the settings need before pytest-django reads them: loaded by `-p`, ahead of everything else."""

import os

os.environ.setdefault("DEMO", "1")
