// Show one trace: the conversation, the outcome, responses and revisions side by side, verdicts of both orders.

const LEAST_KEPT = 0.25; // least share of the words that stayed for changes to be marked

const percent = (share) => `${Math.round(100 * share)}%`;
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Return the nodes that show a trace; `chosen` is the index of the matchup whose verdicts are shown, or null. */
function traceNodes(trace, data, chosen, choose) {
  return [
    el("h3", {}, trace.id),
    el("p", { class: "faint" }, [...(trace.tags || []), outcomeName(trace.outcome)].join(" · ")),
    ...(trace.error ? [el("p", { class: "note" }, trace.error)] : []),
    ...[...(trace.turns || []), ...(trace.rubric || [])].map(([role, text]) =>
      el("div", { class: "turn" }, el("span", { class: "role" }, role), textOf(text)),
    ),
    ...pairLines(trace),
    ...revisionNodes(trace, data),
    ...comparisonNodes(trace, data, chosen, choose),
  ];
}

const OUTCOMES_WITHOUT_PAIRS = ["failed", "labels differ", "labels agree", "nothing labelled"];

function outcomeName(outcome) {
  if (outcome === "pair") return "with a pair";
  return OUTCOMES_WITHOUT_PAIRS.includes(outcome) ? outcome : `no pair: ${outcome}`;
}

function textOf(...parts) {
  const shown = el("div", { class: "text", dir: "auto" }, ...parts);
  if (!shown.textContent) shown.append(el("span", { class: "faint" }, "(empty)"));
  return shown;
}

function pairLines(trace) {
  return (trace.pairs || []).map(([chosen, rejected, p]) =>
    el("p", { class: "pair" }, el("b", {}, chosen), " chosen over ", el("b", {}, rejected), `, p = ${p.toFixed(2)}`));
}

function responseOf(trace, id) {
  return trace.responses.find((response) => response.id === id);
}

function heading(response, words) {
  const facts = [];
  if (response.score !== undefined) facts.push(`strength ${response.score > 0 ? "+" : ""}${response.score.toFixed(2)}`);
  if (response.note) facts.push(response.note);
  return el("h5", {}, `${words} ${response.id} `, el("span", { class: "faint" }, facts.length ? `(${facts.join("; ")})` : ""));
}

function revisionNodes(trace, data) {
  const responses = trace.responses || [];
  if (!responses.length) return [];
  const inPair = new Set((trace.pairs || []).flatMap(([chosen, rejected]) => [chosen, rejected]));
  const parents = new Set(responses.map((response) => response.parent));
  const alone = responses.filter((response) => !response.parent && !parents.has(response.id));
  const revisions = responses.filter((response) => response.parent);
  const first = revisions.find((response) => inPair.has(response.id)) || revisions[0];
  return [
    el("h4", {}, revisions.length ? "Responses and their revisions" : "Responses"),
    ...revisions.map((response) => revisionNode(trace, data, response, response === first || inPair.has(response.id))),
    ...alone.map((response) => el("section", { class: "side" }, heading(response, "response"), textOf(response.text))),
  ];
}

function revisionNode(trace, data, child, open) {
  const parent = responseOf(trace, child.parent);
  const [before, after] = marked(parent, child);
  const by = (child.by || []).map((place) => data.principles[place]).join(", ");
  const verdict = (trace.matchups || []).find((m) => (m.a === child.id && m.b === parent.id) || (m.b === child.id && m.a === parent.id));
  const own = verdict && verdict.votes ? (verdict.votes.find((vote) => vote[0] === child.id.split("/")[0]) || [])[1] : verdict && verdict.p;
  const p = own === null || own === undefined ? null : verdict.a === child.id ? own : 1 - own;
  const summary = el("summary", {}, el("b", {}, `${parent.id} → ${child.id}`), ` ${by}`,
    el("span", { class: "faint" }, p === null ? " · not compared" : ` · p(revision better) ${p.toFixed(2)}`));
  const kept = child.kept === undefined ? 0 : child.kept;
  const unit = child.unit === "sentences" ? "sentences" : "words";
  const explanation = child.unit === "whole" ? "Too long to compare word by word."
    : kept < LEAST_KEPT ? `Rewritten: only ${percent(kept)} of the ${unit} stayed, so changes are not marked.`
    : `${percent(kept)} of the ${unit} stayed. Struck through: removed. Underlined: added.`;
  return el("details", { class: "revision", open },
    summary,
    el("p", {}, el("span", { class: "faint" }, "Critique: "), el("span", { dir: "auto", class: "critique" }, child.critique || "(empty)")),
    el("p", { class: "faint" }, explanation),
    el("div", { class: "sides" },
      el("section", { class: "side" }, heading(parent, "original"), textOf(...before)),
      el("section", { class: "side" }, heading(child, "revision"), textOf(...after))));
}

/** Return both texts in pieces, with changes in `del` and `ins` elements; `steps` has groups of four lengths. */
function marked(parent, child) {
  const steps = child.steps || [];
  const old = parent.text || "";
  const revised = child.text || "";
  if (child.unit === "whole" || !(child.kept >= LEAST_KEPT)) return [[old], [revised]];
  const before = [], after = [];
  let inParent = 0, inChild = 0;
  for (let place = 0; place < steps.length; place += 4) {
    const [keptInParent, keptInChild, removed, added] = steps.slice(place, place + 4);
    before.push(old.slice(inParent, inParent + keptInParent));
    after.push(revised.slice(inChild, inChild + keptInChild));
    inParent += keptInParent;
    inChild += keptInChild;
    if (removed) before.push(el("del", {}, old.slice(inParent, inParent + removed)));
    if (added) after.push(el("ins", {}, revised.slice(inChild, inChild + added)));
    inParent += removed;
    inChild += added;
  }
  return [before, after];
}

