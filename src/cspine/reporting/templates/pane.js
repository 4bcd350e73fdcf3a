"use strict";
// One pane of the viewer: a plane on a canvas, with its own pan and zoom, and what is drawn over it.
const Pane = (() => {
  const AMBER = "#f2d16b", TONES = { suspicious: "#ff8a5c", calm: "#62b0e8", unknown: "#c3ccd2" }, MEASURED = "#7fe3c4";
  const LEAST_ZOOM = 0.5, MOST_ZOOM = 12;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  const write = (pen, text, x, y, align, colour, scale, size = 14) => {
    pen.font = `650 ${size * scale}px system-ui, sans-serif`;
    pen.textAlign = align;
    pen.lineWidth = 3 * scale;
    pen.lineJoin = "round";
    pen.strokeStyle = "#000";
    pen.strokeText(text, x, y);
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  };

  // `scene` is what all panes share: point, isOn(layer), tables of colours, levels, nearest(), rulers, draft, names.
  return (canvas, plane, stack, scene) => {
    const view = { zoom: 1, right: 0, down: 0 }; // the shift of the middle, in mm
    const mm = [plane.size[0] * plane.step[0], plane.size[1] * plane.step[1]];
    let scale = 1;

    const fit = () => Math.min(canvas.width / mm[0], canvas.height / mm[1]);
    const perMm = () => fit() * view.zoom;
    const corner = () => [canvas.width / 2 + (view.right - mm[0] / 2) * perMm(), canvas.height / 2 + (view.down - mm[1] / 2) * perMm()];
    // Continuous voxel coordinates: the first voxel reaches from 0 to 1.
    const toScreen = (u, v) => {
      const [left, top] = corner();
      return [left + u * plane.step[0] * perMm(), top + v * plane.step[1] * perMm()];
    };
    const toVoxel = (clientX, clientY) => {
      const frame = canvas.getBoundingClientRect(), [left, top] = corner();
      return [((clientX - frame.left) * scale - left) / (plane.step[0] * perMm()), ((clientY - frame.top) * scale - top) / (plane.step[1] * perMm())];
    };
    const zoomAt = (clientX, clientY, factor) => {
      const frame = canvas.getBoundingClientRect(), before = perMm();
      const x = (clientX - frame.left) * scale - canvas.width / 2, y = (clientY - frame.top) * scale - canvas.height / 2;
      view.zoom = clamp(view.zoom * factor, LEAST_ZOOM, MOST_ZOOM);
      view.right += x / perMm() - x / before;
      view.down += y / perMm() - y / before;
    };
    const panBy = (x, y) => {
      view.right = clamp(view.right + (x * scale) / perMm(), -mm[0] / 2, mm[0] / 2);
      view.down = clamp(view.down + (y * scale) / perMm(), -mm[1] / 2, mm[1] / 2);
    };
    const reset = () => Object.assign(view, { zoom: 1, right: 0, down: 0 });

    const lengthMm = (from, to) => Math.hypot((to[0] - from[0]) * plane.step[0], (to[1] - from[1]) * plane.step[1]);

    const drawBoxes = (pen, slice) => {
      const near = scene.nearest();
      const shown = plane.name === "axial" ? [near].filter(Boolean) : scene.levels.filter((level) => level === near || level.tone === "suspicious");
      shown.filter((level) => level.box).forEach((level) => {
        const [left, top, width, height] = level.box;
        const low = [level.first, top, left], high = [level.last + 1, top + height, left + width];
        if (slice + 1 <= low[plane.through] || slice >= high[plane.through]) return;
        const [x0, y0] = toScreen(low[plane.across], low[plane.down]), [x1, y1] = toScreen(high[plane.across], high[plane.down]);
        pen.strokeStyle = TONES[level.tone];
        pen.lineWidth = 1.5 * scale;
        pen.setLineDash(plane.name === "axial" && level.key === slice ? [] : [6 * scale, 5 * scale]);
        pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
        pen.setLineDash([]);
        if (plane.name === "axial") write(pen, level.name, x0 + 4 * scale, y0 + 15 * scale, "left", TONES[level.tone], scale);
      });
    };
    const drawNames = (pen) => {
      if (plane.name === "axial") return;
      scene.levels.forEach((level) => {
        const [, y] = toScreen(0, level.middle + 0.5);
        write(pen, level.name, canvas.width - 8 * scale, y + 5 * scale, "right", TONES[level.tone], scale, 13);
      });
    };
    const drawCross = (pen) => {
      const [x, y] = toScreen(scene.point[plane.across] + 0.5, scene.point[plane.down] + 0.5), gap = 12 * scale;
      pen.strokeStyle = AMBER;
      pen.globalAlpha = 0.75;
      pen.lineWidth = scale;
      pen.beginPath();
      [[0, y, x - gap, y], [x + gap, y, canvas.width, y], [x, 0, x, y - gap], [x, y + gap, x, canvas.height]].forEach(([x0, y0, x1, y1]) => {
        pen.moveTo(x0, y0);
        pen.lineTo(x1, y1);
      });
      pen.stroke();
      pen.globalAlpha = 1;
    };
    const drawRulers = (pen, slice) => {
      [...scene.rulers, scene.draft].filter((ruler) => ruler && ruler.plane === plane.name && ruler.slice === slice).forEach(({ from, to }) => {
        const [x0, y0] = toScreen(...from), [x1, y1] = toScreen(...to);
        [["#000", 4], [MEASURED, 2]].forEach(([colour, width]) => {
          pen.strokeStyle = colour;
          pen.lineWidth = width * scale;
          pen.beginPath();
          pen.moveTo(x0, y0);
          pen.lineTo(x1, y1);
          pen.stroke();
        });
        [[x0, y0], [x1, y1]].forEach(([x, y]) => {
          pen.fillStyle = MEASURED;
          pen.beginPath();
          pen.arc(x, y, 3 * scale, 0, 7);
          pen.fill();
        });
        const right = x1 > canvas.width - 90 * scale;
        write(pen, `${lengthMm(from, to).toFixed(1)} mm`, x1 + (right ? -8 : 8) * scale, y1 - 6 * scale, right ? "right" : "left", MEASURED, scale);
      });
    };
    const drawLetters = (pen, slice) => {
      const { width, height } = canvas, edge = 8 * scale, [left, right, up, down] = plane.letters;
      write(pen, left, edge, height / 2, "left", AMBER, scale);
      if (plane.name === "axial") write(pen, right, width - edge, height / 2, "right", AMBER, scale);
      write(pen, up, width / 2, 18 * scale, "center", AMBER, scale);
      write(pen, down, width / 2, height - edge, "center", AMBER, scale);
      const bar = 20 * perMm();
      pen.fillStyle = AMBER;
      pen.fillRect(edge, height - edge - 3 * scale, bar, 3 * scale);
      write(pen, "2 cm", edge, height - edge - 8 * scale, "left", AMBER, scale, 12);
      write(pen, `${slice + 1}/${plane.count}`, edge, 18 * scale, "left", "#dfe5e9", scale, 12);
    };

    const draw = () => {
      scale = devicePixelRatio || 1;
      const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
      if (!width || !height) return;
      canvas.width = width;
      canvas.height = height;
      const pen = canvas.getContext("2d"), slice = scene.point[plane.through], [left, top] = corner();
      canvas.dataset.slice = String(slice + 1);
      pen.imageSmoothingQuality = "high";
      const lay = (source) => pen.drawImage(source, left, top, mm[0] * perMm(), mm[1] * perMm());
      lay(plane.grey(slice, scene.greys));
      if (scene.isOn("heat")) lay(plane.heat(slice, scene.warmth));
      if (scene.isOn("labels")) lay(plane.labels(slice, scene.tints));
      if (scene.isOn("box")) drawBoxes(pen, slice);
      if (scene.isOn("cross")) drawCross(pen);
      drawRulers(pen, slice);
      drawNames(pen);
      drawLetters(pen, slice);
    };

    return { canvas, plane, view, draw, reset, panBy, zoomAt, toVoxel, toScreen, lengthMm };
  };
})();
