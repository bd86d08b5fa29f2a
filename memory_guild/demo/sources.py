"""Reading the source files of the standard library: the docstrings, and the public names of what they document.

The files are parsed, never imported. So there are no side effects or deprecation warnings, and no module fails because
the platform lacks something.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_NOT_THE_LIBRARY = frozenset({"encodings", "idlelib", "lib2to3", "pydoc_data", "turtledemo"})
_TESTS = frozenset({"idle_test", "site-packages", "test", "tests"})
_MODULE_ALIASES = {"_collections_abc": "collections.abc", "_pydecimal": "decimal", "posixpath": "os.path"}
# Some versions of Python put them into sys.modules under the other name.
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Documentation:
    """A docstring. ``name`` is the qualified name within the module, empty for the module itself."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Module:
    """What is read from a source file.

    Attributes:
        name: The module's dotted name.
        documentation: The docstrings of the module, of its classes and functions, and of the classes' methods.
        definitions: The names of its classes and functions.
        exported: The names in a literal ``__all__``; empty without one.
        imported: For each ``from module import names``, the module's absolute name and the names.
    """

    name: str
    documentation: list[Documentation]
    definitions: list[str]
    exported: list[str]
    imported: list[tuple[str, list[str]]]


@dataclass(frozen=True, slots=True)
class PublicName:
    """The name under which users find something; ``subject`` begins with ``module``."""

    subject: str
    module: str


def library_modules(top_level_modules: Collection[str] | None = None) -> Iterator[Module]:
    """The modules of the standard library that have a source file, sorted by name; those with an alias come last."""
    root = Path(sysconfig.get_path("stdlib"))
    names = sys.stdlib_module_names - _NOT_THE_LIBRARY
    for name in sorted(names, key=lambda name: (name in _MODULE_ALIASES, name)):
        if top_level_modules is None or name in top_level_modules:
            for path in _source_files(root, name):
                if (module := _read(root, path)) is not None:
                    yield module


def _source_files(root: Path, name: str) -> list[Path]:
    if (root / f"{name}.py").is_file():
        return [root / f"{name}.py"]
    if not (root / name / "__init__.py").is_file():
        return []
    files = (root / name).rglob("*.py")
    return sorted(path for path in files if not _TESTS.intersection(path.relative_to(root).parts))


def _read(root: Path, path: Path) -> Module | None:
    relative = path.relative_to(root).with_suffix("")
    if relative.name == "__main__":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # a file for another version of Python
        return None
    package = list(relative.parts[:-1])
    name = ".".join(package if relative.name == "__init__" else relative.parts)
    statements = list(_flat(tree.body))
    own = [Documentation("", "module", text)] if (text := ast.get_docstring(tree)) else []
    return Module(
        name,
        [*own, *_documented(statements, "", "function")],
        [statement.name for statement in statements if isinstance(statement, _DEFINITIONS)],
        _exported(statements),
        [_imported(package, node) for node in statements if isinstance(node, ast.ImportFrom)],
    )


def _flat(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, and those in the branches of ``if`` and ``try``."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            yield from _flat(statement.body)
            yield from _flat(statement.orelse)
        if isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _flat(handler.body)


def _documented(statements: Iterable[ast.stmt], prefix: str, function_kind: str) -> Iterator[Documentation]:
    for node in statements:
        if not isinstance(node, _DEFINITIONS):
            continue
        kind = "class" if isinstance(node, ast.ClassDef) else function_kind
        if text := ast.get_docstring(node):
            yield Documentation(prefix + node.name, kind, text)
        if isinstance(node, ast.ClassDef):
            yield from _documented(_flat(node.body), f"{prefix}{node.name}.", "method")


def _exported(statements: Iterable[ast.stmt]) -> list[str]:
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List | ast.Tuple):
            target = statement.targets[0]
            if isinstance(target, ast.Name) and target.id == "__all__":
                items = (item.value for item in statement.value.elts if isinstance(item, ast.Constant))
                return [item for item in items if isinstance(item, str)]
    return []


def _imported(package: list[str], node: ast.ImportFrom) -> tuple[str, list[str]]:
    base = package[: len(package) - node.level + 1] if node.level else []
    names = [alias.name for alias in node.names if alias.asname in (None, alias.name)]
    return ".".join([*base, *([node.module] if node.module else [])]), names


@dataclass(frozen=True, slots=True)
class PublicNames:
    """Which public name each definition has.

    Attributes:
        reexports: For a definition (``asyncio.queues.Queue``) the modules that offer it (``asyncio``), best first.
    """

    reexports: dict[str, list[str]]

    def public(self, module: str, name: str) -> PublicName | None:
        """The public name of ``name`` (empty for the module itself); None for something private."""
        top, _, rest = name.partition(".")
        home = _MODULE_ALIASES.get(module, module)
        if top and (offering := self.reexports.get(f"{module}.{top}")):
            home = offering[0]
        subject = ".".join(part for part in (home, top, rest) if part)
        return None if any(map(_is_private, subject.split("."))) else PublicName(subject, home)


def public_names(modules: Iterable[Module]) -> PublicNames:
    """Follow the ``from … import`` statements by which a package, or a public face, offers what others define."""
    by_name = {module.name: module for module in modules}
    reexports: dict[str, list[str]] = defaultdict(list)
    for module in by_name.values():
        for source_name, imported in module.imported:
            source = by_name.get(source_name)
            if source is not None and _is_face_of(module.name, source_name):
                for name in _offered(module, source, imported):
                    reexports[f"{source_name}.{name}"].append(module.name)
    for offering in reexports.values():
        offering.sort(key=lambda name: (name.count("."), len(name), name))
    return PublicNames(reexports)


def _is_face_of(module: str, source: str) -> bool:
    """Whether a module may be the one to import from: the package of the source, or public where that is private."""
    is_public = not any(map(_is_private, module.split(".")))
    return is_public and (source.startswith(f"{module}.") or _is_private(source.rpartition(".")[2]))


def _offered(module: Module, source: Module, imported: list[str]) -> list[str]:
    if imported == ["*"]:
        return source.exported or [name for name in source.definitions if not name.startswith("_")]
    return [name for name in imported if not module.exported or name in module.exported]


def _is_private(part: str) -> bool:
    return part.startswith("_") and not (part.startswith("__") and part.endswith("__"))
