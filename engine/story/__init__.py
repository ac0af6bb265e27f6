"""Beats in, story out: the storyteller backends and what they share."""
