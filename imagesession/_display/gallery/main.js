"use strict";
// Search and filters, the views, and the keyboard.

const NOTHING_WANTED = {text: "", kind: "", session: "", model: "", tag: "", from: "", to: "", starred: false};
const FIELDS = ["kind", "session", "model", "tag", "from", "to"];
const wanted = {view: data.alone ? "trees" : "images", ...NOTHING_WANTED};
let growing = rows;
let isLoading = false;

function isNarrowed() {
  return Object.keys(NOTHING_WANTED).some((name) => wanted[name]);
}

function matcher() {
  const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
  return (stop) => {
    const {turn, image} = stop;
    return (!wanted.kind || turn.kind === wanted.kind)
      && (!wanted.session || (turn.home ? turn.home.id : ALONE) === wanted.session)
      && (!wanted.model || modelsOf(turn).includes(wanted.model))
      && (!wanted.tag || Boolean(image && (image.tags || []).includes(wanted.tag)))
      && (!wanted.starred || Boolean(image && stars.has(image)))
      && (!wanted.from || dayOf(turn) >= wanted.from)
      && (!wanted.to || dayOf(turn) <= wanted.to)
      && words.every((word) => wordsOf(stop).includes(word));
  };
}

// Whether a part that is not loaded can have a match; days are compared with a day to spare.
function mayMatch(part) {
  const has = (facts, name) => !name || Object.hasOwn(facts, name);
  const day = (time, by) => new Date(Date.parse(time) + by * 864e5).toISOString().slice(0, 10);
  return has(part.kinds, wanted.kind) && has(part.models, wanted.model) && has(part.tags, wanted.tag)
    && (!wanted.session || (wanted.session === ALONE ? part.loose > 0 : sessions.get(wanted.session).part === part.at))
    && (!wanted.starred || part.starred > 0 || Object.keys(stars.own).some((id) => around(id).includes(part)))
    && (!wanted.from || day(part.until, 1) >= wanted.from)
    && (!wanted.to || day(part.since, -1) <= wanted.to);
}

// The images that match, the latest first, as far as they are loaded.
const found = {
  shown: [],
  matches: () => true,
  until: "",

  start() {
    Object.assign(this, {shown: [], matches: matcher(), until: "~"});
    this.extend();
  },

  // The next part to load: the latest one that may have a match.
  next() {
    const left = parts.filter((part) => !part.loaded && mayMatch(part));
    return left.reduce((best, part) => (!best || part.latest > best.latest ? part : best), null);
  },

  extend() {
    const part = this.next();
    const far = part ? part.latest : "";
    for (const stop of stops) {
      if (stop.turn.id > this.until) continue;
      if (stop.turn.id <= far) break;
      if (stop.image && this.matches(stop)) this.shown.push(stop);
    }
    this.until = far;
  },
};

let pause = 0;

function look(change) {
  clearTimeout(pause);
  Object.assign(wanted, {text: one("search").value}, change);
  one("search").value = wanted.text;
  for (const name of FIELDS) one(name).value = wanted[name];
  one("starred").setAttribute("aria-pressed", String(wanted.starred));
  const set = FIELDS.filter((name) => wanted[name]).length;
  one("filters").textContent = set ? `Filters (${set})` : "Filters";
  one("show-images").setAttribute("aria-pressed", String(wanted.view === "images"));
  one("show-trees").setAttribute("aria-pressed", String(wanted.view === "trees"));
  scrollTo(0, 0);
  render();
}

function render() {
  found.start();
  growing = wanted.view === "trees" && sessions.size ? groves : rows;
  growing.start();
  fill();
}

function report() {
  const searching = found.next() ? ", searching …" : "";
  one("status").textContent = isNarrowed() ? `${numbers.format(found.shown.length)} of ${count(total.images, "image")}${searching}` : "";
  const empty = one("content").querySelector(".empty");
  if (empty) empty.remove();
  if (!one("content").children.length && !searching) one("content").append(nothing(isNarrowed()));
}

function nothing(narrowed) {
  if (!narrowed) {
    return make("div", {className: "empty"}, make("h2", {}, "No images yet"),
      make("p", {}, "Make one and write the gallery again: then it is here."),
      make("pre", {tabIndex: 0}, make("code", {}, 'studio.generate("a minimalist teapot logo")\nstudio.gallery("gallery.html")')));
  }
  const button = make("button", {type: "button", className: "pill"}, "Show all");
  button.addEventListener("click", () => look(NOTHING_WANTED));
  return make("div", {className: "empty"}, make("h2", {}, "Nothing matches"), make("p", {}, "No image fits the search and the filters."), button);
}

// Creates more rows as long as the end is near, and loads what they need.
function fill() {
  const near = () => one("more").getBoundingClientRect().top < innerHeight + 1200;
  if (near() && growing.grow()) {
    requestAnimationFrame(fill);
    return;
  }
  const part = growing.missing?.() || found.next();
  if (part && !isLoading && (near() || isNarrowed())) {
    isLoading = true;
    load(part).then(() => {
      isLoading = false;
      found.extend();
      fill();
    }, () => {
      one("status").textContent = `${decodeURIComponent(data.folder + part.file)} cannot be read. Keep that folder beside this page, or write the gallery again.`;
    });
  }
  report();
}

function listFor(stop) {
  if (wanted.view === "images" && found.shown.includes(stop)) return found.shown;
  const session = sessionOf(stop.turn);
  return session ? session.turns.flatMap((turn) => turn.stops) : stops.filter((each) => each.image && !each.turn.home);
}

