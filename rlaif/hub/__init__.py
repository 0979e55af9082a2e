"""Publish a run's dataset or a trained model on the Hugging Face Hub: what goes, and the hub's client."""
