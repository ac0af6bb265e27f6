"""The shared emotion space: valence and arousal of music and of text, on one plane."""
