"""One module for each thing that can be trained; `python -m engine.training WHAT`."""
