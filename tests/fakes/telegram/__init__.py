"""A strict Bot API server in this process, for the unmodified client library. Start with `server.FakeTelegram`."""

import os

# The library's way to its next major version, where durations are timedeltas; without it it warns. As the product does.
os.environ.setdefault("PTB_TIMEDELTA", "true")
