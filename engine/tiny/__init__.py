"""Models of a few hundred kilobytes that take the place of great ones in tests and in `tunetale doctor --deep`."""
