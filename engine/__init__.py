"""Does the work: queue, worker processes, models. Knows no Discord, no Telegram and no SQL."""
