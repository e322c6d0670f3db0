"use strict";
// One image with its facts and lineage, or two that are compared: before and after, or any two.

const viewer = one("viewer");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const seen = {list: [], at: 0, comparing: false, before: null, after: null, sides: null, opener: null};

function current() {
  return seen.list[seen.at];
}

// The images in a turn's line, and those that it was made from.
function relatives(stop) {
  const line = lineThrough(stop.turn).flatMap((turn) => turn.stops);
  const sources = (stop.turn.parents || []).map((id) => byImage.get(id)).filter(Boolean);
  const all = [...new Set([...sources, ...line, ...(stop.image ? [stop] : [])])];
  return all.filter((each) => each.image).sort(byTime);
}

// The image that another was made from; by default, the previous one in its line.
function beforeOf(stop) {
  const line = relatives(stop);
  const parent = (stop.turn.parents || []).map((id) => byImage.get(id)).find(Boolean);
  return parent || line[line.indexOf(stop) - 1] || candidates(stop).find((each) => each !== stop) || null;
}

// The images that an image can be compared with: its line, and those that were chosen.
function candidates(stop) {
  const chosen = [...picks, ...(seen.comparing ? [seen.before, seen.after] : [])];
  return [...new Set([...relatives(stop), ...chosen, ...(stop.image ? [stop] : [])])].filter(Boolean).sort(byTime);
}

function keyOf(stop) {
  return stop.image ? stop.image.id : stop.turn.id;
}

async function open(list, stop, opener) {
  seen.list = list.includes(stop) ? list : stop.turn.stops;
  seen.opener = opener || null;
  seen.comparing = false;
  show(seen.list.indexOf(stop));
  // The images that it was made from may be in other parts.
  const missing = (stop.turn.parents || []).filter((id) => !byImage.has(id)).flatMap(around).filter((part) => !part.loaded);
  if (!missing.length) return;
  await Promise.allSettled(missing.map(load));
  if (viewer.open && current() === stop && !seen.comparing) show(seen.at);
}

function comparePair(before, after) {
  seen.list = [before, after];
  seen.opener = document.activeElement;
  seen.comparing = true;
  Object.assign(seen, {before, after});
  show(1);
}

function show(at) {
  seen.at = at;
  const stop = current();
  const comparable = Boolean(stop.image) && candidates(stop).length > 1;
  if (!comparable) seen.comparing = false;
  if (seen.comparing && seen.after !== stop) {
    seen.after = stop;
    seen.before = beforeOf(stop);
  }
  one("compare").hidden = !comparable;
  one("compare").setAttribute("aria-pressed", String(seen.comparing));
  one("count").textContent = `${numbers.format(at + 1)} of ${numbers.format(seen.list.length)}`;
  one("previous").disabled = at === 0;
  one("next").disabled = at === seen.list.length - 1;
  for (const name of ["star", "pick"]) {
    one(name).hidden = !stop.image;
    if (stop.image) one(name).dataset.of = stop.image.id;
  }
  paintMarks(viewer);
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
  one("lineage").querySelector("[aria-current]")?.scrollIntoView({block: "nearest", inline: "center"});
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

// Whether one image is before the other in time and on its branch; else they are just two.
function namesOf(before, after) {
  const isLine = relatives(after).includes(before) && before.turn.id <= after.turn.id;
  return isLine ? ["Before", "After"] : ["First", "Second"];
}

function pairOf(before, after) {
  const sides = seen.sides ?? Math.abs(ratioOf(before.image) / ratioOf(after.image) - 1) > 0.02;
  return sides ? sidesOf(before, after) : sliderOf(before, after);
}

function sidesOf(before, after) {
  const names = namesOf(before, after);
  return make("div", {className: "sides"}, ...[before, after].map((stop, at) => {
    const side = make("figure", {}, whole(stop), make("figcaption", {dir: "auto"}, make("b", {}, names[at]), ` ${shorten(said(stop.turn), 80)}`));
    side.style.setProperty("--ratio", ratioOf(stop.image).toFixed(4));
    return side;
  }));
}

function sliderOf(before, after) {
  const names = namesOf(before, after);
  const range = make("input", {type: "range", min: 0, max: 100, value: 50, step: 1, "aria-label": "How much of the first image is shown, in percent"});
  const earlier = whole(before);
  earlier.classList.add("earlier");
  const pair = make("div", {className: "pair"}, whole(after), earlier,
    make("span", {className: "tag left"}, names[0]), make("span", {className: "tag right"}, names[1]),
    make("span", {className: "handle", "aria-hidden": "true"}), range);
  const cut = () => pair.style.setProperty("--cut", `${range.value}%`);
  range.addEventListener("input", cut);
  cut();
  return sized(pair, after);
}

function choicesOf(stop) {
  const line = candidates(stop);
  const names = namesOf(seen.before, seen.after);
  const choice = (label, side) => {
    const select = make("select", {className: "field", id: `choose-${side}`}, ...line.map((each, at) => make("option", {value: keyOf(each), selected: each === seen[side]}, `${at + 1}. ${shorten(said(each.turn), 60)}`)));
    select.addEventListener("change", () => {
      seen[side] = byImage.get(select.value);
      paint();
      one(select.id).focus();
    });
    return make("div", {className: "choice"}, make("label", {htmlFor: select.id}, label), select);
  };
  const sides = make("button", {type: "button", className: "pill", "aria-pressed": String(Boolean(one("stage").querySelector(".sides")))}, "Side by side");
  sides.addEventListener("click", () => {
    seen.sides = !one("stage").querySelector(".sides");
    paint();
    one("lineage").querySelector(".pill").focus();
  });
  return [choice(names[0], "before"), choice(names[1], "after"), sides];
}

function stripOf(stop) {
  const line = relatives(stop);
  if (line.length < 2) return [];
  return line.map((each) => {
    const button = make("button", {type: "button", className: "step", title: shorten(said(each.turn), 160)}, imageOf(each));
    if (each === stop) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => goTo(each));
    return button;
  });
}

