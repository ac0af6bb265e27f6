"""Gets sound in and out: fetch links, decode what people send, encode what we made."""
