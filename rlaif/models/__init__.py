"""Talking to a model: client, managed vLLM server, simulated server."""
