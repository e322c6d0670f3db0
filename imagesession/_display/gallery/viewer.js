"use strict";
// One image with its facts and lineage; two images of a line are compared, before and after.

const viewer = one("viewer");
const byImage = new Map(stops.filter((stop) => stop.image).map((stop) => [stop.image.id, stop]));
const still = matchMedia("(prefers-reduced-motion: reduce)");
const seen = {list: [], at: 0, comparing: false, before: null, after: null, opener: null};

function current() {
  return seen.list[seen.at];
}

// The images in a turn's line, and those that it was made from.
function relatives(stop) {
  const line = lineThrough(stop.turn).flatMap((turn) => turn.stops);
  const sources = (stop.turn.parents || []).map((id) => byImage.get(id)).filter(Boolean);
  const all = [...new Set([...sources, ...line, ...(stop.image ? [stop] : [])])];
  return all.filter((each) => each.image).sort((a, b) => (a.turn.id < b.turn.id ? -1 : a.turn.id > b.turn.id ? 1 : a.position - b.position));
}

// The image that another was made from; by default, the previous one in its line.
function beforeOf(stop) {
  const line = relatives(stop);
  const parent = (stop.turn.parents || []).map((id) => byImage.get(id)).find(Boolean);
  return parent || line[line.indexOf(stop) - 1] || line.find((each) => each !== stop) || null;
}

function keyOf(stop) {
  return stop.image ? stop.image.id : stop.turn.id;
}

function open(list, stop, opener) {
  seen.list = list.includes(stop) ? list : stop.turn.stops;
  seen.opener = opener || null;
  seen.comparing = false;
  show(seen.list.indexOf(stop));
}

function show(at) {
  seen.at = at;
  const stop = current();
  const line = relatives(stop);
  const comparable = Boolean(stop.image) && line.length > 1;
  if (!comparable) seen.comparing = false;
  if (seen.comparing) {
    seen.after = stop;
    seen.before = beforeOf(stop);
  }
  one("compare").hidden = !comparable;
  one("compare").setAttribute("aria-pressed", String(seen.comparing));
  one("count").textContent = `${numbers.format(at + 1)} of ${numbers.format(seen.list.length)}`;
  one("previous").disabled = at === 0;
  one("next").disabled = at === seen.list.length - 1;
  one("panel").replaceChildren(...panelOf(stop));
  one("panel").scrollTop = 0;
  paint();
  if (!viewer.open) {
    viewer.showModal();
    document.documentElement.classList.add("viewing");
    one("close").focus();
  }
  const hash = `#${encodeURIComponent(keyOf(stop))}`;
  if (location.hash.length > 1) history.replaceState(history.state, "", hash);
  else history.pushState({opened: true}, "", hash);
}

function paint() {
  const stop = current();
  one("stage").replaceChildren(seen.comparing ? pairOf(seen.before, seen.after) : onlyOf(stop));
  one("lineage").replaceChildren(...(seen.comparing ? choicesOf(stop) : stripOf(stop)));
}

function step(by) {
  const at = seen.at + by;
  if (at >= 0 && at < seen.list.length) show(at);
}

function goTo(stop) {
  if (!seen.list.includes(stop)) seen.list = relatives(stop).includes(stop) ? relatives(stop) : stop.turn.stops;
  show(seen.list.indexOf(stop));
}

function climb(turn) {
  if (turn) goTo(turn.stops[turn.stops.length - 1]);
}

function shut() {
  if (history.state && history.state.opened) history.back();
  else {
    history.replaceState(null, "", "#");
    closed();
  }
}

function closed() {
  if (viewer.open) viewer.close();
  document.documentElement.classList.remove("viewing");
  one("stage").replaceChildren();
  const stop = current();
  const frame = stop && stop.image && document.querySelector(`.frame[data-stop="${CSS.escape(stop.image.id)}"]`);
  const back = frame || seen.opener;
  if (back && back.isConnected) back.focus();
}

// --- image ---------------------------------------------------------------------------------

