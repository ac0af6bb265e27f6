"""The only place with SQL. Imports nothing of ours."""
