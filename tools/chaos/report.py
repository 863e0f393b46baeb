"""The report of a run, which reads as plain text and as Markdown."""

from dataclasses import dataclass, field

SHOWN, SHOWN_CHARACTERS = 20, 1500


@dataclass
class Report:
    """One part's facts in order, and what was wrong."""

    title: str
    wrong: list[str]
    facts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, fact: str) -> None:
        self.facts.append((name, fact))

    def text(self) -> str:
        lines = [f"## {self.title}", "", *(f"- {name}: {fact}" for name, fact in self.facts), ""]
        if not self.wrong:
            return "\n".join([*lines, "Nothing was wrong.", ""])
        lines += [
            f"{len(self.wrong)} things were wrong:",
            "",
            *(f"- {what[:SHOWN_CHARACTERS]}" for what in self.wrong[:SHOWN]),
        ]
        return "\n".join([*lines, *(["- ..."] if len(self.wrong) > SHOWN else []), ""])
