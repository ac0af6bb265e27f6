"""Pixels, letters and labels: what pictures are made of."""
