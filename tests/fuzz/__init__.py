"""Coverage-guided fuzzing of what strangers and typing owners can send: `make fuzz`, or `python -m tests.fuzz`."""
