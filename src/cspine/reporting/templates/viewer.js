"use strict";
// Three linked panes: axial, sagittal and coronal slices through one point.
(() => {
  const find = (id) => document.getElementById(id), root = document.documentElement;
  const stack = JSON.parse(find("stack").textContent);
  const screen = find("screen"), slider = find("slider"), viewer = find("viewer"), help = find("help");
  const choices = (name) => [...viewer.querySelectorAll(`input[name=${name}]`)];
  const jumps = [...document.querySelectorAll("button[data-level]")], windows = choices("window"), tools = choices("tool");
  const layers = new Map([...viewer.querySelectorAll("input[data-layer]")].map((box) => [box.dataset.layer, box]));
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const count = stack.shape[0];
  const grey = { low: 0, high: 1 };
  let panes = [], active = null;

  const scene = {
    point: [stack.start, 0, 0], levels: stack.levels, rulers: [], draft: null,
    isOn: (layer) => layers.has(layer) && layers.get(layer).checked,
    nearest: () => nearest(),
  };
  // Boxes of neighbours overlap: the level of a slice is the one whose key slice it is, else whose middle is nearest.
  const away = (level) => (level.key === scene.point[0] ? -1 : Math.abs((level.first + level.last) / 2 - scene.point[0]));
  const nearest = () => stack.levels.filter((level) => level.first <= scene.point[0] && scene.point[0] <= level.last).sort((a, b) => away(a) - away(b))[0];

  let asked = false;
  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      panes.forEach((pane) => pane.draw());
    });
  };

  // Where we are: in words, on the slider, in the strip.
  const tell = () => {
    const level = nearest(), [z, y, x] = scene.point;
    const parts = [level ? level.name : "no level here", stack.names[z]];
    if (level && level.key === z) parts.push(stack.key_words);
    find("where-am-i").textContent = parts.join(" · ");
    slider.value = String(z + 1);
    slider.setAttribute("aria-valuetext", parts.join(", "));
    jumps.forEach((button) => button.setAttribute("aria-current", String(Boolean(level) && button.dataset.level === level.name)));
    const hu = stack.hounsfield[scene.voxels[(z * stack.shape[1] + y) * stack.shape[2] + x]];
    const said = [`${hu} HU at the crosshair`, `window ${Math.round(grey.high - grey.low)}, level ${Math.round((grey.high + grey.low) / 2)}`];
    const ruler = scene.rulers.at(-1);
    if (ruler) said.push(`measured ${ruler.mm.toFixed(1)} mm`);
    find("grey").textContent = said.join(" · ");
  };
  const move = (point) => {
    scene.point = point.map((place, axis) => clamp(Math.round(place), 0, stack.shape[axis] - 1));
    tell();
    redraw();
  };
  const go = (axis, slice) => move(scene.point.map((place, other) => (other === axis ? slice : place)));
  const step = (by) => go(active.plane.through, scene.point[active.plane.through] + by);
  const visit = (level) => move([level.key, level.row, level.column]);
  const nextLevel = () => {
    const ordered = [...stack.levels].sort((a, b) => a.key - b.key), [z] = scene.point;
    visit(ordered.find((level) => level.key > z) || ordered[0]);
  };

  const setWindow = (low, high) => {
    const width = clamp(high - low, 20, 4000), middle = clamp((low + high) / 2, -1000, 3000);
    Object.assign(grey, { low: middle - width / 2, high: middle + width / 2 });
    scene.greys = Voxels.greys(stack.hounsfield, grey.low, grey.high);
    windows.forEach((choice) => { choice.checked = Number(choice.dataset.low) === grey.low && Number(choice.dataset.high) === grey.high; });
    tell();
    redraw();
  };
  const preset = (choice) => setWindow(Number(choice.dataset.low), Number(choice.dataset.high));
  // As in most viewers: to the right is wider, downwards is brighter.
  const dragWindow = (x, y) => {
    const width = grey.high - grey.low, pace = Math.max(1, width / 400), middle = (grey.low + grey.high) / 2 - y * pace;
    setWindow(middle - (width + x * pace) / 2, middle + (width + x * pace) / 2);
  };

  const applyLayers = () => {
    ["heat", "box"].forEach((layer) => root.classList.toggle(`no-${layer}`, layers.has(layer) && !scene.isOn(layer)));
    viewer.querySelectorAll("[data-legend]").forEach((item) => { item.hidden = !scene.isOn(item.dataset.legend); });
    redraw();
  };
  const toggle = (layer) => {
    if (!layers.has(layer)) return;
    layers.get(layer).checked = !layers.get(layer).checked;
    applyLayers();
  };
  const activate = (pane) => {
    active = pane;
    panes.forEach((other) => other.canvas.parentElement.classList.toggle("active", other === pane));
  };
  const tool = () => tools.find((choice) => choice.checked).value;
  const choose = (name) => {
    tools.forEach((choice) => { choice.checked = choice.value === name; });
    screen.dataset.tool = name;
  };
  const enlarge = (pane) => {
    const alone = screen.dataset.alone === pane.plane.name;
    if (alone) delete screen.dataset.alone;
    else screen.dataset.alone = pane.plane.name;
    activate(pane);
    redraw();
  };
  const fill = (whole) => {
    viewer.classList.toggle("filling", whole);
    find("fill").setAttribute("aria-pressed", String(whole));
    redraw();
  };
  const reset = () => {
    panes.forEach((pane) => pane.reset());
    scene.rulers = [];
    preset(windows[0]);
  };
  const zoomBy = (factor) => {
    const frame = active.canvas.getBoundingClientRect();
    active.zoomAt(frame.left + frame.width / 2, frame.top + frame.height / 2, factor);
    redraw();
  };
  const cancel = () => {
    scene.draft = null;
    if (viewer.classList.contains("filling")) fill(false);
    else if (screen.dataset.alone) enlarge(active);
    redraw();
  };
  const dropRuler = () => {
    scene.rulers.pop();
    tell();
    redraw();
  };

  const keys = {
    ArrowUp: () => step(-1), ArrowLeft: () => step(-1), ArrowDown: () => step(1), ArrowRight: () => step(1),
    PageUp: () => step(-10), PageDown: () => step(10), Home: () => step(-1e6), End: () => step(1e6),
    n: nextLevel, a: () => activate(panes[(panes.indexOf(active) + 1) % panes.length]), d: () => enlarge(active),
    h: () => toggle("heat"), v: () => toggle("labels"), b: () => toggle("box"), x: () => toggle("cross"),
    s: () => choose("scroll"), c: () => choose("cross"), w: () => choose("window"), p: () => choose("pan"), z: () => choose("zoom"), m: () => choose("measure"),
    "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8), 0: reset,
    Delete: dropRuler, Backspace: dropRuler, f: () => fill(!viewer.classList.contains("filling")), "?": () => help.showModal(), Escape: cancel,
  };
  windows.forEach((choice, place) => { keys[place + 1] = () => preset(choice); });
  // Keys work at once, wherever the focus is, but for places where one writes or where a key has a meaning of its own.
  // What is pressed before the slices stand is done as soon as they do.
  const early = [];
  const isFramed = window.parent !== window;
  const actFor = (key) => keys[key.length === 1 ? key.toLowerCase() : key];
  const obey = (act) => {
    if (!panes.length) {
      early.push(act);
      return;
    }
    act();
    viewer.scrollIntoView({ behavior: "instant", block: "nearest" });
  };
  const closesHelp = (key) => {
    const closes = help.open && (key === "Escape" || key === "?");
    if (closes) help.close();
    return closes;
  };
  const isTheirs = (event) => {
    const moves = event.key.startsWith("Arrow") || event.key.startsWith("Page") || event.key === "Home" || event.key === "End";
    const own = "textarea, select, [contenteditable], input:not([type=range], [type=radio], [type=checkbox])";
    return help.open || event.target.closest(own) || (moves && event.target.matches("input[type=radio]"));
  };
  const press = (event) => {
    if (closesHelp(event.key)) {
      event.preventDefault();
      return;
    }
    const act = actFor(event.key);
    if (event.ctrlKey || event.metaKey || event.altKey || isTheirs(event)) return;
    if (!act) {
      if (isFramed && event.key.length === 1) window.parent.postMessage({ key: event.key }, "*");
      return;
    }
    event.preventDefault();
    obey(act);
  };
  // A page that shows this one in a frame has keys of its own, and the focus may be there: each hands on what it does
  // not know, so that no key is lost while the focus is on its way.
  const listenToPageAround = () => {
    const name = () => window.parent.postMessage({ keys: Object.keys(keys) }, "*");
    addEventListener("message", (event) => {
      if (event.source !== window.parent || !event.data) return;
      if (event.data.asks === "keys") name();
      if (typeof event.data.key !== "string" || closesHelp(event.data.key) || help.open) return;
      const act = actFor(event.data.key);
      if (act) obey(act);
    });
    name();
  };

  // What a drag does: the tool for the first button and for a finger, always the same for the others.
  const actOf = (event) => {
    if (event.button === 1 || event.shiftKey) return "pan";
    return event.button === 2 ? "window" : tool();
  };
  const crossAt = (pane, event) => {
    const [u, v] = pane.toVoxel(event.clientX, event.clientY), point = [...scene.point];
    point[pane.plane.across] = Math.floor(u);
    point[pane.plane.down] = Math.floor(v);
    move(point);
  };
  const drags = {
    scroll: (pane, event, drag) => go(pane.plane.through, drag.slice + (event.clientY - drag.y) / 4),
    cross: crossAt,
    window: (pane, event, drag) => dragWindow(event.clientX - drag.lastX, event.clientY - drag.lastY),
    pan: (pane, event, drag) => pane.panBy(event.clientX - drag.lastX, event.clientY - drag.lastY),
    zoom: (pane, event, drag) => pane.zoomAt(drag.x, drag.y, 1.01 ** (drag.lastY - event.clientY)),
    measure: (pane, event) => { scene.draft.to = pane.toVoxel(event.clientX, event.clientY); },
  };
  const beginDrag = (pane, event) => {
    const act = actOf(event), at = pane.toVoxel(event.clientX, event.clientY), slice = scene.point[pane.plane.through];
    if (act === "measure") scene.draft = { plane: pane.plane.name, slice, from: at, to: at };
    return { act, slice, x: event.clientX, y: event.clientY, lastX: event.clientX, lastY: event.clientY, far: false };
  };
  const endDrag = (pane, drag, event) => {
    if (scene.draft && scene.draft.plane === pane.plane.name) {
      const mm = pane.lengthMm(scene.draft.from, scene.draft.to);
      if (mm > 0.5) scene.rulers.push({ ...scene.draft, mm });
      scene.draft = null;
      tell();
    } else if (!drag.far && event.type === "pointerup" && event.button === 0) crossAt(pane, event);
    redraw();
  };

  const listenTo = (pane) => {
    const { canvas } = pane, fingers = new Map();
    let drag = null, rolled = 0;
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return { apart: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    };
    canvas.addEventListener("pointerdown", (event) => {
      activate(pane);
      screen.focus({ preventScroll: true });
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (fingers.size > 1) scene.draft = null;
      drag = fingers.size > 1 ? null : beginDrag(pane, event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = fingers.size > 1 ? spread() : null;
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (before) {
        const now = spread();
        pane.panBy(now.x - before.x, now.y - before.y);
        pane.zoomAt(now.x, now.y, now.apart / Math.max(1, before.apart));
      } else if (drag) {
        drag.far ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 3;
        if (drag.far || drag.act === "measure") drags[drag.act](pane, event, drag);
        Object.assign(drag, { lastX: event.clientX, lastY: event.clientY });
      }
      redraw();
    });
    ["pointerup", "pointercancel"].forEach((end) => canvas.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      if (drag) endDrag(pane, drag, event);
      drag = null;
    }));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      activate(pane);
      if (event.ctrlKey) {
        pane.zoomAt(event.clientX, event.clientY, 1.003 ** -clamp(event.deltaY, -120, 120));
        redraw();
        return;
      }
      rolled += event.deltaMode ? Math.sign(event.deltaY) * 40 : clamp(event.deltaY, -120, 120);
      const steps = Math.trunc(rolled / 40);
      rolled -= steps * 40;
      if (steps) step(steps);
    }, { passive: false });
    canvas.addEventListener("dblclick", () => tool() !== "measure" && enlarge(pane));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  };
  const listen = () => {
    slider.addEventListener("focus", () => activate(panes[0]));
    slider.addEventListener("input", () => go(0, Number(slider.value) - 1));
    jumps.forEach((button) => button.addEventListener("click", () => {
      visit(stack.levels.find((level) => level.name === button.dataset.level));
      viewer.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "nearest" });
    }));
    windows.forEach((choice) => choice.addEventListener("change", () => preset(choice)));
    tools.forEach((choice) => choice.addEventListener("change", () => choose(choice.value)));
    layers.forEach((box) => box.addEventListener("change", applyLayers));
    find("reset").addEventListener("click", reset);
    find("fill").addEventListener("click", () => fill(!viewer.classList.contains("filling")));
    find("ask").addEventListener("click", () => help.showModal());
    find("close").addEventListener("click", () => help.close());
    help.addEventListener("click", (event) => event.target === help && help.close());
    new ResizeObserver(redraw).observe(screen);
  };

  // Names of key slices that lie close to each other go into rows below each other.
  const placeMarks = () => {
    const ends = [];
    find("marks").querySelectorAll("li").forEach((item, place) => {
      const share = stack.levels[place].key / Math.max(1, count - 1);
      const free = ends.findIndex((end) => share - end >= 0.07);
      const row = free < 0 ? ends.length : free;
      ends[row] = share;
      item.style.left = `${100 * share}%`;
      item.style.top = `${row * 1.75}rem`;
    });
    find("marks").style.height = `${ends.length * 1.75}rem`;
  };

  const begin = async () => {
    const data = await Voxels.open(stack);
    Object.assign(scene, { voxels: data.voxels, warmth: Voxels.warmth(data.ramp), tints: Voxels.tints([[0, 0, 0], ...stack.colours]) });
    panes = ["axial", "sagittal", "coronal"].map((name) => Pane(find(name), Voxels.plane(name, stack, data), stack, scene));
    find("scout").hidden = true;
    find("desk").hidden = false;
    jumps.forEach((button) => { button.disabled = false; });
    placeMarks();
    panes.forEach(listenTo);
    listen();
    activate(panes[0]);
    choose(tool());
    preset(windows[0]);
    visit(stack.levels.find((level) => level.key === stack.start) || { key: stack.start, row: stack.shape[1] / 2, column: stack.shape[2] / 2 });
    applyLayers();
    if (!isFramed) screen.focus({ preventScroll: true });
    early.splice(0).forEach(obey);
    root.dataset.viewer = "ready";
  };
  document.addEventListener("keydown", press);
  if (isFramed) listenToPageAround();
  begin().catch((error) => {
    find("trouble").hidden = false;
    console.error(error);
  });
})();
