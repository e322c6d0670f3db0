"use strict";
// The page's data, and small helpers. Text is inserted as text only: nothing here writes HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const turns = new Map();
const stops = [];
const numbers = new Intl.NumberFormat("en");
const days = new Intl.DateTimeFormat("en", {dateStyle: "long"});
const moments = new Intl.DateTimeFormat("en", {dateStyle: "medium", timeStyle: "short"});
const KINDS = {
  general: "General", product: "Product", ui_asset: "UI asset", edit: "Edit",
  improvement: "Improvement", variation: "Variation", batch: "Batch", import: "Import",
  promotion: "Promotion", analysis: "Analysis",
};
const ALONE = "-1";

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((one) => one !== null && one !== undefined && one !== ""));
  return element;
}

function one(id) {
  return document.getElementById(id);
}

function count(number, word) {
  return `${numbers.format(number)} ${word}${number === 1 ? "" : "s"}`;
}

function shorten(text, most) {
  const words = (text || "").replace(/\s+/g, " ").trim();
  const letters = Array.from(words);
  return letters.length <= most ? words : `${letters.slice(0, most - 1).join("")}…`;
}

function weight(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function said(turn) {
  if (turn.said || turn.prompt) return turn.said || turn.prompt;
  return turn.origin ? `${turn.origin} (imported)` : `(${KINDS[turn.kind] || turn.kind}, no prompt)`;
}

// The model's text; an analysis is JSON, and is shown as lines.
function textOf(turn) {
  if (turn.kind !== "analysis") return turn.text || "";
  try {
    const found = JSON.parse(turn.text);
    const lines = (found.findings || []).map((each) => `${each.severity}: ${each.issue} ${each.remedy}`);
    return [found.summary, ...lines].join("\n");
  } catch {
    return turn.text || "";
  }
}

function sessionOf(turn) {
  return data.sessions[turn.session] || null;
}

function nameOf(session) {
  if (!session) return "Single pictures";
  return session.name || shorten(session.description, 60) || (session.lost ? "A session whose record is lost" : "Untitled session");
}

function price(turn) {
  if (!turn.cost) return "";
  return turn.sketch ? "Sketch" : turn.cost.replace(/ \(.*/, "");
}

function altOf(stop) {
  const what = stop.turn.sketch ? "Sketch" : "Picture";
  return `${what}: ${shorten(said(stop.turn), 200)}`;
}

// The URL of an image's file. In an img, an SVG runs no script; one without a thumbnail is not shown.
function original(image) {
  return image.format === "svg" && !image.thumb ? "" : data.place + image.file;
}

function small(image) {
  return image.thumb ? `data:image/webp;base64,${image.thumb}` : "";
}

function pathOf(image) {
  return decodeURIComponent(image.file);
}

function ratioOf(image) {
  return image.width && image.height ? image.width / image.height : 1;
}

function lineageOf(turn) {
  const path = [];
  const seen = new Set();
  for (let at = turn; at && !seen.has(at.id); at = turns.get(at.parent)) {
    seen.add(at.id);
    path.unshift(at);
  }
  return path;
}

// The lineage of a turn, the turn itself, and its latest line of descendants.
function lineThrough(turn) {
  const path = lineageOf(turn);
  const seen = new Set(path);
  for (let at = turn; at;) {
    const next = at.children.filter((child) => child.images.length && !seen.has(child)).pop();
    if (next) {
      seen.add(next);
      path.push(next);
    }
    at = next;
  }
  return path.filter((each) => each.images.length);
}

function wordsOf(stop) {
  if (stop.words === undefined) {
    const {turn, image} = stop;
    const session = sessionOf(turn);
    const told = [turn.prompt, turn.said, turn.label, turn.text, turn.branch, image && image.revised,
      session && session.name, session && session.description, turn.origin];
    stop.words = told.filter(Boolean).join("\n").toLowerCase();
  }
  return stop.words;
}

function callOf(turn) {
  return (turn.call || "").replace("\0", () => `"${turn.prompt}"`);
}

for (const turn of data.turns) {
  turn.children = [];
  turn.branch = turn.branch || "main";
  turns.set(turn.id, turn);
  turn.stops = (turn.images.length ? turn.images : [null]).map((image, position) => ({turn, image, position}));
  stops.push(...turn.stops);
}
for (const session of data.sessions) session.turns = [];
for (const turn of data.turns) {
  const parent = turns.get(turn.parent);
  if (parent && parent !== turn) parent.children.push(turn);
  const session = sessionOf(turn);
  if (session) session.turns.push(turn);
}
