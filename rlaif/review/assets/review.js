// The page of `rlaif review`: shows one pair after the other and sends verdicts, by keys or by buttons.
// The program says what to show; this page keeps nothing. Texts are only added as text nodes.

const KEYS = { 1: "first", a: "first", ArrowLeft: "first", 2: "second", b: "second", ArrowRight: "second", t: "tie", c: "cannot-tell" };
const SAID = { first: "1 is better", second: "2 is better", tie: "a tie", "cannot-tell": "can’t tell" };
const part = (id) => document.getElementById(id);

class Review {
  constructor(state) {
    this.state = state;
    this.pair = null;
    this.busy = false;
    this.textarea = part("words").querySelector("textarea");
    part("run").textContent = state.run;
    part("reviewer").textContent = state.reviewer;
    part("question").textContent = `Which response is better under the rules of ${state.constitution}?`;
    part("rules-list").append(...state.rules.map((rule) => el("li", {}, el("p", {}, el("b", {}, rule.name), " ", rule.text))));
    document.title = `Review of ${state.run}`;
    this.listen();
  }

  listen() {
    document.addEventListener("keydown", (event) => this.key(event));
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.addEventListener("click", (event) => {
        if (event.detail) button.blur(); // clicked with a pointer: a space that is meant to scroll must not click again
        this.give(button.dataset.verdict);
      });
    }
    for (const id of ["back", "back-again"]) part(id).addEventListener("click", () => this.back());
    part("write").addEventListener("click", () => this.write());
    part("keep").addEventListener("click", () => this.keep());
    part("open-help").addEventListener("click", () => openDialog("help"));
    for (const id of ["open-rules", "help-rules"]) part(id).addEventListener("click", () => openDialog("rules"));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]")) return;
    if (event.target === this.textarea) {
      if (event.key === "Escape") { event.preventDefault(); part("main").focus(); }
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const onButton = event.target.closest("button");
    if (key in KEYS) this.give(KEYS[key]);
    else if (key === "u") this.back();
    else if (key === "n") this.write();
    else if (key === "r") openDialog("rules");
    else if (key === "?") openDialog("help");
    else if (key === "Enter" && !onButton) this.keep();
    else return;
    event.preventDefault();
  }

  /** Show the first pair without a verdict, or that there is none. */
  async next() {
    if (this.state.next === null) this.finish();
    else await this.show(this.state.next);
  }

  async show(place) {
    const pair = await this.ask(`pairs/${place}`);
    if (!pair) return;
    this.pair = pair;
    part("finished").hidden = true;
    part("pair").hidden = part("verdicts").hidden = false;
    part("conversation").replaceChildren(...pair.conversation.map((turn) =>
      el("div", { class: "turn" }, el("span", { class: "role" }, turn.role), el("div", { class: "text", dir: "auto" }, turn.text))));
    part("conversation").classList.toggle("single", pair.conversation.length === 1);
    for (const side of ["first", "second"]) part(side).querySelector(".text").textContent = pair[side];
    this.textarea.value = pair.words;
    part("words").hidden = !pair.words;
    this.mark(pair.verdict, true);
    part("keep").hidden = pair.verdict === null;
    part("back").disabled = place === 0;
    this.count(place);
    scrollTo(0, 0);
    part("conversation").scrollTop = part("conversation").scrollHeight;
    this.shownAt = performance.now();
  }

  /** Mark a verdict on the page: the one that was given earlier, or the one that is being saved. */
  mark(verdict, earlier) {
    for (const side of ["first", "second"]) {
      part(side).classList.toggle("picked", verdict === side);
      part(side).querySelector(".yours").hidden = !(earlier && verdict === side);
    }
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
  }

  count(place) {
    const { done, total } = this.state;
    part("count").textContent = place === null ? `${done} of ${total}` : `Pair ${place + 1} of ${total}`;
    part("progress").setAttribute("aria-valuemax", total);
    part("progress").setAttribute("aria-valuenow", done);
    part("progress").firstElementChild.style.width = `${(100 * done) / total}%`;
  }

  async give(verdict) {
    if (this.busy || !this.pair || part("pair").hidden) return;
    const { place, id } = this.pair;
    const seconds = (performance.now() - this.shownAt) / 1000;
    this.mark(verdict, false);
    const state = await this.ask(`pairs/${place}`, { id, verdict, words: this.textarea.value, seconds });
    if (!state) { this.mark(this.pair.verdict, true); return; }
    this.state = state;
    part("status").textContent = `Saved: ${SAID[verdict]}.`;
    if (document.activeElement === this.textarea) part("main").focus();
    await this.next();
  }

  async back() {
    if (this.busy) return;
    const place = part("finished").hidden ? (this.pair ? this.pair.place - 1 : -1) : this.state.total - 1;
    if (place >= 0) await this.show(place);
  }

  /** Go on from a pair that has a verdict; changed words are saved with it. */
  async keep() {
    if (this.busy || !this.pair || this.pair.verdict === null || part("pair").hidden) return;
    if (this.textarea.value.trim() !== this.pair.words) await this.give(this.pair.verdict);
    else await this.next();
  }

  write() {
    if (part("pair").hidden) return;
    part("words").hidden = false;
    this.textarea.focus();
  }

  finish() {
    part("pair").hidden = part("verdicts").hidden = true;
    part("finished").hidden = false;
    part("thanks").textContent = `Thank you, ${this.state.reviewer}: ${this.state.total} of ${this.state.total} pairs have your verdict.`;
    this.count(null);
    this.pair = null;
    part("main").focus();
  }

  /** Return what the program answers, null where it did not; the reason is then on the page, and nothing was lost. */
  async ask(path, given = null) {
    this.busy = true;
    try {
      const found = await send(path, given);
      part("problem").hidden = true;
      return found;
    } catch (error) {
      part("problem").textContent = given ? `Not saved: ${error.message}` : error.message;
      part("problem").hidden = false;
      return null;
    } finally {
      this.busy = false;
    }
  }
}

async function send(path, given) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(given) };
  let reply;
  try {
    reply = await fetch(path, given ? post : {});
  } catch {
    throw new Error("the program does not answer; it has ended. Start it again with the same command: all saved verdicts are kept.");
  }
  if (reply.ok) return reply.json();
  const text = await reply.text();
  let message = text;
  try { message = JSON.parse(text).error || text; } catch { /* not JSON: the text itself */ }
  throw new Error(message);
}

function openDialog(id) {
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  part(id).showModal();
  part(id).scrollTop = 0; // its focus is on the button at the end
}

async function start() {
  try {
    const review = new Review(await send("state", null));
    await review.next();
    if (review.state.done === 0) openDialog("help");
    document.documentElement.classList.add("ready");
  } catch (error) {
    part("problem").textContent = error.message;
    part("problem").hidden = false;
  }
}

start();
