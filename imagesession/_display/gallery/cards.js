"use strict";
// Images in rows, created while scrolling, and sharpened from their files when they are visible.

const PAGE = 90;
const SHARP_AT_ONCE = 3;
const SHARP_BYTES = 12e6;

const ICONS = {
  star: "m10 2.6 2.3 4.7 5.1.7-3.7 3.6.9 5.1-4.6-2.4-4.6 2.4.9-5.1L2.6 8l5.1-.7z",
  compare: "M10 3v14M7 6.5 3.5 10 7 13.5M13 6.5l3.5 3.5-3.5 3.5",
};

function icon(name) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("viewBox", "0 0 20 20");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

function imageOf(stop) {
  const {image} = stop;
  // Thumbnails of a large library are not on the page: its files are read as they are seen.
  const source = image ? small(image) || (parts.length ? original(image) : "") : "";
  if (!source) return placeholder(stop);
  const shown = make("img", {alt: altOf(stop), decoding: "async", draggable: false});
  shown.loading = "lazy";
  shown.addEventListener("error", () => shown.replaceWith(placeholder(stop)), {once: true});
  shown.src = source;
  if (image.alpha || (parts.length && image.format !== "jpeg")) shown.classList.add("clear");
  return shown;
}

// A card for a turn without an image, or an image without a thumbnail.
function placeholder(stop) {
  const {turn, image} = stop;
  const card = make("span", {className: "blank"});
  if (image) {
    card.append(make("b", {}, image.format.toUpperCase()), make("span", {}, "No preview: the file is gone, damaged or too large"));
  } else if (turn.kind === "analysis") {
    card.append(make("b", {}, "Analysis"), make("span", {dir: "auto"}, shorten(textOf(turn), 90)));
  } else if (turn.deleted) {
    card.append(make("b", {}, "Deleted"));
  } else {
    card.classList.add("failed");
    const why = turn.failure ? turn.failure.message : "No image was made.";
    card.append(make("b", {}, turn.status === "refused" ? "Refused" : "Failed"), make("span", {dir: "auto"}, shorten(why, 80)));
  }
  return card;
}

function card(stop) {
  const {turn, image} = stop;
  const ratio = Math.max(0.3, ratioOf(image));
  const frame = make("button", {type: "button", className: "frame"}, imageOf(stop));
  frame.stop = stop;
  frame.dataset.stop = image.id;
  const meta = [data.alone ? turn.branch : turn.home ? nameOf(turn.home) : KINDS[turn.kind], price(turn)];
  const holder = make("li", {className: "card"}, frame, marksOf(stop),
    make("p", {className: "said", dir: "auto"}, shorten(said(turn), 160)),
    make("p", {className: "meta", dir: "auto"}, meta.filter(Boolean).join(" · ")));
  holder.style.setProperty("--ratio", ratio.toFixed(4));
  holder.style.setProperty("--share", Math.min(2.6, ratio).toFixed(4));
  watch(frame);
  return holder;
}

// The buttons on an image: its star, and whether it is to be compared.
function marksOf(stop) {
  const words = shorten(said(stop.turn), 60);
  const button = (className, drawing, name, action) => {
    const made = make("button", {type: "button", className: `mark ${className}`, tabIndex: -1, "aria-label": `${name}: ${words}`, title: name}, icon(drawing));
    made.dataset.of = stop.image.id;
    made.addEventListener("click", () => action(stop));
    return made;
  };
  const holder = make("div", {className: "marks"},
    button("pick", "compare", "Compare", pick), button("star", "star", "Star", star));
  paintMarks(holder);
  return holder;
}

function paintMarks(root) {
  for (const button of root.querySelectorAll("[data-of]")) {
    const {image} = byImage.get(button.dataset.of);
    const isOn = button.classList.contains("star") ? stars.has(image) : picks.includes(byImage.get(image.id));
    button.setAttribute("aria-pressed", String(isOn));
  }
}

// Rows by day, the latest first; more are created when the end becomes visible.
const rows = {
  made: 0,
  day: "",
  list: null,

  start() {
    Object.assign(this, {made: 0, day: "", list: null});
    forget();
    one("content").replaceChildren();
  },

  grow() {
    const until = Math.min(found.shown.length, this.made + PAGE);
    for (; this.made < until; this.made += 1) {
      const stop = found.shown[this.made];
      const day = days.format(new Date(stop.turn.time));
      if (day !== this.day) this.open(day);
      this.list.append(card(stop));
    }
    return this.made < found.shown.length;
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
  if (shown && small(frame.stop.image) && !shown.src.startsWith("data:")) shown.src = small(frame.stop.image);
}
