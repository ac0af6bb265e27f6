"""Speed and quality, measured: `python -m benchmarks [NAME …]` prints one table for each."""
