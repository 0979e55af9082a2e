"""Estimates with intervals; nothing here knows of language models."""
