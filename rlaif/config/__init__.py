"""What a person sets: run files, models, judges; YAML in, checked settings out."""
