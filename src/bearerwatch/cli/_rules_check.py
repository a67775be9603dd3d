"""Testing rule files: which there are, what became of each, and that as lines or as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bearerwatch.cli._output import console
from bearerwatch.errors import ConfigurationError, RuleError

__all__ = ["as_junit", "files_of", "show_test", "tested"]


def tested(path: Path) -> dict[str, Any]:
    """What became of the rule in that file on the test events beside it."""
    from bearerwatch.detect.ruletest import run_rule_tests  # noqa: PLC0415
    from bearerwatch.detect.sigma import read_rule  # noqa: PLC0415

    result: dict[str, Any] = {"rule": path.stem, "path": str(path), "passed": False, "tests": [], "problem": ""}
    try:
        results = run_rule_tests(read_rule(path))
    except RuleError as error:
        return result | {"problem": str(error)}
    result["tests"] = [
        {"test": one.test, "hit": one.hit, "passed": one.passed, "problem": one.problem} for one in results
    ]
    return result | {"passed": all(one.passed for one in results)}


def show_test(result: dict[str, Any]) -> None:
    """One rule's result, for people."""
    from rich.text import Text  # noqa: PLC0415

    from bearerwatch.alert.escape import printable  # noqa: PLC0415
    from bearerwatch.alert.notice import counted  # noqa: PLC0415

    screen = console()
    tests = result["tests"]
    hits = sum(one["hit"] for one in tests)
    passed = result["passed"]
    text = Text()
    text.append("✓ " if passed else "✗ ", style="green" if passed else "bold red")
    text.append(printable(result["rule"]), style="bold")
    if tests:
        misses = len(tests) - hits
        said = f"{counted(hits, 'hit')}, {counted(misses, 'near miss', 'near misses')}"
        text.append(f"  {said}", style="dim")
    screen.print(text)
    for problem in [result["problem"], *(one["problem"] for one in tests)]:
        for line in problem.splitlines():
            screen.print(Text(f"    {printable(line, 1000)}", style="red"))


def files_of(paths: list[Path]) -> list[Path]:
    """The rule files that *paths* name: files, their test files, or folders.

    Raises:
        ConfigurationError: there is none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = [one for one in sorted(path.glob("*.yml")) if not one.name.startswith(".")]
            files = [one for one in inside if not one.name.endswith(".test.yml")]
            if not files:
                raise ConfigurationError(f"there is no rule in {path}: rules are files that end in .yml")
            found.update(dict.fromkeys(files))
        elif path.name.endswith(".test.yml"):
            found[path.with_name(path.name.removesuffix(".test.yml") + ".yml")] = None
        elif path.exists():
            found[path] = None
        else:
            raise ConfigurationError(f"there is no file or folder {path}")
    return list(found)


def as_junit(results: Sequence[dict[str, Any]]) -> str:
    """Results as JUnit XML, a suite for each rule; a rule that cannot be read or has no tests is an error."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - nothing is parsed

    from bearerwatch.alert.escape import printable  # noqa: PLC0415

    root = ET.Element("testsuites", name="bearerwatch rules")
    for result in results:
        rule, tests = printable(result["rule"]), result["tests"]
        failures, errors = sum(not one["passed"] for one in tests), int(bool(result["problem"]))
        suite = ET.SubElement(root, "testsuite", name=rule, tests=str(len(tests) + errors))
        suite.set("failures", str(failures))
        suite.set("errors", str(errors))
        for one in tests:
            case = ET.SubElement(suite, "testcase", classname=rule, name=printable(one["test"]))
            if not one["passed"]:
                ET.SubElement(case, "failure", message=printable(one["problem"], 2000))
        if errors:
            case = ET.SubElement(suite, "testcase", classname=rule, name="the rule can be read and has tests")
            ET.SubElement(case, "error", message=printable(result["problem"], 2000))
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
