"""Finished runs as one HTML file each, to be read without this program, without a network, by anyone."""
