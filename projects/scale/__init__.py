"""How time and memory of judging and rescoring files grow with the data."""
