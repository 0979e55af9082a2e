"""A simulated server and planted worlds, for testing rule sets without a model."""
