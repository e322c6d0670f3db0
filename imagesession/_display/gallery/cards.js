"use strict";
// Images in rows, created while scrolling, and sharpened from their files when they are visible.

const PAGE = 90;
const SHARP_AT_ONCE = 3;
const SHARP_BYTES = 12e6;

function picture(stop, sizes = {}) {
  const {image} = stop;
  const source = image ? small(image) : "";
  if (!source) return placeholder(stop);
  const shown = make("img", {alt: altOf(stop), src: source, decoding: "async", draggable: false, ...sizes});
  if (image.alpha) shown.classList.add("clear");
  shown.stop = stop;
  return shown;
}

// A card for a turn without an image, or an image without a thumbnail.
function placeholder(stop) {
  const {turn, image} = stop;
  const card = make("span", {className: "blank"});
  if (image) {
    card.append(make("b", {}, image.format.toUpperCase()), make("span", {}, "No preview: the file is gone, damaged or too large"));
  } else if (turn.kind === "analysis") {
    card.append(make("b", {}, "Looked at"), make("span", {dir: "auto"}, shorten(textOf(turn), 90)));
  } else {
    card.classList.add("failed");
    const why = turn.failure ? turn.failure.message : "No picture came.";
    card.append(make("b", {}, turn.status === "refused" ? "Refused" : "Failed"), make("span", {dir: "auto"}, shorten(why, 80)));
  }
  return card;
}

function card(stop) {
  const {turn, image} = stop;
  const ratio = Math.min(2.4, Math.max(0.56, ratioOf(image)));
  const frame = make("button", {type: "button", className: "frame"}, picture(stop));
  frame.stop = stop;
  frame.dataset.stop = image.id;
  const meta = [data.alone ? turn.branch : turn.session < 0 ? KINDS[turn.kind] : nameOf(sessionOf(turn)), price(turn)];
  const holder = make("li", {className: "card"}, frame,
    make("p", {className: "said", dir: "auto"}, shorten(said(turn), 160)),
    make("p", {className: "meta", dir: "auto"}, meta.filter(Boolean).join(" · ")));
  holder.style.setProperty("--ratio", ratio.toFixed(4));
  watch(frame);
  return holder;
}

// Rows by day, the latest first; more are created when the end becomes visible.
const rows = {
  shown: [],
  made: 0,
  day: "",
  list: null,

  start(found) {
    this.shown = found;
    this.made = 0;
    this.day = "";
    this.list = null;
    forget();
    one("content").replaceChildren();
    this.grow();
  },

  grow() {
    const until = Math.min(this.shown.length, this.made + PAGE);
    for (; this.made < until; this.made += 1) {
      const stop = this.shown[this.made];
      const day = days.format(new Date(stop.turn.time));
      if (day !== this.day) this.open(day);
      this.list.append(card(stop));
    }
    return this.made < this.shown.length;
  },

  open(day) {
    this.day = day;
    this.list = make("ul", {className: "rows"});
    one("content").append(make("section", {className: "day"}, make("h2", {className: "date"}, day), this.list));
  },
};

// --- sharpening --------------------------------------------------------------------------------

const waiting = new Set();
let busy = 0;

const eye = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) waiting.add(entry.target);
    else {
      waiting.delete(entry.target);
      blur(entry.target);
    }
  }
  setTimeout(sharpen, 250);
});

function watch(frame) {
  const {image} = frame.stop;
  const gif = image && image.format === "gif";
  if (image && original(image) && !gif && image.bytes < SHARP_BYTES) eye.observe(frame);
}

function forget() {
  eye.disconnect();
  waiting.clear();
}

function sharpen() {
  for (const frame of waiting) {
    if (busy >= SHARP_AT_ONCE) return;
    waiting.delete(frame);
    const shown = frame.querySelector("img");
    if (!shown || !frame.isConnected || !shown.naturalWidth) continue;
    const wanted = frame.clientWidth * Math.min(devicePixelRatio, 2);
    if (shown.naturalWidth > wanted * 0.8 || shown.naturalWidth >= frame.stop.image.width) continue;
    busy += 1;
    const better = new Image();
    better.decoding = "async";
    better.src = original(frame.stop.image);
    const done = () => {
      busy -= 1;
      sharpen();
    };
    better.decode().then(() => {
      if (frame.isConnected) shown.src = better.src;
      done();
    }, done);
  }
}

function blur(frame) {
  const shown = frame.querySelector("img");
  if (shown && !shown.src.startsWith("data:")) shown.src = small(frame.stop.image);
}
