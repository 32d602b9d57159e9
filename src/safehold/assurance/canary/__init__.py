"""Does a model give away what somebody did once? Asked of sequences that were planted to find out."""
