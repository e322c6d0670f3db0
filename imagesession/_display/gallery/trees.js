"use strict";
// Sessions as trees: time runs to the right, and every branch has its own row.

const WIDE = 132;
const GAP = 44;
const TALL = 224;
const SVG_SPACE = "http://www.w3.org/2000/svg";
const SESSIONS_AT_ONCE = 6;

// The position of every turn: its column is its depth, its row the first free one along its line.
function layOut(session) {
  const places = new Map();
  const bottoms = [];
  const own = new Set(session.turns);
  const kids = (turn) => turn.children.filter((child) => own.has(child));
  const heir = (turn) => kids(turn).find((child) => child.branch === turn.branch && child.images.length)
    || kids(turn).find((child) => child.images.length);
  const place = (turn, column, above) => {
    const line = [];
    for (let at = turn; at && !places.has(at) && !line.includes(at); at = heir(at)) line.push(at);
    let row = above;
    for (let at = Math.max(0, column - 1); at < column + line.length; at += 1) row = Math.max(row, (bottoms[at] ?? -1) + 1);
    line.forEach((each, step) => {
      places.set(each, {column: column + step, row});
      bottoms[column + step] = row;
    });
    for (let step = line.length - 1; step >= 0; step -= 1) {
      for (const child of kids(line[step])) {
        if (!places.has(child)) place(child, column + step + 1, row + 1);
      }
    }
  };
  for (const turn of session.turns) {
    const parent = turns.get(turn.parent);
    if (!places.has(turn) && (!parent || !own.has(parent))) place(turn, 0, 0);
  }
  for (const turn of session.turns) if (!places.has(turn)) place(turn, 0, 0);
  return places;
}

function node(turn, place, heads, matched) {
  const stop = turn.stops[turn.stops.length - 1];
  const marks = Object.entries(heads).filter(([, head]) => head === turn.id).map(([branch]) => branch);
  const frame = make("button", {type: "button", className: "frame square"}, imageOf(stop));
  frame.stop = stop;
  if (stop.image) frame.dataset.stop = stop.image.id;
  else frame.append(make("span", {className: "unseen"}, ` ${shorten(said(turn), 160)}`));
  if (turn.stops.length > 1) frame.append(make("span", {className: "several"}, `×${turn.stops.length}`));
  const holder = make("li", {className: matched ? "node" : "node aside"}, frame, stop.image ? marksOf(stop) : null,
    make("p", {className: "said", dir: "auto"}, shorten(said(turn), 120)),
    make("p", {className: "meta"},
      ...marks.map((branch) => make("span", {className: "head", dir: "auto", title: `Head of ${branch}`}, branch)),
      price(turn)));
  holder.style.setProperty("--x", `${place.column * (WIDE + GAP)}px`);
  holder.style.setProperty("--y", `${place.row * TALL}px`);
  if (stop.image) watch(frame);
  return holder;
}

function branchLines(places, width, height) {
  const drawing = document.createElementNS(SVG_SPACE, "svg");
  drawing.setAttribute("aria-hidden", "true");
  drawing.setAttribute("width", width);
  drawing.setAttribute("height", height);
  for (const [turn, to] of places) {
    const from = places.get(turns.get(turn.parent));
    if (!from) continue;
    const line = document.createElementNS(SVG_SPACE, "path");
    const left = from.column * (WIDE + GAP) + WIDE + 6;
    const right = to.column * (WIDE + GAP) - 6;
    const start = from.row * TALL + WIDE / 2;
    const end = to.row * TALL + WIDE / 2;
    const middle = left + (GAP - 12) / 2;
    line.setAttribute("d", start === end
      ? `M${left} ${start}H${right}`
      : `M${left} ${start}H${middle - 8}Q${middle} ${start} ${middle} ${start + 8}V${end - 10}Q${middle} ${end} ${middle + 10} ${end}H${right}`);
    if (!turn.images.length) line.setAttribute("class", "faint");
    drawing.append(line);
  }
  return drawing;
}

