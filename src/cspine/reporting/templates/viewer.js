"use strict";
// Axial slices on a canvas. Nothing here asks a network for anything: the slices are in the page.
(() => {
  const find = (id) => document.getElementById(id);
  const stack = JSON.parse(find("stack").textContent);
  const [count, rows, columns] = stack.shape;
  const screen = find("screen"), canvas = find("canvas"), slider = find("slider"), scout = find("scout").querySelector("svg");
  const jumps = [...document.querySelectorAll("button[data-slice]")];
  const windows = [...document.querySelectorAll("input[name=window]")];
  const layers = new Map([...document.querySelectorAll("input[data-layer]")].map((box) => [box.dataset.layer, box]));
  const colours = [null, [240, 228, 66], [86, 180, 233], [230, 159, 0], [0, 200, 150], [204, 121, 167], [120, 150, 255], [255, 120, 90], [170, 170, 170]];
  const tones = { suspicious: "#ff8a5c", calm: "#62b0e8", unknown: "#c3ccd2" };
  const amber = "#f2d16b";
  let voxels, labels, heat, ramp;
  let current = 0;

  // Unpacking: see cspine.reporting.pages.packing.
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(plain).arrayBuffer());
  };
  const undoGuesses = (codes) => {
    for (let z = 0, at = 0; z < count; z++) {
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, at++) {
          const left = x ? codes[at - 1] : 0, upper = y ? codes[at - columns] : 0, corner = x && y ? codes[at - columns - 1] : 0;
          const low = Math.min(left, upper), high = Math.max(left, upper);
          codes[at] += Math.min(Math.max(left + upper - corner, low), high);
        }
      }
    }
    return codes;
  };

  const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
  const grey = sheet(columns, rows), outline = sheet(columns, rows);
  const warm = stack.heat_shape ? sheet(stack.heat_shape[2], stack.heat_shape[1]) : null;
  const painted = (target, colour) => {
    const pen = target.getContext("2d"), image = pen.createImageData(target.width, target.height);
    for (let at = 0; at < target.width * target.height; at++) colour(at, image.data, 4 * at);
    pen.putImageData(image, 0, 0);
    return target;
  };
  const shades = () => {
    const chosen = windows.find((choice) => choice.checked), low = Number(chosen.dataset.low), high = Number(chosen.dataset.high);
    return Uint8ClampedArray.from(stack.hounsfield, (hu) => (255 * (hu - low)) / (high - low));
  };
  const paintGrey = () => {
    const table = shades(), first = current * rows * columns;
    return painted(grey, (at, data, to) => {
      data[to] = data[to + 1] = data[to + 2] = table[voxels[first + at]];
      data[to + 3] = 255;
    });
  };
  const paintHeat = () => {
    const first = current * warm.width * warm.height;
    return painted(warm, (at, data, to) => data.set(ramp.subarray(4 * heat[first + at], 4 * heat[first + at] + 4), to));
  };
  const paintLabels = () => {
    const first = current * rows * columns, here = labels.subarray(first, first + rows * columns);
    return painted(outline, (at, data, to) => {
      const label = here[at];
      if (!label) return;
      const edge = [at - 1, at + 1, at - columns, at + columns].some((next) => here[next] !== label);
      data.set(colours[label], to);
      data[to + 3] = edge ? 235 : 40;
    });
  };

  const isOn = (layer) => layers.has(layer) && layers.get(layer).checked;
  // Boxes of neighbours overlap: the level of a slice is the one whose key slice it is, else whose middle is nearest.
  const away = (level) => (level.key === current ? -1 : Math.abs((level.first + level.last) / 2 - current));
  const nearest = () => stack.levels.filter((level) => level.first <= current && current <= level.last).sort((a, b) => away(a) - away(b))[0];

  const draw = () => {
    const width = screen.clientWidth, scale = devicePixelRatio || 1, zoom = (width * scale) / columns;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(rows * zoom);
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    const lay = (source) => pen.drawImage(source, 0, 0, canvas.width, canvas.height);
    lay(paintGrey());
    if (isOn("heat")) lay(paintHeat());
    if (isOn("labels")) lay(paintLabels());
    if (isOn("box") && nearest()) drawBox(pen, nearest(), zoom, scale);
    drawLetters(pen, scale);
  };
  const drawBox = (pen, level, zoom, scale) => {
    if (!level.box) return;
    const [left, top, width, height] = level.box.map((length) => length * zoom);
    pen.strokeStyle = tones[level.tone];
    pen.lineWidth = 1.5 * scale;
    pen.setLineDash(level.key === current ? [] : [6 * scale, 5 * scale]);
    pen.strokeRect(left, top, width, height);
    pen.setLineDash([]);
    write(pen, level.name, left + 4 * scale, top + 14 * scale, "left", tones[level.tone], scale);
  };
  const drawLetters = (pen, scale) => {
    const { width, height } = canvas, edge = 8 * scale;
    write(pen, "R", edge, height / 2, "left", amber, scale);
    write(pen, "L", width - edge, height / 2, "right", amber, scale);
    write(pen, "A", width / 2, 18 * scale, "center", amber, scale);
    write(pen, "P", width / 2, height - edge, "center", amber, scale);
    const ruler = ((20 / stack.pixel_mm) * width) / columns;
    pen.fillStyle = amber;
    pen.fillRect(edge, height - edge - 3 * scale, ruler, 3 * scale);
    write(pen, "2 cm", edge, height - edge - 8 * scale, "left", amber, scale);
  };
  const write = (pen, text, x, y, align, colour, scale) => {
    pen.font = `650 ${14 * scale}px system-ui, sans-serif`;
    pen.textAlign = align;
    pen.lineWidth = 3 * scale;
    pen.strokeStyle = "#000";
    pen.strokeText(text, x, y);
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  };

  // Where we are: in words, on the slider, from the side.
  const here = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const tell = () => {
    const level = nearest();
    const parts = [level ? level.name : "no level here", stack.names[current]];
    if (level && level.key === current) parts.push(stack.key_words);
    find("where-am-i").textContent = parts.join(" · ");
    slider.value = String(current + 1);
    slider.setAttribute("aria-valuetext", parts.join(", "));
    const height = scout.viewBox.baseVal.height, y = String(((current + 0.5) / count) * height);
    here.setAttribute("y1", y);
    here.setAttribute("y2", y);
    jumps.forEach((button) => button.setAttribute("aria-current", String(Boolean(level) && button.dataset.level === level.name)));
  };
  let asked = false;
  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
  const go = (slice) => {
    const next = Math.min(Math.max(Math.round(slice), 0), count - 1);
    if (next === current) return;
    current = next;
    tell();
    redraw();
  };

  const toggle = (layer) => {
    if (!layers.has(layer)) return;
    layers.get(layer).checked = !layers.get(layer).checked;
    applyLayers();
  };
  const applyLayers = () => {
    ["heat", "box"].forEach((layer) => document.documentElement.classList.toggle(`no-${layer}`, layers.has(layer) && !isOn(layer)));
    redraw();
  };
  const keys = {
    ArrowUp: () => go(current - 1), ArrowLeft: () => go(current - 1), ArrowDown: () => go(current + 1), ArrowRight: () => go(current + 1),
    PageUp: () => go(current - 10), PageDown: () => go(current + 10), Home: () => go(0), End: () => go(count - 1),
    h: () => toggle("heat"), v: () => toggle("labels"), b: () => toggle("box"),
  };
  windows.forEach((choice, place) => {
    keys[place + 1] = () => {
      choice.checked = true;
      redraw();
    };
  });
  const press = (event) => {
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  };

  const listen = () => {
    screen.addEventListener("keydown", press);
    slider.addEventListener("keydown", press);
    slider.addEventListener("input", () => go(Number(slider.value) - 1));
    let rolled = 0;
    screen.addEventListener("wheel", (event) => {
      event.preventDefault();
      rolled += event.deltaMode ? Math.sign(event.deltaY) * 40 : Math.max(-120, Math.min(120, event.deltaY));
      const steps = Math.trunc(rolled / 40);
      rolled -= steps * 40;
      go(current + steps);
    }, { passive: false });
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      drag = { from: event.clientY, slice: current };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => drag && go(drag.slice + (event.clientY - drag.from) / 4));
    ["pointerup", "pointercancel"].forEach((end) => canvas.addEventListener(end, () => { drag = null; }));
    const fromSide = (event) => {
      const frame = scout.getBoundingClientRect();
      go(((event.clientY - frame.top) / frame.height) * count - 0.5);
    };
    scout.addEventListener("pointerdown", fromSide);
    scout.addEventListener("pointermove", (event) => event.buttons && fromSide(event));
    jumps.forEach((button) => button.addEventListener("click", () => {
      go(Number(button.dataset.slice));
      if (button.closest(".rail")) return;
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      find("viewer").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
      screen.focus({ preventScroll: true });
    }));
    windows.forEach((choice) => choice.addEventListener("change", redraw));
    layers.forEach((box) => box.addEventListener("change", applyLayers));
    new ResizeObserver(redraw).observe(screen);
  };

  // Names of key slices that lie close to each other go into rows below each other.
  const placeMarks = () => {
    const ends = [];
    find("marks").querySelectorAll("li").forEach((item, place) => {
      const share = stack.levels[place].key / Math.max(1, count - 1);
      const free = ends.findIndex((end) => share - end >= 0.13);
      const row = free < 0 ? ends.length : free;
      ends[row] = share;
      item.style.left = `${100 * share}%`;
      item.style.top = `${row * 1.75}rem`;
    });
    find("marks").style.height = `${ends.length * 1.75}rem`;
  };

  const begin = async () => {
    [voxels, labels, heat, ramp] = await Promise.all([stack.voxels, stack.labels, stack.heat, stack.ramp].map((text) => text && unpack(text)));
    undoGuesses(voxels);
    here.setAttribute("class", "here");
    here.setAttribute("x1", "0");
    here.setAttribute("x2", String(scout.viewBox.baseVal.width));
    here.setAttribute("stroke-width", String(scout.viewBox.baseVal.width / 180));
    scout.append(here);
    screen.hidden = find("controls").hidden = false;
    jumps.forEach((button) => { button.disabled = false; });
    placeMarks();
    listen();
    current = -1;
    go(stack.start);
    document.documentElement.dataset.viewer = "ready";
  };
  begin().catch((error) => {
    find("trouble").hidden = false;
    console.error(error);
  });
})();
