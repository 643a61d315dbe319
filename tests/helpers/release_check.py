"""Check what a release would publish: `python release_check.py ROOT [TAG]`, with both archives in ROOT/dist.

`make release-check` does so. A development version must have whole archives and a recipe that renders; a release
must also be what the changelog, the recipe and the tag say it is.
"""

import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

OF_THE_CHECKOUT = {"benchmarks", "conftest.py", "docs", "tests"}
BESIDE_THE_CODE = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "pyproject.toml", "setup.py"}


def problems(root: Path, tag: str = "") -> Iterator[str]:
    """Yield a sentence for everything that is wrong."""
    wheels, sdists = (sorted((root / "dist").glob(f"sparsemlp-*{end}")) for end in (".whl", ".tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        yield f"dist/ holds {len(wheels)} wheels and {len(sdists)} sdists, and should hold one of each"
        return
    version = wheels[0].name.split("-")[1]
    code = {path.relative_to(root).as_posix() for path in (root / "sparsemlp").rglob("*.py")}
    code.add("sparsemlp/py.typed")
    wheel = {name for name in zipfile.ZipFile(wheels[0]).namelist() if ".dist-info/" not in name}
    if wheel != code:
        yield f"the wheel should hold the files of sparsemlp/ alone; these differ: {sorted(wheel ^ code)}"
    with tarfile.open(sdists[0]) as archive:
        sdist = {str(PurePosixPath(*PurePosixPath(file.name).parts[1:])) for file in archive if file.isfile()}
    if missing := (code | BESIDE_THE_CODE) - sdist:
        yield f"the sdist lacks {sorted(missing)}"
    if more := sorted(name for name in sdist if name.split("/")[0] in OF_THE_CHECKOUT):
        yield f"the sdist holds parts of the checkout without the results that they need: {more}"
    if tag and tag != f"v{version}":
        yield f"the tag {tag} is not that of version {version}"
    if tag or re.fullmatch(r"[\d.]+", version):
        changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
        if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE):
            yield f"CHANGELOG.md has no heading '## [{version}] - ' with a date"
        recipe = yaml.safe_load((root / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
        if (named := recipe["context"]["version"]) != version:
            yield f"recipe/recipe.yaml names version {named}, and the archives are of {version}"


def render_recipe(path: Path) -> str:
    """Return the package that rattler-build would make of a recipe."""
    from rattler_build import Stage0Recipe

    (variant,) = Stage0Recipe.from_file(path).render()
    return f"{variant.recipe.package.name} {variant.recipe.package.version}"


if __name__ == "__main__":
    root = Path(sys.argv[1])
    print("recipe:", render_recipe(root / "recipe" / "recipe.yaml"))
    if found := list(problems(root, *sys.argv[2:])):
        sys.exit("\n".join(found))
