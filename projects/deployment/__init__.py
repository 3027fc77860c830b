"""Studies of export, of the runtime and of test-time augmentation; not installed."""
