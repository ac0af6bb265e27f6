"""Beats in, music out: describers, composers, synthesis."""
