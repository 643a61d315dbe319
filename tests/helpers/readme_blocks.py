"""Run the Python blocks of a Markdown file one after another: `python readme_blocks.py README.md`.

`make release-check` does so in an environment that has nothing but the wheel, where neither pytest nor sybil is.
"""

import doctest
import re
import sys
from pathlib import Path
from typing import Any

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(page: Path) -> int:
    """Run the blocks in one namespace and return the number of examples whose output is another."""
    namespace: dict[str, Any] = {}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for number, block in enumerate(blocks, 1):
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, namespace, f"block {number}", str(page), 0)
            runner.run(test, clear_globs=False)
            namespace = test.globs
        else:
            exec(compile(block, f"{page}, block {number}", "exec"), namespace)
    print(f"{page.name}: {len(blocks)} blocks, {runner.tries} examples, {runner.failures} failures")
    return runner.failures


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])) > 0)
