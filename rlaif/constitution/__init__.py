"""Rules as data: their schema, files that extend one another, differences, imports, and a linter."""
