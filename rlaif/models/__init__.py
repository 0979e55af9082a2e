"""Models: their configuration, clients, backends, managed vLLM servers, and the reply store."""
