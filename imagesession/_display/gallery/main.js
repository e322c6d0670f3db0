"use strict";
// Search and filters, the views, and the keyboard.

const wanted = {view: data.alone ? "trees" : "pictures", text: "", kind: "", session: ""};
let shownStops = [];
let growing = rows;

function matcher() {
  const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
  return (stop) => (!wanted.kind || stop.turn.kind === wanted.kind)
    && (!wanted.session || String(stop.turn.session) === wanted.session)
    && words.every((word) => wordsOf(stop).includes(word));
}

function look(change) {
  Object.assign(wanted, change);
  one("search").value = wanted.text;
  one("kind").value = wanted.kind;
  one("session").value = wanted.session;
  one("show-pictures").setAttribute("aria-pressed", String(wanted.view === "pictures"));
  one("show-trees").setAttribute("aria-pressed", String(wanted.view === "trees"));
  scrollTo(0, 0);
  render();
}

function render() {
  const matches = matcher();
  const found = stops.filter(matches);
  const pictures = found.filter((stop) => stop.image).reverse();
  const narrowed = Boolean(wanted.text || wanted.kind || wanted.session);
  const all = stops.filter((stop) => stop.image).length;
  one("status").textContent = narrowed ? `${numbers.format(pictures.length)} of ${count(all, "picture")}` : "";
  if (wanted.view === "trees" && data.sessions.length) {
    const of = new Set(found.map((stop) => stop.turn.session));
    const sessions = data.sessions.filter((session, at) => of.has(at) || (!narrowed && !session.turns.length));
    shownStops = null;
    growing = groves;
    groves.start(sessions, pictures.filter((stop) => stop.turn.session < 0), matches);
  } else {
    shownStops = pictures;
    growing = rows;
    rows.start(pictures);
  }
  if (!one("content").children.length) one("content").append(nothing(narrowed));
  fill();
}

function nothing(narrowed) {
  if (!narrowed) {
    return make("div", {className: "empty"}, make("h2", {}, "No pictures yet"),
      make("p", {}, "Make one and write the gallery again: then it is here."),
      make("pre", {tabIndex: 0}, make("code", {}, 'studio.generate("a minimalist teapot logo")\nstudio.gallery("gallery.html")')));
  }
  const button = make("button", {type: "button", className: "pill"}, "Show all");
  button.addEventListener("click", () => look({text: "", kind: "", session: ""}));
  return make("div", {className: "empty"}, make("h2", {}, "Nothing matches"), make("p", {}, "No picture has these words and is of this kind and session."), button);
}

// Creates more rows as long as the end is near.
function fill() {
  const near = () => one("more").getBoundingClientRect().top < innerHeight + 1200;
  if (near() && growing.grow()) requestAnimationFrame(fill);
}

function listFor(stop) {
  if (shownStops && shownStops.includes(stop)) return shownStops;
  const session = sessionOf(stop.turn);
  return session ? session.turns.flatMap((turn) => turn.stops) : stops.filter((each) => each.image && each.turn.session < 0).reverse();
}

// --- keyboard navigation -----------------------------------------------------------------------------------

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

