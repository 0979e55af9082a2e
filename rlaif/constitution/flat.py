"""A constitution as one YAML file without `extends`: what another program or another repository can take as it is."""

import yaml

from rlaif.constitution.load import ConstitutionFile
from rlaif.constitution.schema import Constitution
from rlaif.yaml_file import parse_yaml


def flat_yaml(constitution: Constitution, remark: str = "") -> str:
    """Return YAML text that loads as this very constitution, headed by a remark of one or more lines."""
    content = constitution.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {line}\n" for line in remark.splitlines()) + text


def from_flat(text: str, name: str) -> Constitution:
    """Read such text back; `name` stands for the file in messages. Raises ConfigError with file and line."""
    file = parse_yaml(text, ConstitutionFile, name=name)
    fields = {field: getattr(file, field) for field in Constitution.model_fields}
    return Constitution(**fields)