function comparisonNodes(trace, data, chosen, choose) {
  const matchups = trace.matchups || [];
  if (!matchups.length) return [];
  const at = chosen !== null && matchups[chosen] ? chosen : matchupOfPair(trace);
  return [
    el("h4", {}, "Matchups"),
    el("div", { class: "matchups", role: "group", "aria-label": "Matchups" },
      ...matchups.map((m, place) => el("button", {
        type: "button", class: m.abstention ? "abstains" : "decided", "aria-pressed": String(place === at), "data-place": place,
        onclick: () => choose(place),
      }, `${m.a} : ${m.b}`, el("span", { class: "faint" }, m.votes ? "" : m.p === null || m.p === undefined ? " ?" : ` ${m.p.toFixed(2)}`)))),
    matchupNode(trace, data, matchups[at]),
  ];
}

function matchupOfPair(trace) {
  const [chosen, rejected] = (trace.pairs || [[]])[0];
  const place = trace.matchups.findIndex((m) => (m.a === chosen && m.b === rejected) || (m.b === chosen && m.a === rejected));
  return Math.max(0, place);
}

function matchupNode(trace, data, m) {
  const p = m.p === null || m.p === undefined ? "unreadable" : `p(${m.a} better) = ${m.p.toFixed(2)}`;
  const rows = [...verdictsOf(trace, m, data).map((verdict) => verdictRow(verdict, data)), ...(m.checks || []).map(checkRow)];
  const columns = [`p(${m.a} better) by`, `${m.a} first`, `${m.b} first`, "both", "position bias", "label mass", ""];
  return el("section", { id: "matchup" },
    m.votes ? votesNode(m) : el("p", {}, el("b", {}, `${m.a} against ${m.b}`), `: ${p}`, m.abstention ? `; abstains: ${m.abstention}` : "",
      m.final ? " (asked after the ranking)" : ""),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Verdicts" }, el("table", { class: "verdicts" },
      el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows))),
    el("details", {}, el("summary", {}, `${m.a} and ${m.b} side by side`),
      el("div", { class: "sides" }, ...[m.a, m.b].map((id) => {
        const response = responseOf(trace, id);
        return el("section", { class: "side" }, heading(response, "response"), textOf(response.text || ""));
      }))));
}

/** Return the verdicts of a matchup, from the columns that `browser_data` made of all matchups. */
function verdictsOf(trace, m, data) {
  const unread = new Set(m.unread || []);
  return (m.asked || trace.judged).map((principle, place) => {
    const ab = data.ab[m.number][place];
    const both = data.both[m.number][place];
    const ba = both === null ? null : Array.isArray(both) ? both[0] : both - ab;
    return { principle, ab, ba, mass: data.mass[m.number][place], counted: !unread.has(place) };
  });
}

/** Return the table of every rule set's probability and label for a matchup of a comparison. */
function votesNode(m) {
  return el("div", {}, el("p", {}, el("b", {}, `${m.a} against ${m.b}`)),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Votes" }, el("table", { class: "votes" },
      el("thead", {}, el("tr", {}, ...["rule set", `p(${m.a} better)`, "label"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...m.votes.map(([name, p, abstains]) => el("tr", {}, el("th", { scope: "row" }, name),
        el("td", {}, p === null ? "–" : p.toFixed(2)),
        el("td", {}, abstains ? `abstains: ${abstains}` : p > 0.5 ? m.a : m.b)))))));
}

/** Return the row of a check: the result on each response is in the column of the order that shows it first. */
function checkRow([principle, a, foundInA, b, foundInB]) {
  const side = (passed, found) => `${passed ? "passes" : "fails"}: ${found}`;
  const p = a === b ? "0.50" : a ? "0.98" : "0.02";
  return el("tr", {}, el("th", { scope: "row" }, principle),
    ...[side(a, foundInA), side(b, foundInB), p, "–", "–"].map((text) => el("td", {}, text)),
    el("td", { class: "flag", title: "decided by a program; the critic was not asked" }, "by a program"));
}

function verdictRow({ principle, ab, ba, mass, counted }, data) {
  const scale = data.steps_per_logit;
  const sides = [ab, ba === null ? null : -ba];
  const asked = sides.filter((logit) => logit !== null);
  const preference = asked.length ? asked.reduce((sum, logit) => sum + logit, 0) / asked.length : null;
  const bias = asked.length === 2 ? (ab + ba) / 2 : null;
  const p = (logit) => (logit === null ? "–" : sigmoid(logit / scale).toFixed(2));
  const orderDependent = bias !== null && Math.abs(bias) >= Math.abs(preference);
  const flag = !counted ? "unreadable" : orderDependent ? "order-dependent" : "";
  const signed = bias === null ? "–" : `${bias < 0 ? "−" : "+"}${Math.abs(bias / scale).toFixed(2)}`;
  return el("tr", { class: flag },
    el("th", { scope: "row" }, data.principles[principle]),
    ...[...sides.map(p), p(preference), signed, `${mass}%`].map((text) => el("td", {}, text)),
    el("td", { class: "flag", title: flag === "order-dependent" ? "the two orders name different winners" : null }, flag));
}
