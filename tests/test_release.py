"""What a release needs agrees with itself: archives, changelog, conda recipe, pre-commit's checks, workflows."""

import itertools
import re
import shlex
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from helpers import release_check

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
SDIST_ONLY = sorted(release_check.BESIDE_THE_CODE)
CODE = ["sparsemlp/__init__.py", "sparsemlp/theory/__init__.py", "sparsemlp/py.typed"]


def write_archives(root, version, wheel=CODE, sdist=(*CODE, *SDIST_ONLY), heading="2026-12-01"):
    for name in (*CODE, *SDIST_ONLY):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    (root / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{version}] - {heading}\n")
    (root / "recipe").mkdir()
    (root / "recipe" / "recipe.yaml").write_text('context:\n  version: "1.2.0"\n')
    (root / "dist").mkdir()
    with zipfile.ZipFile(root / "dist" / f"sparsemlp-{version}-py3-none-any.whl", "w") as archive:
        for name in (*wheel, f"sparsemlp-{version}.dist-info/METADATA"):
            archive.writestr(name, "")
    with tarfile.open(root / "dist" / f"sparsemlp-{version}.tar.gz", "w:gz") as archive:
        for name in sdist:
            archive.add(root / "sparsemlp" / "py.typed", f"sparsemlp-{version}/{name}")


@pytest.mark.parametrize(
    ("options", "tag", "expected"),
    [
        ({"version": "1.2.0"}, "v1.2.0", []),
        ({"version": "1.2.0"}, "", []),
        ({"version": "1.2.1.dev3+g0123abc"}, "", []),
        ({"version": "1.2.0"}, "v1.3.0", ["the tag v1.3.0 is not that of version 1.2.0"]),
        ({"version": "1.2.0", "heading": "unreleased"}, "", ["CHANGELOG.md has no heading '## [1.2.0] - '"]),
        ({"version": "1.3.0"}, "", ["recipe/recipe.yaml names version 1.2.0, and the archives are of 1.3.0"]),
        ({"version": "1.2.0", "wheel": CODE[:2]}, "", ["alone; these differ: ['sparsemlp/py.typed']"]),
        ({"version": "1.2.0", "wheel": [*CODE, "tests/a.py"]}, "", ["these differ: ['tests/a.py']"]),
        ({"version": "1.2.0", "sdist": [*CODE, *SDIST_ONLY[1:]]}, "", ["the sdist lacks ['CHANGELOG.md']"]),
        ({"version": "1.2.0", "sdist": [*CODE, *SDIST_ONLY, "conftest.py"]}, "", ["['conftest.py']"]),
    ],
)
def test_whatever_is_wrong_with_the_archives_is_named(tmp_path, options, tag, expected):
    write_archives(tmp_path, **options)
    found = list(release_check.problems(tmp_path, tag))
    assert len(found) == len(expected)
    for sentence, part in zip(found, expected, strict=True):
        assert part in sentence


def test_an_archive_of_a_former_build_is_a_problem(tmp_path):
    write_archives(tmp_path, "1.2.0")
    (tmp_path / "dist" / "sparsemlp-1.1.0.tar.gz").write_bytes(b"")
    assert list(release_check.problems(tmp_path)) == [
        "dist/ holds 1 wheels and 2 sdists, and should hold one of each"
    ]


def test_the_conda_recipe_needs_what_the_wheel_needs():
    named_otherwise = {"torch": "pytorch"}
    pairs = [re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in PROJECT["project"]["dependencies"]]
    needed = {named_otherwise.get(name, name): bound for name, bound in pairs}
    python = PROJECT["project"]["requires-python"].removeprefix(">=")
    run = dict(line.split(" ", 1) for line in RECIPE["requirements"]["run"])
    assert run == {"python": ">=${{ python_min }}"} | needed
    assert RECIPE["context"]["python_min"] == python
    host = [line.replace(" ", "") for line in RECIPE["requirements"]["host"]]
    assert set(PROJECT["build-system"]["requires"]) <= set(host)
    about = RECIPE["about"]
    assert about["summary"] == PROJECT["project"]["description"]
    assert about["license"] == PROJECT["project"]["license"]
    assert about["repository"] == PROJECT["project"]["urls"]["Repository"]


def test_the_conda_recipe_renders():
    pytest.importorskip("rattler_build", reason="the extra release has it; make release-check renders the recipe")
    rendered = release_check.render_recipe(ROOT / "recipe" / "recipe.yaml")
    assert rendered == f"sparsemlp {RECIPE['context']['version']}"


def test_pre_commit_runs_the_checks_of_make_lint_from_the_environment_of_constraints_txt():
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    commands = [shlex.split(line.replace("$(BIN)", ".venv/bin")) for line in lint[1].splitlines()]
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [shlex.split(hook["entry"]) for hook in hooks] == commands
    assert {hook["language"] for hook in hooks} == {"system"}, "another language would install versions of its own"


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_workflows_run_targets_of_the_makefile_and_nothing_else(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
        for step in (step for step in job["steps"] if "run" in step):
            for choice in matrix:
                command = step["run"].replace("${{ matrix.target }}", choice.get("target", ""))
                make, *words = shlex.split(command)
                assert make == "make"
                assert {word for word in words if "=" not in word} <= targets


def test_every_pin_satisfies_its_lower_bound_in_the_project():
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    groups = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"]]
    groups += PROJECT["project"]["optional-dependencies"].values()
    for line in itertools.chain(*groups):
        name, _, bound = line.lower().replace("_", "-").partition(">=")
        pinned, least = ([int(part) for part in re.findall(r"\d+", text)] for text in (pins[name], bound))
        assert pinned >= least, line
