"""The file a person gets: its numbers, its texts, its size; no browser needed."""

import base64
import hashlib
import html
import json
import random
import re
import shutil
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rlaif.cli.main import main
from rlaif.constitution.load import load_constitution
from rlaif.records import Message, Prompt
from rlaif.report.html_page import embedded, packed
from rlaif.report.run_page import LARGEST_PAGE, write_run_report
from rlaif.report.run_plots import texts_of_pairs_plot
from rlaif.report.trace_views import browser_data, view_of
from rlaif.runs.description import summary_lines
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise
from rlaif.shipped import DATA
from rlaif.stats.estimates import Tallies, Tally
from rlaif.text.refusal import refuses
from tests.report.runs import EVIL, make_run, make_trace


class Elements(HTMLParser):
    """Collects every element of a page with its attributes, and the text within scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data


@pytest.fixture
def run(tmp_path: Path, constitution_file: Path) -> Run:
    return make_run(tmp_path / "runs" / "one", constitution_file, prompts=8, failures=1)


def declining_half_the_time(rng: random.Random, name: str) -> str:
    return "I'm sorry, but I can't help with that." if rng.random() < 0.5 else f"{name} has all the steps you need."


def page_of(run: Run) -> str:
    file = run.path / "report.html"
    write_run_report(run, file)
    return file.read_text(encoding="utf-8")


def data_of(page: str) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="traces-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_the_page_has_the_lines_and_warnings_of_the_summary(tmp_path: Path, constitution_file: Path):
    run = make_run(tmp_path / "run", constitution_file, prompts=9, failures=2, traces=6, judging={"min_margin": 0})
    page, summary = html.unescape(page_of(run)), summarise(run)
    assert (summary.failures, summary.open) == (2, 1)
    for line in summary_lines(summary):
        assert line in page
    assert summary.warnings
    for warning in summary.warnings:
        assert warning[1:] in page


def test_the_page_says_what_was_asked_of_whom(run: Run):
    page = html.unescape(page_of(run))
    for word in ("pol", "crit", run.manifest.constitution_hash, run.manifest.prompts_hash, "Which answer is kinder?"):
        assert word in page
    for name, digest in run.manifest.templates.items():
        assert f"{name} {digest}" in page


def test_every_plot_has_a_name_a_reading_and_its_numbers(run: Run):
    page = page_of(run)
    names = re.findall(r'id="plot-([\w-]+)"', page)
    assert names == [
        "margins",
        "principles",
        "lengths",
        "texts",
        "revisions",
    ]
    figures = re.findall(r'<figure class="plot".*?</figure>', page, re.DOTALL)
    for estimate in figures:
        assert re.search(r'<svg role="img" aria-label="[^"]+"', estimate)
        assert re.search(r"<figcaption>.{40,}</figcaption>", estimate, re.DOTALL)
        assert "<tbody>" in estimate


def test_what_was_chosen_stands_as_text_beside_what_was_rejected(tmp_path: Path, constitution_file: Path):
    run = make_run(tmp_path / "run", constitution_file, prompts=12, write=declining_half_the_time)
    pairs = [(trace, pair) for trace, conclusion in run.conclusions() for pair in conclusion.pairs]
    for role in ("chosen", "rejected"):
        texts = [trace.response(getattr(pair, role)).text for trace, pair in pairs]
        declined = sum(refuses("Question?", text) for text in texts)
        assert 0 < declined < len(pairs)
        row = re.findall(rf"<tr>\s*<t[hd][^>]*>{role}</t[hd]>(.*?)</tr>", page_of(run), re.DOTALL)[0]
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        assert cells[0] == str(len(pairs))
        assert cells[2].startswith(f"{declined / len(pairs):.0%} [")


@pytest.mark.parametrize(
    ("prompts", "more", "title"),
    [
        (8, 1, "The chosen response refuses more often than the other of its pair, by 100 points"),
        (8, -1, "The rejected response refuses more often than the other of its pair, by 100 points"),
        (5, 1, "Chosen and rejected responses are not shown to differ in refusing or hedging"),
        (8, 0, "Chosen and rejected responses are not shown to differ in refusing or hedging"),
    ],
)
def test_a_taste_for_refusals_is_named_where_it_is_shown(prompts: int, more: int, title: str):
    counted = {("pairs",): 1, ("more refusals",): more, ("more refusals", "prompts"): more != 0}
    texts = {("text", role, what): 1 for role in ("chosen", "rejected") for what in ("answers", "words", "hundreds")}
    assert texts_of_pairs_plot(Tallies([Tally({**counted, **texts})] * prompts)).title == title


@pytest.mark.parametrize(("differ", "shown"), [(4, False), (8, True)])
def test_few_prompts_that_differ_among_many_show_nothing(differ: int, shown: bool):
    texts = {("text", role, what): 1 for role in ("chosen", "rejected") for what in ("answers", "words", "hundreds")}
    alike = Tally({("pairs",): 1, **texts})
    unlike = Tally({**alike, ("more refusals",): 1, ("more refusals", "prompts"): 1})
    title = texts_of_pairs_plot(Tallies([unlike] * differ + [alike] * (1000 - differ))).title
    assert (
        title.startswith("The chosen response refuses more often than the other of its pair, by less than a p") == shown
    )


def test_a_script_in_a_text_stays_text(run: Run):
    page = page_of(run)
    elements = Elements(page)
    assert page.count("document.title='owned'") > 8  # it is there, in prompts, critiques and the failure
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert not [attrs for _, attrs in elements.found if "onerror" in attrs or attrs.get("src")]
    assert "<script>document.title" not in page
    assert data_of(page)["traces"][0]["turns"][0][1] == f"Question 0? {EVIL}"


def test_the_policy_lets_only_the_pages_own_script_run(run: Run):
    page = page_of(run)
    elements = Elements(page)
    (policy,) = [
        attrs["content"] or "" for _, attrs in elements.found if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(elements.scripts[-1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")


def test_nothing_is_fetched(run: Run):
    elements = Elements(page_of(run))
    links = [
        link for _, attrs in elements.found for name, link in attrs.items() if name in {"href", "xlink:href", "src"}
    ]
    assert links
    assert not [link for link in links if not (link or "").startswith("#")]
    assert not [tag for tag, _ in elements.found if tag in {"link", "iframe", "object", "embed", "base"}]


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(run: Run, tmp_path: Path):
    shutil.copytree(run.path, tmp_path / "elsewhere" / "one")
    assert page_of(run) == page_of(run) == page_of(Run(tmp_path / "elsewhere" / "one"))


def test_a_long_answer_is_whole_on_the_screen_and_cut_on_paper(tmp_path: Path, constitution_file: Path):
    long = "word " * 4000
    page = page_of(make_run(tmp_path / "run", constitution_file, prompts=1, write=lambda rng, name: f"{name} {long}"))
    answers = data_of(page)["traces"][0]["responses"]
    assert answers[0]["text"] == f"s0 {long}"
    assert "18,503 more characters" in page


@pytest.mark.parametrize(
    "made",
    [
        {"spread": 0.0, "judging": {"min_margin": 0.45}},
        {"judging": {"kind": "none"}},
        {"prompts": 1},
        {"traces": 2},
        {"traces": 0},
        {"traces": 0, "failures": 6},
        {"judging": {"orders": "both", "min_label_mass": 1.0}},
        {"tags": ("$x_{", "面 & <b>", "a\x00b")},
    ],
)
def test_a_run_of_any_state_has_a_page(tmp_path: Path, constitution_file: Path, made: dict):
    run = make_run(tmp_path / "run", constitution_file, **made)
    page = html.unescape(page_of(run))
    for line in summary_lines(summarise(run)):
        assert line in page


@pytest.mark.slow
def test_of_a_large_run_a_stated_sample_holds_every_outcome(tmp_path: Path, constitution_file: Path):
    run = make_run(tmp_path / "run", constitution_file, prompts=120, failures=2, spread=1.0)
    outcomes = {conclusion.no_pair or "pair" for _, conclusion in run.conclusions()}
    assert len(outcomes) > 1
    written = write_run_report(run, tmp_path / "r.html", most_traces=30)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    traces = data_of(page)["traces"]
    assert written.traces_shown == len(traces) == 30
    assert "Here are 30 of 120 prompts, drawn at random" in page
    assert {trace["outcome"] for trace in traces} == {*outcomes, "failed"}
    assert sum(trace["outcome"] == "failed" for trace in traces) == 2


@pytest.mark.slow
def test_a_page_that_would_be_too_large_shows_fewer_traces_and_says_so(tmp_path: Path, constitution_file: Path):
    def noise(rng: random.Random, name: str) -> str:
        return rng.randbytes(3000).hex()

    run = make_run(tmp_path / "run", constitution_file, prompts=40, write=noise)
    written = write_run_report(run, tmp_path / "r.html", largest_page=500_000)
    assert written.bytes <= 500_000
    assert 1 < written.traces_shown < 40
    assert f"Here are {written.traces_shown} of 40" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_thousand_traces_of_full_size_fit_into_a_mail(tmp_path: Path):
    """Four samples and revisions of 1,500 characters, 28 matchups under 16 principles in both orders."""
    rules = load_constitution("harmlessness")
    names = [principle.id for principle in rules.principles]
    lines = [json.loads(line) for line in (DATA / "seed_prompts.jsonl").read_text().splitlines()]
    words = " ".join(line.get("prompt") or line["messages"][-1]["content"] for line in lines).split()
    assert len(names) == 16

    def prose(rng: random.Random, name: str) -> str:
        text = ""
        while len(text) < 1500:  # phrases of real language in a new order: harder to compress than an answer
            start = rng.randrange(len(words) - 12)
            text += " ".join(words[start : start + rng.randint(4, 12)]) + " "
        return text[:1500]

    run = make_run(tmp_path / "run", "harmlessness", prompts=1, samples=4)
    prompts = [Prompt(id=f"p{n}", messages=(Message(role="user", content="Why?"),)) for n in range(40)]
    traces = [make_trace(prompt, names, names, 4, prose, 1.0) for prompt in prompts]
    assert len(traces[0].matchups) == 28
    data = browser_data([view_of(trace, run.conclude(trace)) for trace in traces], names)
    rest = len(page_of(run).encode())
    assert rest + len(packed(json.dumps(data, ensure_ascii=False, separators=(",", ":")))) * 25 < LARGEST_PAGE


def test_packed_data_is_harmless_and_comes_back():
    text = json.dumps([f"{EVIL} é 面 \U0001f600 {n}" for n in range(9)])
    signs = packed(text)
    assert not set(signs) & set("<>&\\\"'")
    back = base64.b85decode(signs.encode().translate(bytes.maketrans(b",./", b"<>&")))
    assert zlib.decompress(back).decode() == text
    assert embedded("x" * 500_000).kind == "text/plain"


def test_plain_data_cannot_end_its_element():
    data = embedded({"text": f"{EVIL}\u2028&amp;"})
    assert not set(data.text) & set("<>&\u2028")
    assert json.loads(data.text) == {"text": f"{EVIL}\u2028&amp;"}


def rlaif(monkeypatch: pytest.MonkeyPatch, *words: object) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["rlaif", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_command_says_where_the_page_is(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    assert rlaif(monkeypatch, "report", run.path) == 0
    file = run.path / "report.html"
    assert capsys.readouterr().out == f"{file}   ({file.stat().st_size / 1e6:.1f} MB, 8 traces to browse)\n"
    assert rlaif(monkeypatch, "report", run.path, "--json", "--out", file) == 0  # its own page may be replaced
    assert json.loads(capsys.readouterr().out) == {
        "file": str(file),
        "bytes": file.stat().st_size,
        "traces_shown": 8,
        "traces": 8,
    }


def test_nothing_else_is_overwritten(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    before = (run.path / "run.sqlite").read_bytes()
    for out, word in ((run.path / "run.sqlite", "is not a report"), (run.path, "is a folder")):
        assert rlaif(monkeypatch, "report", run.path, "--out", out) == 2
        assert word in capsys.readouterr().err
    assert (run.path / "run.sqlite").read_bytes() == before


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    assert rlaif(monkeypatch, "report", tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
