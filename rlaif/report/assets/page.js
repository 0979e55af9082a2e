"use strict";
// Used by every page: create elements from text, switch between light and dark, unpack data.
// Text from models is only added as text nodes: no script writes HTML.

/** Return an element; `attributes` may have any attribute and `on…` handlers, `children` are nodes or texts. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return the data of a script element: plain JSON, or JSON that `html_page.packed` compressed. */
async function read(element) {
  if (element.type === "application/json") return JSON.parse(element.textContent);
  const stream = new Blob([bytesOf(element.textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%/()*+-;,=.?@^_`{|}~";

function bytesOf(text) {
  const value = new Uint8Array(128);
  for (let place = 0; place < SIGNS.length; place++) value[SIGNS.charCodeAt(place)] = place;
  const missing = (5 - (text.length % 5)) % 5;
  const padded = text + "~".repeat(missing);
  const bytes = new Uint8Array((padded.length / 5) * 4);
  for (let from = 0, to = 0; from < padded.length; from += 5, to += 4) {
    let number = 0;
    for (let place = 0; place < 5; place++) number = number * 85 + value[padded.charCodeAt(from + place)];
    for (let place = 3; place >= 0; place--, number = Math.floor(number / 256)) bytes[to + place] = number % 256;
  }
  return bytes.subarray(0, bytes.length - missing);
}

function startTheme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
}

function startPrinting() {
  const closed = () => document.querySelectorAll("details.print-open:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => { opened = [...closed()]; opened.forEach((one) => { one.open = true; }); });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
}

startTheme();
startPrinting();
