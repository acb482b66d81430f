"""Short names for what is private, in what goes to the device: it keeps every name that it has loaded for good, and at 1,270 of
them takes 9.6 KB more of the heap at once.

Private attributes and arguments are `_0`, `_1`, … and a module's other private names `g0`, `g1`, …, which all modules share;
arguments that anybody gives by name stay. A private function is `f0`, `f1`, … as it stands in its module: a traceback shows that,
without line numbers, and `readable` turns it back. Constants that are assigned several at a time are assigned one by one, so that
none is kept.
"""

import ast
import contextlib
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import count
from pathlib import Path

from host_tools.paths import BUILD, FIRMWARE

STORE = BUILD / "names"
_KEPT = 16  # results: the firmware's and the board's, of some checkouts


def shortened(sources: Mapping[Path, str], callers: Iterable[Path] = ()) -> dict[Path, str]:
    """The same modules, by path, with the names renamed that only they, or who inherits from them, know. `callers` are others
    that give arguments by name. It takes two seconds for the firmware, so the last results are kept in STORE."""
    others = [path.read_text(encoding="utf-8") for path in callers]
    told = [sys.version, Path(__file__).read_text(encoding="utf-8"), [*map(str, sources)], [*sources.values()], others]
    kept = STORE / f"{hashlib.sha256(json.dumps(told).encode()).hexdigest()}.json"
    try:
        texts = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        texts = list(_shortened(sources, others).values())
        _keep(kept, json.dumps(texts))
    return dict(zip(sources, texts, strict=True))


def _keep(path: Path, content: str) -> None:
    """Puts it there whole, and lets the oldest go."""
    STORE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STORE) as folder:
        fresh = Path(folder) / "fresh"
        fresh.write_text(content, encoding="utf-8")
        fresh.replace(path)
    with contextlib.suppress(FileNotFoundError):  # another process has been as quick
        for old in sorted(STORE.glob("*.json"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
            old.unlink()


def _shortened(sources: Mapping[Path, str], others: Sequence[str]) -> dict[Path, str]:
    trees = {path: ast.parse(text) for path, text in sources.items()}
    calling = [*trees.values(), *map(ast.parse, others)]
    kept = {node.arg for tree in calling for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    names: dict[Path, dict[str, str]] = {}
    for family in _families(trees):
        short = (f"_{n}" for n in count())
        functions = _functions([trees[path] for path in sorted(family)])
        attributes = sorted({name for path in family for name in _set(trees[path])} - functions.keys())
        names |= dict.fromkeys(family, functions | dict(zip(attributes, short, strict=False)))
    return {path: ast.unparse(_Renaming(names[path], _globals(tree), kept).visit(tree)) for path, tree in trees.items()}


_FRAME = re.compile(r'File "([\w.]+)"(?:, line \d+)?, in (f\d+)\b')


def of_firmware(traceback: str) -> str:
    """A device's traceback as `readable` has it by this firmware's source, which should be what the device runs."""
    sources = {path: path.read_text(encoding="utf-8") for path in FIRMWARE.rglob("*.py")}
    return readable(traceback, sources, FIRMWARE)


def readable(traceback: str, sources: Mapping[Path, str], root: Path) -> str:
    """A device's traceback with its private functions by their names and lines in these modules below `root`, from which its
    firmware was compiled; what is not theirs stays as it is."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    modules = {".".join(path.relative_to(root).with_suffix("").parts): path for path in trees}

    def named(match: re.Match[str]) -> str:
        path = modules.get(match[1])
        family = next((sorted(family) for family in _families(trees) if path in family), [])
        for name, short in _functions([trees[member] for member in family]).items():
            if short == match[2] and path is not None and (lines := _lines(trees[path], name)):
                return f'File "{path.relative_to(root)}", line {lines[0]}, in {name}'
        return match[0]

    return _FRAME.sub(named, traceback)


def _lines(tree: ast.AST, function: str) -> list[int]:
    """Where functions of that name begin."""
    defined = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.lineno for node in defined if node.name == function]


START_ONLY = "START_ONLY"  # of a class: names of its functions, as text
_INHERITED = {"_send_str", "_recv_len"}  # of umqtt.simple


class _Renaming(ast.NodeTransformer):
    def __init__(self, private: Mapping[str, str], own: Mapping[str, str], kept: Set[str]) -> None:
        self._private = private
        self._globals = own
        self._kept = kept | {"self"}
        self._arguments: dict[str, str] = {}  # of the functions around

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = self._private.get(node.attr, node.attr)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._arguments.get(node.id) or self._globals.get(node.id) or self._private.get(node.id, node.id)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.name = self._globals.get(node.name, node.name)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        if _are_constants(node):
            targets, values = node.targets[0].elts, node.value.elts  # type: ignore[attr-defined]
            return [ast.Assign([target], value, lineno=node.lineno) for target, value in zip(targets, values, strict=True)]
        if ast.unparse(node.targets[0]) == START_ONLY:
            for name in ast.walk(node.value):
                if isinstance(name, ast.Constant):
                    name.value = self._private.get(str(name.value), name.value)
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self._globals.get(name, name) for name in node.names]
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [self._arguments.get(name, name) for name in node.names]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> ast.AST:
        """Its defaults belong to what is around it, as does all that stands outside its arguments and its body."""
        node.args.defaults = [self.visit(default) for default in node.args.defaults]
        node.args.kw_defaults = [default and self.visit(default) for default in node.args.kw_defaults]
        around, own = self._arguments, [argument for argument in node.args.args if argument.arg not in self._kept]
        by_name = {argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]}
        self._arguments = {name: short for name, short in around.items() if name not in by_name}
        self._arguments |= {argument.arg: f"_{n}" for n, argument in enumerate(own, len(around))}
        for argument in own:
            argument.arg = self._arguments[argument.arg]
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.name = self._private.get(node.name, node.name)
            node.body = [self.visit(statement) for statement in node.body]
        self._arguments = around
        return node


def _are_constants(node: ast.Assign) -> bool:
    """Whether it is `_A, _B = const(1), const(2)`: MicroPython keeps these as names and looks them up, but not each by itself."""
    pairs = isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)
    return pairs and all(ast.unparse(value).startswith("const(") for value in node.value.elts)  # type: ignore[attr-defined]


def _functions(trees: Sequence[ast.AST]) -> dict[str, str]:
    """The private functions and methods of a family, numbered."""
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    own = dict.fromkeys(node.name for node in functions if _is_private(node.name) and node.name not in _INHERITED)
    return {name: f"f{n}" for n, name in enumerate(own)}


def _globals(tree: ast.Module) -> dict[str, str]:
    """The private names of a module but for its functions, and for constants, which are not kept as names."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and "const(" not in ast.unparse(node.value):
            found += [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        elif isinstance(node, ast.ClassDef):
            found.append(node.name)
    return {name: f"g{n}" for n, name in enumerate(sorted({name for name in found if _is_private(name)}))}


def _set(tree: ast.AST) -> Iterator[str]:
    """The private attributes that a module sets on `self`."""
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Attribute)):
        is_set = isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
        if is_set and _is_private(node.attr) and node.attr not in _INHERITED:
            yield node.attr


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _families(trees: Mapping[Path, ast.Module]) -> list[set[Path]]:
    """Modules whose classes inherit from each other's."""
    by_class = {node.name: path for path, tree in trees.items() for node in tree.body if isinstance(node, ast.ClassDef)}
    family = {path: {path} for path in trees}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                other = by_class.get(ast.unparse(base), path)
                joined = family[path] | family[other]
                family |= dict.fromkeys(joined, joined)
    return list({id(members): members for members in family.values()}.values())
