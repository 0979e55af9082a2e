"""The settings of a run: YAML files in, validated configurations out."""
