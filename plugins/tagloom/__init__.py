"""Tagloom, a customer tag warehouse. One module, one idea; see docs/architecture.md for the map."""
