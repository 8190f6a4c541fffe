"""Files of any kind in, rows of text out."""
