"""Adapters: what other systems write, read as canonical events."""
