"""Models of a few thousand weights gain nothing from a second thread, and lose much where others wait for the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
