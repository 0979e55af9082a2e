"""One kind of model call per file, named like its template."""
