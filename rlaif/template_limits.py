"""What a template may contain: values, filters, conditions, and loops over given lists.

A template is somebody's file, rendered thousands of times in this process, where nothing can stop a rendering that does
not end. So what could take unbounded time or memory is refused when the file is read: calls (`range`, macros), powers,
products, assignments, filters that repeat or pad texts, recursive loops, and a loop in a loop over anything but a part
of the outer one's variable. What is left is bounded by the size of the texts.
"""

from collections.abc import Iterator

from jinja2 import nodes

LARGEST_FILE = 100_000
"""Characters of a template."""
LARGEST_TEXT = 10_000_000
"""Characters of a rendered text."""
DEEPEST_EXPRESSION = 60
"""Levels of a template's syntax tree; the shipped ones have at most ten."""
FILTERS = frozenset(
    {
        "fence",
        "join",
        "length",
        "count",
        "upper",
        "lower",
        "trim",
        "title",
        "capitalize",
        "first",
        "last",
        "default",
        "d",
        "tojson",
        "list",
        "sort",
        "unique",
        "map",
        "select",
        "selectattr",
        "reject",
        "rejectattr",
        "reverse",
        "string",
        "int",
        "float",
        "round",
        "abs",
        "sum",
        "min",
        "max",
        "safe",
        "e",
        "escape",
        "items",
        "dictsort",
    }
)
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test,
    nodes.If, nodes.For, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat,
    nodes.Add, nodes.Sub, nodes.Neg, nodes.Pos,
)  # fmt: skip


def refusals(template: nodes.Template) -> Iterator[tuple[int, str]]:
    """Yield (line, reason) of what a template must not contain."""
    yield from _refused(template, (), 0)


def _refused(node: nodes.Node, loops: tuple[str, ...], depth: int) -> Iterator[tuple[int, str]]:
    """Yield what is refused in a part of a template inside loops with these variables."""
    if depth > DEEPEST_EXPRESSION:
        yield node.lineno, f"is nested more than {DEEPEST_EXPRESSION} levels deep"
        return
    if reason := _reason(node, loops):
        yield node.lineno, reason
        return
    inside = (*loops, _name(node.target) or "") if isinstance(node, nodes.For) else loops
    for inner in node.iter_child_nodes():
        yield from _refused(inner, inside, depth + 1)


def _reason(node: nodes.Node, loops: tuple[str, ...]) -> str | None:
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"the filter {node.name!r} is not allowed; those that are: {', '.join(sorted(FILTERS))}"
    if isinstance(node, nodes.Filter) and node.name == "map" and node.args:
        return "map is allowed with an attribute only, as in map(attribute='critique')"
    if isinstance(node, nodes.For):
        return _reason_of_loop(node, loops)
    if not isinstance(node, _ALLOWED):
        return f"{_CALLED.get(type(node), f'{type(node).__name__} is')} not allowed in templates"
    return None


def _reason_of_loop(node: nodes.For, loops: tuple[str, ...]) -> str | None:
    """Return why a loop is refused; one inside another must be over a part of the other's variable."""
    over = _name(node.iter)
    if node.recursive:
        return "recursive loops are not allowed"
    if over is None:
        return "a loop must be over a value that is given, such as principles"
    if loops and over not in loops:
        return f"a loop inside a loop must be over a part of the outer one's variable, {loops[-1]}"
    return None


def _name(node: nodes.Node | None) -> str | None:
    """Return the name of the value that an expression is a part or a filtered list of; None for other expressions."""
    if isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Filter):
        return _name(node.node)
    return node.name if isinstance(node, nodes.Name) else None


_CALLED: dict[type[nodes.Node], str] = {
    nodes.Call: "calls are",
    nodes.Macro: "macros are",
    nodes.CallBlock: "call blocks are",
    nodes.Mul: "* is",
    nodes.Pow: "** is",
    nodes.Mod: "% is",
    nodes.Div: "/ is",
    nodes.FloorDiv: "// is",
    nodes.Assign: "set is",
    nodes.AssignBlock: "set is",
    nodes.Include: "include is",
    nodes.Import: "import is",
    nodes.FromImport: "import is",
    nodes.Extends: "extends is",
    nodes.Block: "blocks are",
    nodes.FilterBlock: "filter blocks are",
    nodes.With: "with is",
}