// An image: first its thumbnail, then its file; if the file is missing, the thumbnail stays.
function whole(stop, note) {
  const {image} = stop;
  const shown = make("img", {alt: altOf(stop), draggable: false});
  const file = original(image);
  if (image.alpha) shown.classList.add("clear");
  if (small(image)) shown.src = small(image);
  if (!file) return shown;
  const load = () => {
    const better = new Image();
    better.src = file;
    better.decode().then(() => {
      shown.src = file;
    }, () => note && note("The file is not where it was. This is its thumbnail."));
  };
  if (image.format === "gif" && still.matches && small(image) && note) note("An animation.", load);
  else load();
  return shown;
}

function sized(holder, stop) {
  const {image} = stop;
  one("stage").style.setProperty("--ratio", ratioOf(image).toFixed(4));
  holder.style.setProperty("--ratio", ratioOf(image).toFixed(4));
  holder.style.setProperty("--natural", `${Math.max(image.width || 640, image.format === "svg" ? 640 : 0)}px`);
  return holder;
}

function onlyOf(stop) {
  if (!stop.image || (!small(stop.image) && !original(stop.image))) {
    return make("div", {className: "nothing"}, placeholder(stop));
  }
  const remark = make("p", {className: "remark", role: "status"});
  const note = (text, play) => {
    remark.replaceChildren(text);
    if (!play) return;
    const button = make("button", {type: "button", className: "pill"}, "Play");
    button.addEventListener("click", () => {
      remark.replaceChildren();
      play();
    });
    remark.append(" ", button);
  };
  return sized(make("div", {className: "only"}, whole(stop, note), remark), stop);
}

function pairOf(before, after) {
  const range = make("input", {type: "range", min: 0, max: 100, value: 50, step: 1, "aria-label": "How much of the earlier picture is shown, in percent"});
  const earlier = whole(before);
  earlier.classList.add("earlier");
  const pair = make("div", {className: "pair"}, whole(after), earlier,
    make("span", {className: "tag left"}, "Before"), make("span", {className: "tag right"}, "After"),
    make("span", {className: "handle", "aria-hidden": "true"}), range);
  const cut = () => pair.style.setProperty("--cut", `${range.value}%`);
  range.addEventListener("input", cut);
  cut();
  return sized(pair, after);
}

function choicesOf(stop) {
  const line = relatives(stop);
  const choice = (label, side) => {
    const select = make("select", {className: "field", id: `choose-${side}`}, ...line.map((each, at) => make("option", {value: keyOf(each), selected: each === seen[side]}, `${at + 1}. ${shorten(said(each.turn), 60)}`)));
    select.addEventListener("change", () => {
      seen[side] = byImage.get(select.value);
      one("stage").replaceChildren(pairOf(seen.before, seen.after));
    });
    return make("div", {className: "choice"}, make("label", {htmlFor: select.id}, label), select);
  };
  return [choice("Before", "before"), choice("After", "after")];
}

function stripOf(stop) {
  const line = relatives(stop);
  if (line.length < 2) return [];
  return line.map((each) => {
    const button = make("button", {type: "button", className: "step", title: shorten(said(each.turn), 160)}, picture(each));
    if (each === stop) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => goTo(each));
    return button;
  });
}

// --- facts -----------------------------------------------------------------------------

function panelOf(stop) {
  const {turn, image} = stop;
  const words = said(turn);
  const parts = [make("h2", {id: "asked", dir: "auto", className: words.length > 220 ? "long" : ""}, words)];
  if (turn.sketch && image) parts.push(make("p", {className: "note"}, "A sketch, drawn offline: not a model's work, and nothing was billed."));
  if (turn.failure) parts.push(make("p", {className: "note bad", dir: "auto"}, `${turn.failure.error}: ${turn.failure.message}`));
  if (turn.said) parts.push(more("The prompt in full", turn.prompt));
  if (image && image.revised && image.revised !== turn.prompt) parts.push(more("What the image model was told", image.revised));
  if (turn.text) parts.push(more("What the model said", textOf(turn), turn.kind === "analysis"));
  parts.push(make("dl", {}, ...factsOf(stop).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {dir: "auto"}, value)])));
  if (turn.call) parts.push(copyable("Make it again", callOf(turn), "call"));
  if (image) parts.push(copyable("File", pathOf(image), "path"));
  // Opened as a page of its own, an SVG would run its scripts.
  if (image && image.format !== "svg") parts.push(make("p", {}, make("a", {href: original(image), target: "_blank", rel: "noopener", className: "pill"}, "Open the file")));
  return parts;
}