// --- stars and comparisons ------------------------------------------------------------------

const picks = [];

function star(stop) {
  stars.toggle(stop.image);
  marked();
}

// Two images of any sessions can be compared; a third takes the place of the first.
function pick(stop) {
  const at = picks.indexOf(stop);
  if (at >= 0) picks.splice(at, 1);
  else picks.push(stop);
  if (picks.length > 2) picks.shift();
  marked();
}

function marked() {
  paintMarks(document);
  one("picked").hidden = !picks.length;
  one("picked").querySelector(".steps").replaceChildren(...picks.map((stop) => make("span", {className: "step"}, imageOf(stop))));
  one("picked").querySelector("p").textContent = picks.length < 2 ? "Choose another image to compare with" : "Two images chosen";
  one("compare-picked").disabled = picks.length < 2;
  const ids = Object.keys(stars.own);
  one("own-stars").hidden = !ids.length;
  one("own-stars").querySelector("p").textContent = `${count(ids.length, "star")} set in this browser`;
}

one("compare-picked").addEventListener("click", () => comparePair(...picks));
one("clear-picked").addEventListener("click", () => {
  picks.length = 0;
  marked();
});
one("copy-stars").addEventListener("click", (event) => {
  const ids = (wantedStar) => Object.keys(stars.own).filter((id) => stars.own[id] === wantedStar);
  const line = (verb, list) => (list.length ? [`for image_id in [${list.map((id) => `"${id}"`).join(", ")}]:\n    studio.images.get(image_id).${verb}()`] : []);
  copy([...line("star", ids(true)), ...line("unstar", ids(false))].join("\n"), event.target);
});
one("starred").addEventListener("click", () => look({starred: !wanted.starred}));

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

function move(event) {
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
  } else if (Object.hasOwn(ARROWS, event.key) && !writing) move(event);
});

one("content").addEventListener("click", (event) => {
  const frame = event.target.closest(".frame");
  if (frame) open(listFor(frame.stop), frame.stop, frame);
});

document.addEventListener("keydown", (event) => {
  const frame = event.target.closest?.("#content .frame");
  if (!frame || !frame.stop.image || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "s") star(frame.stop);
  if (event.key === "x") pick(frame.stop);
});

// --- filters ----------------------------------------------------------------------------

const counts = () => Object.create(null); // a tag may be called __proto__
const total = {images: 0, sketches: 0, paid: 0, loose: 0, starred: 0, kinds: counts(), models: counts(), tags: counts()};
for (const facts of parts.length ? parts : [data.facts]) {
  for (const [name, value] of Object.entries(total)) {
    if (typeof value === "number") total[name] += facts[name];
    else for (const [key, number] of Object.entries(facts[name])) value[key] = (value[key] || 0) + number;
  }
}

function option(value, text) {
  return make("option", {value}, text);
}

// A field of choices with how many images each has; hidden if there is nothing to choose.
function choices(name, all, numbersOf, label = (value) => value) {
  const entries = Object.entries(numbersOf).sort((a, b) => b[1] - a[1]);
  one(name).append(option("", all), ...entries.map(([value, number]) => option(value, `${shorten(label(value), 48)} (${numbers.format(number)})`)));
  one(name).parentElement.hidden = entries.length < (name === "tag" ? 1 : 2);
}

function prepare() {
  choices("kind", "All kinds", total.kinds, (kind) => KINDS[kind] || kind);
  choices("model", "All models", total.models);
  choices("tag", "All tags", total.tags);
  one("session").append(option("", "All sessions"), ...[...sessions.values()].map((session) => option(session.id, shorten(nameOf(session), 48))));
  if (total.loose) one("session").append(option(ALONE, "Standalone images"));
  if (data.alone) one("show-trees").textContent = "Tree";
  one("session").parentElement.hidden = data.alone || one("session").options.length < 3;
  document.querySelector(".switch").hidden = !sessions.size;
  for (const at of document.querySelectorAll(".search, #filters, #starred")) at.hidden = !total.images;
  const {images, sketches, paid} = total;
  const sum = [
    count(images, "image"),
    data.alone || !sessions.size ? "" : count(sessions.size, "session"),
    paid && !sketches ? data.cost.replace(/ \(.*/, "") : "",
    sketches && sketches === images ? "sketches drawn offline, not a model's work" : sketches ? `${numbers.format(sketches)} of them sketches` : "",
  ];
  one("sum").textContent = sum.filter(Boolean).join(" · ");
  one("written").textContent = `Written ${moments.format(new Date(data.written))}`;
  marked();
}

function unfold(isOpen) {
  one("filters").setAttribute("aria-expanded", String(isOpen));
  one("fields").hidden = !isOpen;
}

one("filters").addEventListener("click", () => unfold(one("fields").hidden));
for (const name of FIELDS) one(name).addEventListener("change", () => look({[name]: one(name).value}));
one("clear").addEventListener("click", () => look(NOTHING_WANTED));

one("search").addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => look({text: one("search").value}), 90);
});
one("show-images").addEventListener("click", () => look({view: "images"}));
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

async function follow() {
  const id = decodeURIComponent(location.hash.slice(1));
  const stopOf = () => byImage.get(id) || turns.get(id)?.stops[0];
  if (!stopOf()) await Promise.allSettled(id ? around(id).map(load) : []);
  const stop = stopOf();
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
