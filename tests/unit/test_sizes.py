"""What fits on a few screens can be read: modules under 400 lines, functions under 60."""

from __future__ import annotations

import ast
from pathlib import Path

import thespian_connector

MODULE_LINES, FUNCTION_LINES = 400, 60


def test_modules_and_functions_stay_small() -> None:
    long = []
    for file in sorted(Path(thespian_connector.__file__).parent.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if (lines := text.count("\n")) >= MODULE_LINES:
            long.append(f"{file.name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if (lines := node.end_lineno - node.lineno + 1) >= FUNCTION_LINES:
                    long.append(f"{file.name}:{node.lineno} {node.name}: {lines} lines")
    assert not long
