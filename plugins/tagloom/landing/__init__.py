"""Rows of one interval into the raw tables, the bad ones into quarantine, the books kept."""
