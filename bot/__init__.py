"""Talks to people: the chat platforms, the terminal and the command line. Knows no torch and no SQL."""
