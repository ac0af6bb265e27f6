"""MusicGen through Meta's own library, which cannot share an environment with the rest; see `environment`."""
