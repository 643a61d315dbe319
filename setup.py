"""The long description of a release: README.md, whose links work on a package index's page too."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

root = Path(__file__).parent
repository = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
readme = (root / "README.md").read_text(encoding="utf-8")
# ](docs/x.png) and ](CHANGELOG.md), but no address and no #heading
readme = re.sub(r"(?<=\]\()(?![a-z]+:|#)([^)]+\.(?:png|svg))", rf"{repository}/raw/main/\1", readme)
readme = re.sub(r"(?<=\]\()(?![a-z]+:|#)", f"{repository}/blob/main/", readme)
setup(long_description=readme, long_description_content_type="text/markdown")
