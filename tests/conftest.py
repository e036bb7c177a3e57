"""What all tests share: how far random histories are explored."""

import os
import signal

from hypothesis import settings

# No deadlines: how long one example takes says more about the machine than about the code.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("more", parent=settings.get_profile("default"), max_examples=1_000)
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A shell that starts tests in the background has them ignore SIGINT, and so would every program
# that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