// The nearest frame in a direction, by the positions on the screen.
function neighbour(frame, [x, y]) {
  const middle = (each) => {
    const box = each.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const [fromX, fromY] = middle(frame);
  let best = null;
  let least = Infinity;
  for (const each of document.querySelectorAll("#content .frame")) {
    const [toX, toY] = middle(each);
    const [alongBy, asideBy] = x ? [(toX - fromX) * x, Math.abs(toY - fromY)] : [(toY - fromY) * y, Math.abs(toX - fromX)];
    const far = alongBy + asideBy * (x ? 20 : 2);
    if (each !== frame && alongBy > 8 && far < least && (!x || asideBy < 60)) {
      best = each;
      least = far;
    }
  }
  return best;
}

function walk(event) {
  const frame = event.target.closest?.(".frame");
  if (!frame) return;
  const all = [...document.querySelectorAll("#content .frame")];
  let next = neighbour(frame, ARROWS[event.key]);
  if (frame.closest(".tree")) {
    const {turn} = frame.stop;
    const by = (wantedTurn) => all.find((each) => each.closest(".tree") && each.stop.turn === wantedTurn);
    if (event.key === "ArrowLeft") next = by(turns.get(turn.parent)) || next;
    if (event.key === "ArrowRight") next = turn.children.map(by).find(Boolean) || next;
  } else if (!next && event.key === "ArrowRight") next = all[all.indexOf(frame) + 1];
  else if (!next && event.key === "ArrowLeft") next = all[all.indexOf(frame) - 1];
  if (!next) return;
  event.preventDefault();
  next.focus({preventScroll: true});
  next.scrollIntoView({block: "nearest", inline: "nearest", behavior: still.matches ? "auto" : "smooth"});
}

document.addEventListener("keydown", (event) => {
  if (viewer.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target.matches?.("input, select, textarea");
  if (event.key === "/" && !writing) {
    event.preventDefault();
    one("search").focus();
    one("search").select();
  } else if (event.key === "Escape" && event.target === one("search")) {
    look({text: ""});
    one("search").blur();
  } else if (event.key === "ArrowDown" && event.target === one("search")) {
    event.preventDefault();
    document.querySelector("#content .frame")?.focus();
  } else if (Object.hasOwn(ARROWS, event.key) && !writing) walk(event);
});

one("content").addEventListener("click", (event) => {
  const frame = event.target.closest(".frame");
  if (frame) open(listFor(frame.stop), frame.stop, frame);
});

// --- filters ----------------------------------------------------------------------------

function option(value, text) {
  return make("option", {value}, text);
}

function prepare() {
  const pictures = stops.filter((stop) => stop.image);
  const kinds = new Map();
  for (const stop of pictures) kinds.set(stop.turn.kind, (kinds.get(stop.turn.kind) || 0) + 1);
  one("kind").append(option("", "All kinds"), ...Object.keys(KINDS).filter((kind) => kinds.has(kind)).map((kind) => option(kind, `${KINDS[kind]} (${numbers.format(kinds.get(kind))})`)));
  one("session").append(option("", "All sessions"), ...data.sessions.map((session, at) => option(String(at), shorten(nameOf(session), 48))));
  if (pictures.some((stop) => stop.turn.session < 0)) one("session").append(option(ALONE, "Single pictures"));
  if (data.alone) one("show-trees").textContent = "Tree";
  one("kind").hidden = kinds.size < 2;
  one("session").hidden = data.alone || one("session").options.length < 3;
  document.querySelector(".switch").hidden = !data.sessions.length;
  document.querySelector(".search").hidden = !pictures.length;
  const paid = data.turns.filter((turn) => turn.cost && !turn.sketch).length;
  const sketches = pictures.filter((stop) => stop.turn.sketch).length;
  const sum = [
    count(pictures.length, "picture"),
    data.alone || !data.sessions.length ? "" : count(data.sessions.length, "session"),
    paid && !sketches ? data.cost.replace(/ \(.*/, "") : "",
    sketches && sketches === pictures.length ? "sketches drawn offline, not a model's work" : sketches ? `${numbers.format(sketches)} of them sketches` : "",
  ];
  one("sum").textContent = sum.filter(Boolean).join(" · ");
  one("written").textContent = `Written ${moments.format(new Date(data.written))}`;
}

let pause = 0;
one("search").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => look({text: one("search").value}), 90);
});
one("kind").addEventListener("change", () => look({kind: one("kind").value}));
one("session").addEventListener("change", () => look({session: one("session").value}));
one("show-pictures").addEventListener("click", () => look({view: "pictures"}));
one("show-trees").addEventListener("click", () => look({view: "trees"}));

// --- theme ----------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");

function remembered(theme) {
  try {
    if (theme) localStorage.setItem("imagesession-theme", theme);
    return localStorage.getItem("imagesession-theme");
  } catch {
    return null;
  }
}

function paintTheme(theme) {
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  const isDark = (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  one("theme").setAttribute("aria-label", isDark ? "Use light colours" : "Use dark colours");
  one("theme").dataset.next = isDark ? "light" : "dark";
}

one("theme").addEventListener("click", () => {
  const {next} = one("theme").dataset;
  remembered(next);
  paintTheme(next);
});
dark.addEventListener("change", () => paintTheme(null));

// --- start -----------------------------------------------------------------------------

function follow() {
  const id = decodeURIComponent(location.hash.slice(1));
  const stop = byImage.get(id) || turns.get(id)?.stops[0];
  if (stop) open(listFor(stop), stop, null);
  else if (viewer.open) closed();
}

addEventListener("popstate", follow);
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) fill();
}, {rootMargin: "1200px"}).observe(one("more"));

paintTheme(remembered(null));
prepare();
look({});
if (location.hash.length > 1) follow();
requestAnimationFrame(() => requestAnimationFrame(() => {
  document.documentElement.dataset.ready = "yes";
}));
