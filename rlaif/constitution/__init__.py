"""Rules as data: their schema, files that extend one another, differences, and imports."""
