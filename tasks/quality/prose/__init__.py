"""Rules for plain text: Gopher, C4 and FineWeb, over the bytes of an Arrow array."""