// --- facts -----------------------------------------------------------------------------

function panelOf(stop) {
  const {turn, image} = stop;
  const words = said(turn);
  const blocks = [make("h2", {id: "asked", dir: "auto", className: words.length > 220 ? "long" : ""}, words)];
  if (turn.sketch && image) blocks.push(make("p", {className: "note"}, "A sketch, drawn offline: not a model's work, and nothing was billed."));
  if (turn.failure) blocks.push(make("p", {className: "note bad", dir: "auto"}, `${turn.failure.error}: ${turn.failure.message}`));
  if (turn.said) blocks.push(more("The prompt in full", turn.prompt));
  if (image && image.revised && image.revised !== turn.prompt) blocks.push(more("The prompt for the image model", image.revised));
  if (turn.text) blocks.push(more("The model's text", textOf(turn), turn.kind === "analysis"));
  blocks.push(make("dl", {}, ...factsOf(stop).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {dir: "auto"}, value)])));
  if (image) blocks.push(actionsOf(stop));
  if (turn.call) blocks.push(copyable("Make it again", callOf(turn), "call"));
  if (image) blocks.push(copyable("File", pathOf(image), "path"));
  return blocks;
}

function actionsOf(stop) {
  const {turn, image} = stop;
  const button = (name, text) => {
    const made = make("button", {type: "button", className: "pill"}, name);
    made.addEventListener("click", () => copy(text, made));
    return made;
  };
  const actions = make("div", {className: "actions"}, turn.prompt ? button("Copy prompt", turn.prompt) : null, button("Copy id", image.id));
  // Opened as a page of its own, an SVG would run its scripts.
  if (image.format === "svg") return actions;
  // From a disk, browsers open a file instead of saving a copy.
  const name = location.protocol === "file:" ? "Open the file" : "Download";
  actions.append(make("a", {href: original(image), download: image.file.split("/").pop(), target: "_blank", rel: "noopener", className: "pill"}, name));
  return actions;
}

function more(name, text, isOpen = false) {
  return make("details", {open: isOpen}, make("summary", {}, name), make("p", {dir: "auto"}, text));
}

function factsOf(stop) {
  const {turn, image} = stop;
  const session = sessionOf(turn);
  const sent = [turn.references ? count(turn.references, "reference image") : "", turn.masked ? "a mask" : ""];
  const facts = [
    ["Session", session && !data.alone ? linked(nameOf(session), {view: "trees", session: session.id}) : ""],
    ["Branch", session ? turn.branch : ""],
    ["Kind", [KINDS[turn.kind] || turn.kind, turn.label].filter(Boolean).join(": ")],
    ["Made", moments.format(new Date(turn.time))],
    ["Size", image && image.width ? `${image.width} × ${image.height}` : ""],
    ["Format", image ? `${image.format.toUpperCase()}, ${weight(image.bytes)}` : ""],
    ["Image model", turn.image_model || ""],
    ["Chat model", turn.model || ""],
    ["Tags", image && image.tags ? tagsOf(image) : ""],
    ["Options", chips(turn.options)],
    ["Parameters", chips(turn.parameters)],
    ["Inputs", sent.filter(Boolean).join(" and ")],
    ["Context", turn.context === "rebuilt" ? "sent again in full, as the provider did not know it" : ""],
    ["Composite", image && image.source === "composite" ? "the reply within the mask, the original around it" : ""],
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

function tagsOf(image) {
  return make("span", {className: "chips"}, ...image.tags.map((tag) => linked(tag, {tag})));
}

// A button that closes the image and shows what fits a filter.
function linked(text, filter) {
  const button = make("button", {type: "button", className: "link", dir: "auto"}, text);
  button.addEventListener("click", () => {
    shut();
    unfold(true);
    look({...NOTHING_WANTED, ...filter});
  });
  return button;
}

function copyable(name, text, className) {
  const code = make("code", {}, text);
  const button = make("button", {type: "button", className: "copy", "aria-label": `Copy: ${name}`}, "Copy");
  button.addEventListener("click", () => copy(text, button));
  const box = make("pre", {tabIndex: 0, role: "region", "aria-label": name}, code);
  return make("div", {className: `copyable ${className}`}, make("h3", {}, name), button, box);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("textarea", {className: "unseen", value: text, "aria-hidden": "true"});
    button.after(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  const name = button.dataset.name ||= button.textContent;
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = name;
  }, 1600);
}

// --- keyboard and touch -----------------------------------------------------------------------

function compare() {
  const stop = current();
  if (one("compare").hidden) return;
  seen.comparing = !seen.comparing;
  seen.sides = null;
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
  s: () => current().image && star(current()),
  x: () => current().image && pick(current()),
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
one("star").addEventListener("click", () => star(current()));
one("pick").addEventListener("click", () => {
  pick(current());
  show(seen.at);
});
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
