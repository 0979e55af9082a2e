"""Constitutions as data: their schema, loading with `extends`, differences, and imports."""
