"use strict";
// What every page needs: making elements from text, the switch between light and dark, unpacking data.
// Text from models reaches the page through text nodes only: nothing here or below writes HTML.

/** Return an element; `attributes` may hold `class`, `on…` handlers and any attribute, `children` nodes or text. */
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

/** Return the data of a script element: plain JSON, or deflated and written in 85 signs (`page.packed`). */
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
