"""What a person runs: flows, and the command line over them."""