function treeOf(session, matches) {
  const places = layOut(session);
  const columns = Math.max(0, ...Array.from(places.values(), (place) => place.column)) + 1;
  const lanes = Math.max(0, ...Array.from(places.values(), (place) => place.row)) + 1;
  const width = columns * (WIDE + GAP) - GAP;
  const height = lanes * TALL;
  const list = make("ol", {className: "nodes"});
  for (const turn of session.turns) list.append(node(turn, places.get(turn), session.heads || {}, turn.stops.some(matches)));
  list.style.setProperty("--width", `${width}px`);
  list.style.setProperty("--height", `${height}px`);
  const inner = make("div", {className: "branches"}, branchLines(places, width, height), list);
  return make("div", {className: "tree", tabIndex: 0, role: "group", "aria-label": `Tree of ${nameOf(session)}`}, inner);
}

// The images that are sent with every turn, with their roles.
function boardOf(session) {
  if (!session.board) return null;
  const references = session.board.map((image) => make("li", {},
    make("span", {className: "step"}, imageOf({image, turn: {prompt: image.role}})), make("span", {dir: "auto"}, image.role)));
  return make("ul", {className: "board", "aria-label": "Reference board"}, ...references);
}

function sessionPart(session, matches) {
  const images = session.turns.reduce((sum, turn) => sum + turn.images.length, 0);
  const lines = new Set(session.turns.map((turn) => turn.branch)).size;
  const drawn = session.turns.some((turn) => turn.sketch) && session.turns.every((turn) => turn.sketch || !turn.cost);
  const facts = [
    days.format(new Date(session.created)), count(images, "image"),
    lines > 1 ? `${lines} branches` : "",
    drawn ? "sketches, nothing billed" : session.cost || "", session.closed ? "closed" : "",
  ];
  const about = session.name ? session.description : "";
  return make("section", {className: "session"},
    make("h2", {dir: "auto", className: data.alone ? "unseen" : ""}, nameOf(session)),
    about ? make("p", {className: "about", dir: "auto"}, shorten(about, 300)) : null,
    make("p", {className: "meta"}, facts.filter(Boolean).join(" · ")),
    boardOf(session),
    session.turns.length ? treeOf(session, matches) : make("p", {className: "meta"}, "No turns yet."));
}

// Sessions, the latest first, then single images; more are created when the end becomes visible.
const groves = {
  shown: [],
  made: 0,
  loose: 0,
  list: null,

  start() {
    Object.assign(this, {shown: [...sessions.values()], made: 0, loose: 0, list: null});
    forget();
    one("content").replaceChildren();
  },

  // The part of the next session, if it is not loaded.
  missing() {
    for (; this.made < this.shown.length; this.made += 1) {
      const session = this.shown[this.made];
      if (session.turns) return null;
      if (mayMatch(parts[session.part])) return parts[session.part];
    }
    return null;
  },

  grow() {
    let added = 0;
    while (this.made < this.shown.length && added < SESSIONS_AT_ONCE) {
      if (this.missing() || this.made >= this.shown.length) return false;
      const session = this.shown[this.made];
      this.made += 1;
      const isShown = isNarrowed() ? session.turns.some((turn) => turn.stops.some(found.matches)) : true;
      if (!isShown) continue;
      one("content").append(sessionPart(session, found.matches));
      added += 1;
    }
    return added > 0 || this.growLoose();
  },

  growLoose() {
    const some = [];
    for (; this.loose < found.shown.length && some.length < PAGE; this.loose += 1) {
      if (!found.shown[this.loose].turn.home) some.push(found.shown[this.loose]);
    }
    if (!some.length) return false;
    if (!this.list) {
      this.list = make("ul", {className: "rows"});
      one("content").append(make("section", {className: "session"}, make("h2", {}, "Standalone images"),
        make("p", {className: "meta"}, isNarrowed() ? "" : count(total.loose, "image")), this.list));
    }
    this.list.append(...some.map(card));
    return true;
  },
};
