"""python -m tools.config_docs: writes what is documented of options from the table of them.

In: agent.settings.TABLE. Out: the tables of docs/configuration.md, between its two marks, and
deploy/contrail-vrouter-agent.conf. A test says when either is not current.
"""

from __future__ import annotations

from pathlib import Path

from agent.settings import document

ROOT = Path(__file__).parents[1]
PAGE = Path("docs/configuration.md")
SAMPLE = Path("deploy/contrail-vrouter-agent.conf")
BEGIN = "<!-- options: made by python -m tools.config_docs -->\n"
END = "<!-- end of options -->\n"


def texts(root: Path = ROOT) -> dict[Path, str]:
    """What the files should be."""
    before, _, rest = (root / PAGE).read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page = f"{before}{BEGIN}\n{document.markdown()}\n{END}{after}"
    return {PAGE: page, SAMPLE: document.sample()}


def main() -> None:
    """Write them."""
    for path, text in texts().items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
