"""A strict Discord on loopback: REST, gateway and CDN, for the unmodified client library.

Written from Discord's API documentation and the typed payloads of discord.py, not from what the bot happens to send. An
unknown route or field is a violation, and every refusal that a test did not expect fails it.
"""
