"""Measures and reports; nothing in here steers what is made."""
