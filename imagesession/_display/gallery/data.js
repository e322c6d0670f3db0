"use strict";
// The page's data, and small helpers. Text is inserted as text only: nothing here writes HTML.

const data = JSON.parse(document.getElementById("data").textContent);
// Of a large library the page has no turns, but lists of where they are: they are loaded by need.
const parts = data.parts.map((facts, at) => ({...facts, at}));
const sessions = new Map(data.sessions.map((session) => [session.id, session]));
const turns = new Map();
const byImage = new Map();
const stops = []; // images, and turns without any, the latest first
const numbers = new Intl.NumberFormat("en");
const isoDays = new Intl.DateTimeFormat("sv-SE", {year: "numeric", month: "2-digit", day: "2-digit"});
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
  element.append(...children.filter((each) => each !== null && each !== undefined && each !== ""));
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
  if (turn.deleted) return "(deleted)";
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
  return turn.home;
}

function nameOf(session) {
  if (!session) return "Standalone images";
  return session.name || shorten(session.description, 60) || (session.lost ? "A session whose record is lost" : "Untitled session");
}

function price(turn) {
  if (!turn.cost) return "";
  return turn.sketch ? "Sketch" : turn.cost.replace(/ \(.*/, "");
}

function altOf(stop) {
  const what = stop.turn.sketch ? "Sketch" : "Image";
  return `${what}: ${shorten(said(stop.turn), 200)}`;
}

// The URL of an image's file. In an img, an SVG runs no script; one without a thumbnail is not shown.
function original(image) {
  return image.format === "svg" && !image.thumb ? "" : data.place + image.file;
}

function small(image) {
  return image.thumb ? `data:image/webp;base64,${image.thumb}` : "";
}

// The path of an image's file; of a page on a server, the path within the library.
function pathOf(image) {
  const path = decodeURIComponent(image.file);
  if (location.protocol !== "file:") return path;
  const whole = decodeURIComponent(new URL(original(image) || data.place + image.file, location.href).pathname);
  return whole.replace(/^\/(?=[A-Za-z]:)/, "");
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
      session && session.name, session && session.description, turn.origin, ...((image && image.tags) || [])];
    stop.words = told.filter(Boolean).join("\n").toLowerCase();
  }
  return stop.words;
}

function callOf(turn) {
  return (turn.call || "").replace("\0", () => `"${turn.prompt}"`);
}

function modelsOf(turn) {
  return [turn.image_model, turn.model].filter(Boolean);
}

function dayOf(turn) {
  turn.day ??= isoDays.format(new Date(turn.time));
  return turn.day;
}

function byTime(a, b) {
  return a.turn.id < b.turn.id ? -1 : a.turn.id > b.turn.id ? 1 : a.position - b.position;
}

// Adds turns with their sessions, and links them.
function take(payload) {
  const homes = payload.sessions.map((session) => {
    if (!sessions.has(session.id)) sessions.set(session.id, session);
    return Object.assign(sessions.get(session.id), session, {turns: []});
  });
  for (const turn of payload.turns) {
    turn.children = [];
    turn.branch = turn.branch || "main";
    turn.home = homes[turn.session] || null;
    turn.stops = (turn.images.length ? turn.images : [null]).map((image, position) => ({turn, image, position}));
    turns.set(turn.id, turn);
    for (const stop of turn.stops) {
      stops.push(stop);
      if (stop.image) byImage.set(stop.image.id, stop);
    }
  }
  for (const turn of payload.turns) {
    const parent = turns.get(turn.parent);
    if (parent && parent !== turn) parent.children.push(turn);
    if (turn.home) turn.home.turns.push(turn);
  }
  stops.sort((a, b) => byTime(b, a));
}

// --- parts -------------------------------------------------------------------------------------

const addresses = parts.length && window.trustedTypes
  ? trustedTypes.createPolicy("parts", {createScriptURL: (address) => address})
  : {createScriptURL: (address) => address};

// Scripts are the only files that a page opened from a disk may read.
function load(part) {
  part.loading ??= new Promise((resolve, reject) => {
    const script = make("script");
    script.addEventListener("load", () => (part.loaded ? resolve() : reject()));
    script.addEventListener("error", reject);
    script.src = addresses.createScriptURL(data.folder + part.file);
    document.head.append(script);
    script.remove();
  });
  return part.loading;
}

// Called by the script of a part.
function arrive(file, text) {
  const part = parts.find((each) => each.file === file);
  if (!part || part.loaded) return;
  take(JSON.parse(text));
  part.loaded = true;
}

// The parts in which the image or turn of an id can be.
function around(id) {
  return parts.filter((part) => part.oldest <= id && id <= part.newest);
}

// --- stars -------------------------------------------------------------------------------------

// A page cannot write to the library: stars that are set here stay in this browser.
const stars = {
  own: {},

  read() {
    try {
      const kept = JSON.parse(localStorage.getItem("imagesession-stars"));
      for (const [id, value] of Object.entries(kept || {})) this.own[id] = Boolean(value);
    } catch {
      // Without storage, they last as long as the page.
    }
  },

  has(image) {
    return Object.hasOwn(this.own, image.id) ? this.own[image.id] : Boolean(image.starred);
  },

  toggle(image) {
    const wanted = !this.has(image);
    if (wanted === Boolean(image.starred)) delete this.own[image.id];
    else this.own[image.id] = wanted;
    try {
      localStorage.setItem("imagesession-stars", JSON.stringify(this.own));
    } catch {
      // As above.
    }
  },
};

stars.read();
// The turns of a large library come with its parts, and a session has none before.
if (!parts.length) take(data);
