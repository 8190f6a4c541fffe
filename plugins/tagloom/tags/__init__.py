"""Customer tags: what the twins declare, and what is written and kept because of it."""
