"""What strangers try, from the first word to the last file: it changes nothing but a story's words."""
