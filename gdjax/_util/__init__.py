"""What every room uses: errors, memory, signals, how results show themselves."""

import time

IMPORTED = time.time()  # no other module of gdjax was loaded before
