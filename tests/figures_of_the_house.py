"""Measures the shape of batcher's code: how long functions are, how dense lines are, how much is
said in words, and how modules hang together.

`python tests/figures_of_the_house.py`; another package's folder may be given. A table to compare
one day with another; it decides nothing.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "batcher"
LONGEST_LINE: Final = 100
WITHOUT_MEANING: Final = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
VENDORS_ROOMS: Final = ("reducto", "service")
VENDORS_WORDS: Final = re.compile(r"reducto://|jobid://|svix|queue_priority|/parse_async|/jobs?\b")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    source: str
    tree: ast.Module
    tokens: list[tokenize.TokenInfo]

    @property
    def meaningful(self) -> list[tokenize.TokenInfo]:
        """The tokens of code: no comments, no docstrings, no line ends."""
        words = docstring_lines(self.tree)
        return [
            token
            for token in one_token_per_string(self.tokens)
            if token.type not in WITHOUT_MEANING
            and not (token.type == tokenize.STRING and token.start[0] in words)
        ]

    @property
    def comments(self) -> int:
        return sum(token.type == tokenize.COMMENT for token in self.tokens)


def one_token_per_string(tokens: Iterable[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """From Python 3.12 on an f-string is many tokens; here it is one, as it was before."""
    begin = getattr(tokenize, "FSTRING_START", None)
    end = getattr(tokenize, "FSTRING_END", None)
    opened: list[tokenize.TokenInfo] = []
    for token in tokens:
        if token.type == begin:
            opened.append(token)
        elif token.type == end:
            first = opened.pop()
            if not opened:
                yield first._replace(type=tokenize.STRING, end=token.end)
        elif not opened:
            yield token


def modules(package: Path) -> list[Module]:
    return [
        Module(
            module_name(path, package),
            source,
            ast.parse(source),
            list(tokenize.generate_tokens(io.StringIO(source).readline)),
        )
        for path in sorted(package.rglob("*.py"))
        for source in [path.read_text()]
    ]


def module_name(path: Path, package: Path) -> str:
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if not isinstance(node, Documented) or not node.body:
            continue
        first = node.body[0]
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            yield first.value


def docstring_lines(tree: ast.AST) -> set[int]:
    lines = set[int]()
    for node in docstrings(tree):
        lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def code_lines(module: Module) -> set[int]:
    """Numbers of the lines that hold code; a string of several lines counts with all of them."""
    lines = set[int]()
    for token in module.meaningful:
        lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def lines_of(function: Function) -> range:
    """From the first decorator, or `def`, to the last line of the body."""
    first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
    return range(first, (function.end_lineno or first) + 1)


def code_lines_of_functions(module: Module) -> Iterator[int]:
    with_code = code_lines(module)
    for function in functions(module.tree):
        yield sum(line in with_code for line in lines_of(function))


def tokens_of_functions(module: Module) -> Iterator[int]:
    starts = [token.start[0] for token in module.meaningful]
    for function in functions(module.tree):
        lines = lines_of(function)
        yield sum(line in lines for line in starts)


def hides_arguments(node: ast.AST) -> bool:
    """Whether it is a call with `*(a, b, …)`: a tuple or list that is written out and unpacked."""
    return isinstance(node, ast.Call) and any(
        isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Tuple | ast.List)
        for argument in node.args
    )


def assigns_in_parallel(node: ast.AST) -> bool:
    """Whether it is `a, b = x, y`, with a value written out for each target."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and any(isinstance(target, ast.Tuple) for target in node.targets)
    )


def widest_constructor(trees: Iterable[Module]) -> tuple[int, str]:
    """The most arguments that an `__init__` takes besides `self`."""
    found = [(0, "none")]
    for module in trees:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for method in node.body:
                if isinstance(method, Function) and method.name == "__init__":
                    arguments = method.args
                    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                    found.append((len(every) - 1, f"{module.name}.{node.name}"))
    return max(found)


def largest_class(trees: Iterable[Module]) -> tuple[int, str]:
    """The most methods and properties that one class defines itself."""
    found = [(0, "none")]
    for module in trees:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                number = sum(isinstance(one, Function) for one in node.body)
                found.append((number, f"{module.name}.{node.name}"))
    return max(found)


