// The page /verify: reads the files that somebody chooses, has them checked, and shows the answer. Nothing is sent.

import { verify } from "./package.js";

const form = document.querySelector("#verify-here");
const result = document.querySelector("#verify-result");
const say = (key, values = {}) => {
  const text = document.querySelector(`[data-say="${key}"]`).textContent;
  return text.replace(/\[(\w+)\]/g, (_, name) => values[name] ?? "");
};
const day = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ") + " UTC";

function add(tag, text, parent = result) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

async function read(name) {
  const file = form.querySelector(`#verify-${name}`).files[0];
  return file ? new Uint8Array(await file.arrayBuffer()) : null;
}

function table(caption, names, rows) {
  const box = add("div", "");
  box.className = "scroll";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", caption);
  const made = add("table", "", box);
  made.className = "stack";
  add("caption", caption, made);
  const top = add("tr", "", add("thead", "", made));
  for (const name of names) add("th", name, top).scope = "col";
  const body = add("tbody", "", made);
  for (const row of rows) {
    const line = add("tr", "", body);
    row.forEach((text, at) => { add("td", text, line).dataset.label = names[at]; });
  }
}

function show(found) {
  result.replaceChildren();
  result.dataset.state = found.state;
  add("h2", say(found.state));
  if (found.state !== "holds") {
    add("p", `${found.where}: ${found.message}`);
    add("p", say(`${found.state}-next`));
    return;
  }
  add("p", say("counts", { epochs: found.spans.length, covered: found.covered, entries: found.uses.length }));
  add("p", say("log", { origin: found.origin, size: found.size, until: found.until ? day(found.until) : "–" }));
  for (const [name, at] of Object.entries(found.witnesses)) add("p", say("witness", { name, at: day(at * 1000) }));
  table(say("spans"), [say("epoch"), say("leaves"), say("entries")],
    found.spans.map((one) => [String(one.epoch), `${one.first}–${one.stop - 1}`, String(one.count)]));
  if (found.uses.length) {
    table(say("uses"), [say("entry"), say("time"), say("kind"), say("purpose"), say("told")],
      found.uses.map((one) => [String(one.index), day(one.time), one.kind, one.purpose || "–",
        Object.values(one.told).filter((text) => text).join(" · ") || "–"]));
  }
  add("h3", say("unchecked"));
  const list = add("ul", "");
  for (const name of found.unchecked) add("li", say("lattice", { name }), list);
  if (!found.bound) add("li", say("unbound"), list);
  add("li", say("index"), list);
  add("li", say("later"), list);
}

if (form) {
  form.hidden = false;
  document.querySelector("#verify-without").hidden = true;
  form.querySelector("button").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      const [packed, policy, receipt] = [await read("package"), await read("policy"), await read("receipt")];
      result.replaceChildren();
      delete result.dataset.state;
      if (packed === null || policy === null) add("p", say("missing"));
      else show(await verify(packed, policy, receipt));
    } finally {
      button.disabled = false;
    }
    result.focus();
  });
}
