"""What rescoring is worth: the proof behind docs/rescore.md."""
