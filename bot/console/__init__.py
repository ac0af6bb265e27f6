"""The terminal as a platform: the same use cases as in chat, with progress bars."""
