// The browser of traces: search, filters, list, keyboard. The URL's hash holds the selection, so that it can be shared.

const FILTERS = ["q", "outcome", "tag", "principle", "revision"];

async function startBrowser() {
  const element = document.getElementById("traces-data");
  if (!element) return;
  let data;
  try {
    data = await read(element);
  } catch (error) {
    document.getElementById("unreadable").hidden = false;
    return;
  }
  if (!data.traces.length) return;
  data.traces.flatMap((trace) => trace.matchups || []).forEach((matchup, number) => { matchup.number = number; });
  new Browser(data);
  document.documentElement.classList.add("browsing");
}

function abstentionsOf(trace) {
  return (trace.matchups || []).flatMap((m) => [m.abstention, ...(m.votes || []).map((vote) => vote[2])]).filter(Boolean);
}

class Browser {
  constructor(data) {
    this.data = data;
    this.form = document.querySelector("form.filters");
    this.list = document.getElementById("list");
    this.detail = document.getElementById("detail");
    this.state = { trace: null, matchup: null };
    this.searchTexts = new Map();
    this.offer();
    this.rows = data.traces.map((trace) => this.row(trace));
    this.list.append(...this.rows);
    this.listen();
    document.getElementById("browser").hidden = false;
    this.restore();
  }

  offer() {
    const { traces, principles } = this.data;
    const count = (values) => {
      const counts = new Map();
      for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
      return [...counts].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1));
    };
    const each = (of) => count(traces.flatMap((trace) => [...new Set(of(trace))]));
    const group = (label, kind, entries, name = (value) => value) =>
      entries.length ? [el("optgroup", { label }, ...entries.map(([value, n]) => el("option", { value: kind + value }, `${name(value)} (${n})`)))] : [];
    const any = () => el("option", { value: "" }, "any");
    this.form.outcome.append(any(),
      ...group("outcome of the prompt", "o:", each((trace) => [trace.outcome]), outcomeName),
      ...group("a matchup abstains because", "a:", each((trace) => abstentionsOf(trace))));
    this.form.tag.append(any(), ...each((trace) => trace.tags || []).map(([tag, n]) => el("option", { value: tag }, `${tag} (${n})`)));
    this.form.principle.append(any(),
      ...group("drawn for a critique", "c:", each(drawn), (place) => principles[place]),
      ...group("judged under", "j:", each((trace) => trace.judged || []), (place) => principles[place]));
  }

  row(trace) {
    const turns = trace.turns || [];
    const lastTurn = turns.length ? turns[turns.length - 1][1] : "";
    const mark = trace.outcome === "pair" ? trace.pairs[0][2].toFixed(2) : trace.outcome;
    const link = el("a", { href: `#trace=${encodeURIComponent(trace.id)}` },
      el("span", { class: "id" }, trace.id), el("span", { class: trace.outcome === "pair" ? "mark" : "mark none" }, mark),
      el("span", { class: "last-turn", dir: "auto" }, lastTurn.slice(0, 160)));
    link.addEventListener("click", (event) => { event.preventDefault(); this.open(trace.id, true); });
    return el("li", { "data-id": trace.id }, link);
  }

  listen() {
    let waiting = 0;
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", () => setTimeout(() => this.filter(), 0));
    this.form.addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.filter(), event.target.name === "q" ? 120 : 0);
    });
    addEventListener("hashchange", () => { if (location.hash.includes("=")) this.restore(); });
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show only the traces that match the filters. */
  filter(keepAddress = false) {
    const wanted = Object.fromEntries(FILTERS.map((name) => [name, this.form[name].value]));
    const words = wanted.q.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    this.data.traces.forEach((trace, place) => {
      const fits = this.fits(trace, wanted, words);
      this.rows[place].hidden = !fits;
      shown += fits;
    });
    document.getElementById("count").textContent = `${shown.toLocaleString("en")} of ${this.rows.length.toLocaleString("en")} shown`;
    if (!keepAddress) this.note();
  }

  fits(trace, wanted, words) {
    const [kind, value] = [wanted.outcome.slice(0, 2), wanted.outcome.slice(2)];
    if (kind === "o:" && trace.outcome !== value) return false;
    if (kind === "a:" && !abstentionsOf(trace).includes(value)) return false;
    if (wanted.tag && !(trace.tags || []).includes(wanted.tag)) return false;
    const principle = Number(wanted.principle.slice(2));
    if (wanted.principle.startsWith("c:") && !drawn(trace).includes(principle)) return false;
    if (wanted.principle.startsWith("j:") && !(trace.judged || []).includes(principle)) return false;
    if (!revisionFits(trace.revisions || [], wanted.revision)) return false;
    return words.every((word) => this.textOf(trace).includes(word));
  }

  /** Return all text of a trace in lower case; computed at the first search. */
  textOf(trace) {
    if (!this.searchTexts.has(trace.id)) {
      const responses = (trace.responses || []).flatMap((response) => [response.text, response.critique || ""]);
      this.searchTexts.set(trace.id, [trace.id, ...(trace.turns || []).map((turn) => turn[1]), ...responses].join("\n").toLowerCase());
    }
    return this.searchTexts.get(trace.id);
  }

  open(id, byHand = false, matchup = null) {
    const place = this.data.traces.findIndex((trace) => trace.id === id);
    if (place < 0) return;
    this.state = { trace: id, matchup };
    this.rows.forEach((row, other) => {
      const link = row.firstChild;
      if (other === place) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    this.show();
    this.detail.scrollTop = 0;
    if (byHand) {
      this.note();
      this.detail.focus({ preventScroll: true });
      if (this.detail.getBoundingClientRect().top > innerHeight * 0.6 || narrow()) this.detail.scrollIntoView();
    } else {
      this.list.scrollTop = this.rows[place].offsetTop - 60;
    }
  }

  show() {
    const trace = this.data.traces.find((one) => one.id === this.state.trace);
    const back = el("button", { type: "button", class: "back", onclick: () => this.back() }, "Back to the list");
    this.detail.replaceChildren(back, ...traceNodes(trace, this.data, this.state.matchup, (place) => this.choose(place)));
  }

  choose(place) {
    this.state.matchup = place;
    const trace = this.data.traces.find((one) => one.id === this.state.trace);
    for (const button of this.detail.querySelectorAll(".matchups button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.place) === place));
    }
    document.getElementById("matchup").replaceWith(matchupNode(trace, this.data, trace.matchups[place]));
    this.note();
  }

  back() {
    const row = this.rows.find((one) => one.dataset.id === this.state.trace && !one.hidden) || this.visible()[0];
    if (row) row.firstChild.focus();
    if (narrow()) this.form.scrollIntoView();
  }

  visible() {
    return this.rows.filter((row) => !row.hidden);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    const inList = this.list.contains(event.target);
    const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "/" && !typing) {
      event.preventDefault();
      this.form.q.focus();
      this.form.q.select();
    } else if (event.key === "Escape" && (typing || this.detail.contains(event.target))) {
      this.back();
    } else if (event.key === "ArrowDown" && event.target === this.form.q) {
      event.preventDefault();
      this.move(0);
    } else if (step && !typing && (inList || !event.key.startsWith("Arrow"))) {
      event.preventDefault();
      this.move(step);
    }
  }

  /** Move the focus in the list by `step`; from outside the list, start at the open trace, or at the first row. */
  move(step) {
    const rows = this.visible();
    const from = this.list.contains(document.activeElement) ? document.activeElement.parentElement : this.rows.find((row) => row.dataset.id === this.state.trace);
    const place = rows.indexOf(from);
    const next = rows[place < 0 || !step ? 0 : Math.min(rows.length - 1, Math.max(0, place + step))];
    if (next) next.firstChild.focus();
  }

  /** Write the filters and the open trace into the URL's hash. */
  note() {
    const noted = new URLSearchParams();
    for (const name of FILTERS) if (this.form[name].value) noted.set(name, this.form[name].value);
    if (this.state.trace !== null) noted.set("trace", this.state.trace);
    if (this.state.matchup !== null) noted.set("matchup", this.state.matchup);
    try {
      history.replaceState(null, "", `#${noted}`);
    } catch (error) {
      // Some viewers of mail attachments forbid this; the page also works without it.
    }
  }

  restore() {
    const noted = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    for (const name of FILTERS) this.form[name].value = noted.get(name) || "";
    for (const name of FILTERS) if (this.form[name].selectedIndex === -1) this.form[name].value = "";
    this.filter(true);
    const first = this.visible()[0];
    const id = noted.get("trace") || (narrow() || !first ? null : first.dataset.id);
    if (id !== null) this.open(id, false, noted.has("matchup") ? Number(noted.get("matchup")) : null);
    if (noted.has("trace") && narrow()) this.detail.scrollIntoView();
    else if (noted.size) document.getElementById("traces").scrollIntoView();
  }
}

function drawn(trace) {
  return (trace.responses || []).flatMap((response) => response.by || []);
}

function revisionFits(ps, wanted) {
  const won = ps.some((p) => p > 0.5);
  const lost = ps.some((p) => p < 0.5);
  return { "": true, won, lost, both: won && lost }[wanted];
}

function narrow() {
  return matchMedia("(max-width: 700px)").matches;
}

startBrowser();
