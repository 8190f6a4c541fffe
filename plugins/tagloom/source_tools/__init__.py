"""Help with writing a source declaration: `python -m tagloom source`."""
