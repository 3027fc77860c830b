"""The command `msrcnn`: one module for each sub-command, imported when that is called."""
