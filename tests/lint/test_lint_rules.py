"""Every code has files with its fault and files without; a code that lacks either fails the suite."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from rlaif.constitution.load import resolve_constitution
from rlaif.lint.codes import MEASURED, RULES, codes
from rlaif.lint.findings import Finding, lint
from rlaif.lint.subject import PromptTags
from rlaif.shipped import constitution_names

TAGS = PromptTags("my.jsonl", 3, frozenset({"medicine", "law"}), given=True)
SEED = PromptTags("the seed prompts", 3, TAGS.tags, given=False)


def asking(*questions: str, **keys: object) -> str:
    """Return the text of a constitution that puts these questions to the judge."""
    principles = [{"id": f"p{n}", "compare": q, "compare_only": True, **keys} for n, q in enumerate(questions, 1)]
    return written(principles)


def revising(revise: str, **keys: object) -> str:
    return written(
        [{"id": "p1", "critique": "Quote what scolds the user.", "revise": revise, "compare": CLEAN, **keys}]
    )


def written(principles: list[dict[str, object]], **top: object) -> str:
    return yaml.safe_dump({"name": "t", "version": 1, "description": "d", **top, "principles": principles})


def cases(*pairs: tuple[int, int]) -> list[dict[str, str]]:
    """Return cases whose better and worse answers have so many words."""
    return [{"prompt": "p", "better": "yes " * better, "worse": "no, " * worse} for better, worse in pairs]


CLEAN = "Which answer names more of the risks that the task really has?"
OTHER = "Which answer reaches the thing the user asked for sooner?"
GENTLY = "Say it as you would to a friend who asks about the same risk for himself, and name the risk in plain words."
THIRD = "Which answer quotes the law that it speaks of?"


@dataclass(frozen=True)
class Files:
    faulty: list[str]
    sound: list[str]


def weighted(*weights: float, priorities: tuple[int, ...] = (1, 1, 1)) -> str:
    texts = (CLEAN, OTHER, THIRD)
    return written(
        [
            {"id": f"p{n}", "compare": text, "compare_only": True, "weight": weight, "priority": priority}
            for n, (text, weight, priority) in enumerate(zip(texts, weights, priorities, strict=False), 1)
        ]
    )


def brief(better: str, worse: str, **principle: object) -> str:
    case = {"prompt": "Hi?", "better": better, "worse": worse}
    return written([{"id": "p1", "check": {"words": {"max": 4}}, "cases": [case]} | principle])


FILES = {
    "C001": Files([asking(CLEAN, ignore=["C999"])], [asking("Which answer is better?", ignore=["C103"])]),
    "C002": Files(
        [
            asking(CLEAN, ignore=["C103"]),
            written([{"id": "p1", "compare": CLEAN, "compare_only": True}], ignore=["C101"]),
        ],
        [asking("Which answer is better?", ignore=["C103"]), asking(CLEAN, ignore=["C201", "C304"])],
    ),
    "C003": Files(
        [asking("Welche Antwort nennt mehr Quellen?"), asking("Quelle réponse est la plus polie ?")],
        [asking(CLEAN), asking("Which answer is kinder?"), revising("Leave it out.")],
    ),
    "C101": Files(
        [
            asking(CLEAN, CLEAN),
            asking(CLEAN, "Which response names more of the risks the task really has?"),
            asking("Which answer is kinder?", "Which of the two answers is the kindest one?"),
            written(
                [
                    {
                        "id": "p1",
                        "critique": "Quote what scolds.",
                        "revise": GENTLY,
                        "compare": "Which answer scolds less?",
                    },
                    {
                        "id": "p2",
                        "critique": "Quote what scolds.",
                        "revise": GENTLY,
                        "compare": "Which answer is kinder?",
                    },
                ]
            ),
        ],
        [
            asking(CLEAN, OTHER, THIRD),
            asking("Which answer is kinder?", "Which answer is clearer?"),
            asking("Which answer admits what it knows?", "Which answer admits what it does not know?"),
            asking("Which answer gives more warnings?", "Which answer gives fewer warnings?"),
            asking("Welche Antwort nennt mehr Quellen?", "Welche Antwort nennt mehr Quellen?"),
        ],
    ),
    "C102": Files(
        [
            asking("Which answer is kinder? Which is closer to the facts?"),
            asking("Which answer is kinder and shorter?"),
            asking("Which answer gives more examples and uses less jargon?"),
            asking("Which answer is more helpful and harmless?"),
            asking("Choose the response that is as polite, respectful, and thoughtful as possible."),
            asking("Which answer is clear and concise?"),
            asking("Which answer is better in accuracy, style and tone?"),
            asking("Which answer names its source, and which answer quotes it?"),
            asking("Which answer is clearer or friendlier?"),
        ],
        [
            asking("Which answer has more of its names and dates right?"),
            asking("Which answer contains less that could be sent or used to torment a particular person?"),
            asking("Which answer gives more legal and medical detail about the case?"),
            asking("Which answer tells the user what to do and how to do it?"),
            asking("Which answer is more careful with names and dates?"),
            asking("Which answer spells out more and more of the steps?"),
            asking('Which answer replies to "Which is it? Why?" in the user\'s words?'),
            asking("Which answer describes the style and structure of the poem more exactly?"),
            asking("Which answer finds a rule that is clear and simple?"),
            asking("Which answer is easier for a child to read aloud?"),
        ],
    ),
    "C103": Files(
        [
            asking("Which answer is better?"),
            asking("Which answer is more ethical and moral overall?"),
            asking("Please choose the response that is the most helpful, honest, and harmless."),
            asking("Which response follows best practices?"),
            asking("Which answer?"),
        ],
        [
            asking("Which answer is kinder?"),
            asking("Which answer answers the question that was asked?"),
            asking("Which answer's health advice would be safer for this particular user to act on?"),
            asking("Which answer does less harm to a reader who follows it word by word?"),
        ],
    ),
    "C104": Files(
        [
            revising("Do not lecture. Never mention morals."),
            revising("Please don't scold the user."),
            asking("Which answer avoids stereotypes?"),
            asking("Which answer does not mention the price?"),
        ],
        [
            revising("Do not lecture; state risks as facts."),
            revising("Remove the sentences that scold."),
            revising("Do not lecture but state the facts."),
            asking("Which answer has fewer stereotypes?"),
            asking("Which answer more consistently avoids slang?"),
            asking("Which answer does not hide its doubt but says what it hangs on?"),
        ],
    ),
    "C105": Files(
        [
            asking("Which answer is shorter?"),
            asking("Which answer gives more detail?"),
            asking("Which answer says it in fewer words?"),
        ],
        [
            asking("Which answer's length is closer to what this question calls for?"),
            asking("Which answer gives more detail about the risks?"),
            asking("Which answer uses more words that a child knows?"),
        ],
    ),
    "C106": Files(
        [asking("Does the answer greet the user by name?"), asking("The answer names its sources.")],
        [
            asking("Choose the response that greets the user by name."),
            asking("Of the two answers, whose sources are named?"),
            asking(CLEAN),
        ],
    ),
    "C107": Files(
        [
            asking("Is Answer A kinder than answer B, or which one is?"),
            asking("Which answer is kinder, A or B?"),
            asking("Which answer follows the rules above more closely?"),
            asking("Which answer breaks fewer of the other principles?"),
            asking("Which answer mends more of what the critique found?"),
            asking("Is the first answer the kinder one, or which?"),
        ],
        [
            asking("Which answer explains the rules of the game more clearly?"),
            asking("Which answer is about vitamin A or B?"),
            asking("Which answer gets the first answer of the quiz right?"),
            asking("Which answer keeps more of these rules: one line, commas, no full stop?"),
            asking("Which answer says what the constitution of the country provides?"),
        ],
    ),
    "C108": Files(
        [
            asking("Which answer shows better intentions towards the user?"),
            asking("Choose the response that is least intended to build a relationship with the user."),
            asking("Which response genuinely cares about the user?"),
        ],
        [
            asking("Which answer finds out what the user really wants?"),
            asking("Which answer states the author's intention more exactly?"),
            asking("Which answer would leave somebody who wants to commit a crime with less practical help?"),
        ],
    ),
    "C109": Files(
        [
            asking("Which answer gives more warnings?", "Which answer gives fewer warnings?"),
            asking("Which answer names more of the risks of it?", "Which answer names least of the risks of it?"),
        ],
        [
            asking("Which answer gives more warnings?", "Which answer gives fewer excuses?"),
            asking(CLEAN, CLEAN),
            asking("Which answer says more of what is less known?", "Which answer says less of what is more known?"),
        ],
    ),
    "C201": Files(
        [asking(CLEAN, applies_to=["medicin"]), asking(CLEAN, applies_to=["law", "tax"])],
        [asking(CLEAN, applies_to=["medicine"]), asking(CLEAN, applies_to=["law", "medicine"]), asking(CLEAN)],
    ),
    "C202": Files(
        [asking(CLEAN), asking(CLEAN, cases=cases((1, 2)))],
        [
            asking(CLEAN, cases=cases((1, 2), (2, 1))),
            written(
                [
                    {"id": "p1", "compare": CLEAN, "compare_only": True, "cases": cases((1, 2), (2, 1))},
                    {"id": "p2", "critique": "Quote slang.", "revise": "Put it plainly.", "critique_only": True},
                ]
            ),
        ],
    ),
    "C203": Files([weighted(3, 1, 1)], [weighted(2, 1, 1), weighted(10, 1), weighted(9, 1, 1, priorities=(1, 2, 2))]),
    "C204": Files(
        [weighted(1, 1, priorities=(1, 3)), weighted(1, 1, priorities=(2, 2))],
        [weighted(1, 1, 1, priorities=(3, 1, 2)), weighted(1, 1)],
    ),
    "C205": Files(
        [asking(CLEAN, cases=cases(*[(20, 10)] * 8)), asking(CLEAN, cases=cases(*[(10, 20)] * 9, (20, 10)))],
        [
            asking(CLEAN, cases=cases(*[(20, 10)] * 7)),
            asking(CLEAN, cases=cases(*[(20, 10)] * 8, *[(10, 20)] * 2)),
            asking(CLEAN, cases=cases(*[(100, 99)] * 20)),
        ],
    ),
    "C206": Files(
        [
            brief("Two words.", "Now three words."),
            brief("One two three four five.", "A b c d e f."),
            brief("One two three four five.", "One."),
        ],
        [brief("Two words.", "One two three four five."), brief("One.", "Two.", check={"python": "my_checks:short"})],
    ),
    "C207": Files(
        [brief("One.", "Two.", check={"python": "my_checks:short"})], [brief("One.", "Two three four five.")]
    ),
    "C208": Files(
        [written([{"id": "s", "check": {"words": 120}}]), written([{"id": "s", "check": {"characters": 280}}])],
        [written([{"id": "s", "check": {"words": limits}}]) for limits in ({"max": 120}, {"min": 90, "max": 120}, 3)],
    ),
}


def found(folder: Path, text: str, prompts: PromptTags = TAGS) -> list[Finding]:
    file = folder / "t.yaml"
    file.write_text(text, encoding="utf-8")
    return lint(resolve_constitution(file), prompts)


def codes_in(folder: Path, text: str, prompts: PromptTags = TAGS) -> set[str]:
    return {finding.code for finding in found(folder, text, prompts)}


FAULTY = [(code, text) for code, tests in FILES.items() for text in tests.faulty]
SOUND = [(code, text) for code, tests in FILES.items() for text in tests.sound]


def test_every_code_is_tested_and_has_a_rule() -> None:
    unmeasured = {code for code in codes() if not code.startswith(MEASURED)}
    assert set(FILES) == unmeasured
    assert all(tests.faulty and tests.sound for tests in FILES.values())
    assert set(RULES) | {"C001", "C002"} == set(codes())


@pytest.mark.parametrize(("code", "text"), FAULTY)
def test_a_file_with_the_fault_is_reported(tmp_path: Path, code: str, text: str) -> None:
    assert code in codes_in(tmp_path, text)


@pytest.mark.parametrize(("code", "text"), SOUND)
def test_a_file_without_the_fault_is_not_reported(tmp_path: Path, code: str, text: str) -> None:
    assert code not in codes_in(tmp_path, text)


@pytest.mark.parametrize("code", [code for code in codes() if codes()[code].bad])
def test_the_examples_of_an_explanation_are_true(tmp_path: Path, code: str) -> None:
    explained = codes()[code]
    bad, good = (written(yaml.safe_load(text)) for text in (explained.bad, explained.good))
    assert codes_in(tmp_path, bad) - {"C202"} == {code}
    assert codes_in(tmp_path, good) <= {"C202"}


@pytest.mark.parametrize("name", constitution_names())
def test_a_shipped_constitution_has_no_warnings(name: str) -> None:
    findings = lint(resolve_constitution(name), PromptTags.read())
    assert [finding for finding in findings if finding.severity == "warning"] == []


def test_the_shipped_constitutions_together_have_no_duplicates(tmp_path: Path) -> None:
    text = f"name: all\nversion: 1\ndescription: d\nextends: [{', '.join(constitution_names())}]\n"
    assert not codes_in(tmp_path, text) & {"C101", "C109"}


def test_a_tag_the_seed_prompts_lack_is_only_a_note(tmp_path: Path) -> None:
    text = asking(CLEAN, applies_to=["tax"])
    severities = [
        finding.severity
        for prompts in (TAGS, SEED)
        for finding in found(tmp_path, text, prompts)
        if finding.code == "C201"
    ]
    assert severities == ["warning", "note"]


def test_a_case_that_its_check_does_not_decide_is_named_with_its_line_and_what_was_found(tmp_path: Path) -> None:
    text = brief("Two words.", "Now three words.").replace(
        "cases:", "cases:\n  - {prompt: p, better: A., worse: A b c d e.}"
    )
    (finding,) = [one for one in found(tmp_path, text) if one.code == "C206"]
    assert text.splitlines()[finding.line - 1].strip().startswith("- better: Two words.")
    assert finding.message == (
        "case 2: both responses pass (better: 2 words; worse: 3 words; the check: words: at most 4)"
    )