function more(name, text, isOpen = false) {
  return make("details", {open: isOpen}, make("summary", {}, name), make("p", {dir: "auto"}, text));
}

function factsOf(stop) {
  const {turn, image} = stop;
  const session = sessionOf(turn);
  const sent = [turn.references ? count(turn.references, "picture") : "", turn.masked ? "a mask" : ""];
  const facts = [
    ["Session", session && !data.alone ? visit(session) : ""],
    ["Branch", session ? turn.branch : ""],
    ["Kind", [KINDS[turn.kind] || turn.kind, turn.label].filter(Boolean).join(": ")],
    ["Made", moments.format(new Date(turn.time))],
    ["Size", image && image.width ? `${image.width} × ${image.height}` : ""],
    ["Format", image ? `${image.format.toUpperCase()}, ${weight(image.bytes)}` : ""],
    ["Model", turn.model || ""],
    ["Options", chips(turn.options)],
    ["Asked with", chips(turn.parameters)],
    ["Sent along", sent.filter(Boolean).join(" and ")],
    ["Context", turn.context === "rebuilt" ? "told again, as the provider did not know it" : ""],
    ["Put together", image && image.source === "composite" ? "from the reply and the original around the mask" : ""],
    ["Cost", turn.sketch && turn.cost ? `nothing; with a key ${turn.cost}` : turn.cost || ""],
    ["Provider", turn.provider || ""],
  ];
  return facts.filter(([, value]) => value);
}

function chips(pairs) {
  const entries = Object.entries(pairs || {});
  if (!entries.length) return "";
  return make("span", {className: "chips"}, ...entries.map(([name, value]) => make("span", {}, make("b", {}, name), ` ${shorten(value, 120)}`)));
}

function visit(session) {
  const button = make("button", {type: "button", className: "link", dir: "auto"}, nameOf(session));
  button.addEventListener("click", () => {
    shut();
    look({view: "trees", session: String(data.sessions.indexOf(session)), kind: "", text: ""});
  });
  return button;
}

function copyable(name, text, className) {
  const code = make("code", {}, text);
  const button = make("button", {type: "button", className: "copy", "aria-label": `Copy: ${name}`}, "Copy");
  button.addEventListener("click", () => copy(text, code, button));
  const box = make("pre", {tabIndex: 0, role: "region", "aria-label": name}, code);
  return make("div", {className: `copyable ${className}`}, make("h3", {}, name), button, box);
}

async function copy(text, code, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1600);
}

// --- keyboard and touch -----------------------------------------------------------------------

function compare() {
  const stop = current();
  if (one("compare").hidden) return;
  seen.comparing = !seen.comparing;
  seen.after = stop;
  seen.before = beforeOf(stop);
  one("compare").setAttribute("aria-pressed", String(seen.comparing));
  paint();
  const range = one("stage").querySelector("input");
  if (range) range.focus();
}

const viewerKeys = {
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  ArrowUp: () => climb(turns.get(current().turn.parent)),
  ArrowDown: () => climb(current().turn.children.filter((child) => child.images.length).pop() || current().turn.children[0]),
  Home: () => show(0),
  End: () => show(seen.list.length - 1),
  b: compare,
  c: () => one("panel").querySelector(".call .copy")?.click(),
};

viewer.addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const own = event.target.matches("input, select") || (event.key.startsWith("Arrow") && event.target.closest(".panel"));
  if (!plain || (own && event.key !== "b") || !Object.hasOwn(viewerKeys, event.key)) return;
  event.preventDefault();
  viewerKeys[event.key]();
});
viewer.addEventListener("cancel", (event) => {
  event.preventDefault();
  shut();
});
one("close").addEventListener("click", shut);
one("compare").addEventListener("click", compare);
one("previous").addEventListener("click", () => step(-1));
one("next").addEventListener("click", () => step(1));

let touched = null;
one("stage").addEventListener("touchstart", (event) => {
  touched = event.touches.length === 1 && !seen.comparing ? event.touches[0].clientX : null;
}, {passive: true});
one("stage").addEventListener("touchend", (event) => {
  const moved = touched === null ? 0 : event.changedTouches[0].clientX - touched;
  if (Math.abs(moved) > 60) step(moved < 0 ? 1 : -1);
});
