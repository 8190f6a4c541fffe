"""Audiences: rule trees over customer tags and events, who belongs to them, and where they are sent. No web here."""