def uses_the_vendors_room(module: Module) -> bool:
    """Whether a module outside `reducto` and the service takes its names from `reducto`."""
    return is_outside(module) and any(
        isinstance(node, ast.ImportFrom) and ".reducto" in (node.module or "")
        for node in ast.walk(module.tree)
    )


def says_the_vendors_words(module: Module) -> bool:
    """Whether a module outside `reducto` and the service says the API's words itself."""
    strings = (token.string for token in module.meaningful if token.type == tokenize.STRING)
    return is_outside(module) and any(map(VENDORS_WORDS.search, strings))


def is_outside(module: Module) -> bool:
    room = module.name.split(".")[1:2]
    return not room or room[0] not in VENDORS_ROOMS


def imports(module: Module, known: set[str]) -> set[str]:
    """The modules of the package that are imported as this one is loaded."""
    found = set[str]()
    for node in imported_at_once(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return (found & known) - {module.name}


def imported_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """Everything but the bodies of functions, and of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from imported_at_once(child)


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, by any way round (Tarjan)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        numbers[name] = lowest[name] = len(numbers)
        stack.append(name)
        for other in graph[name]:
            if other not in numbers:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], numbers[other])
        if lowest[name] == numbers[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for name in graph:
        if name not in numbers:
            visit(name)
    return groups


def spread(values: Iterable[int]) -> str:
    """Mean, median and the value that nine in ten don't exceed."""
    ordered = sorted(values)
    if not ordered:
        return "none"
    tenth = ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
    return f"{mean(ordered):.1f} / {median(ordered):g} / {tenth}"


def figures(package: Path) -> Iterator[tuple[str, str]]:
    all_modules = modules(package)
    nodes = [node for module in all_modules for node in ast.walk(module.tree)]
    lines = [line for module in all_modules for line in module.source.splitlines()]
    with_code = sum(len(code_lines(module)) for module in all_modules)
    tokens = sum(len(module.meaningful) for module in all_modules)
    long = sum(len(line) > LONGEST_LINE for line in lines)
    comments = sum(module.comments for module in all_modules)
    documented = sum(len(docstring_lines(module.tree)) for module in all_modules)
    filled = sum(bool(line.strip()) for line in lines)
    known = {module.name for module in all_modules}
    graph = {module.name: imports(module, known) for module in all_modules}
    methods, widest_class = largest_class(all_modules)
    arguments, widest = widest_constructor(all_modules)

    yield "modules", str(len(all_modules))
    yield "code lines", str(with_code)
    yield "tokens per code line", f"{tokens / with_code:.1f}"
    yield (
        "tokens per function: mean / median / p90",
        spread(number for module in all_modules for number in tokens_of_functions(module)),
    )
    yield (
        "code lines per function: mean / median / p90",
        spread(number for module in all_modules for number in code_lines_of_functions(module)),
    )
    yield f"lines over {LONGEST_LINE} columns", f"{long} ({long / filled:.1%})"
    yield "calls with `*(a, b, …)`", str(sum(map(hides_arguments, nodes)))
    yield "parallel assignments", str(sum(map(assigns_in_parallel, nodes)))
    yield "lines with a comment", f"{comments / filled:.1%}"
    yield "docstring lines", f"{documented / filled:.1%}"
    yield "largest class, methods", f"{methods} ({widest_class})"
    yield "widest constructor, arguments", f"{arguments} ({widest})"
    users = sum(map(uses_the_vendors_room, all_modules))
    yield "modules that use `reducto`, besides it and the service", str(users)
    yield "… and say the API's words themselves", str(sum(map(says_the_vendors_words, all_modules)))
    yield "import cycles", str(len(cycles(graph)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("package", nargs="?", type=Path, default=PACKAGE)
    package = parser.parse_args().package.resolve()
    if not package.is_dir():
        sys.exit(f"{package} is no folder")
    print(f"| | {package.name} |")
    print("|---|---|")
    for name, value in figures(package):
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
