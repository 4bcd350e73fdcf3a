"use strict";
// The voxels of the page, unpacked, and the three planes through them. The slices are in the page: no network is asked.
const Voxels = (() => {
  // Unpacking: see cspine.reporting.pages.packing.
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(plain).arrayBuffer());
  };
  const undoGuesses = (codes, [count, rows, columns]) => {
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
  const open = async (stack) => {
    const [voxels, labels, heat, ramp] = await Promise.all([stack.voxels, stack.labels, stack.heat, stack.ramp].map((text) => text && unpack(text)));
    return { voxels: undoGuesses(voxels, stack.shape), labels, heat, ramp };
  };

  // Axes are (z, y, x): z from the head, y from the front, x from the patient's right. Each plane has one across, one down, one through.
  const AXES = { axial: [2, 1, 0], sagittal: [1, 0, 2], coronal: [2, 0, 1] };
  const LETTERS = { axial: "RLAP", sagittal: "APHF", coronal: "RLHF" };

  const sheet = (width, height) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height }), pen = canvas.getContext("2d");
    const image = pen.createImageData(width, height);
    return { canvas, pen, image, words: new Uint32Array(image.data.buffer) };
  };
  const isLittle = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
  const word = (red, green, blue, alpha) => (isLittle ? ((alpha << 24) | (blue << 16) | (green << 8) | red) : ((red << 24) | (green << 16) | (blue << 8) | alpha)) >>> 0;

  // Calls see(place in a sheet, place in an array of this shape) for each pixel of a slice.
  const walk = (shape, [across, down, through], slice, see) => {
    const strides = [shape[1] * shape[2], shape[2], 1];
    for (let v = 0, to = 0; v < shape[down]; v++) {
      let at = slice * strides[through] + v * strides[down];
      for (let u = 0; u < shape[across]; u++, to++, at += strides[across]) see(to, at, u, v);
    }
  };

  const plane = (name, stack, data) => {
    const axes = AXES[name], [across, down, through] = axes, shape = stack.shape;
    const step = [stack.step_mm, stack.pixel_mm, stack.pixel_mm];
    const grey = sheet(shape[across], shape[down]), outline = sheet(shape[across], shape[down]);
    const warm = data.heat ? sheet(stack.heat_shape[across], stack.heat_shape[down]) : null;
    const laid = (target) => {
      target.pen.putImageData(target.image, 0, 0);
      return target.canvas;
    };
    const strides = [shape[1] * shape[2], shape[2], 1];
    return {
      name, across, down, through, letters: LETTERS[name],
      count: shape[through], size: [shape[across], shape[down]], step: [step[across], step[down]], apart: step[through],
      grey: (slice, table) => {
        walk(shape, axes, slice, (to, at) => { grey.words[to] = table[data.voxels[at]]; });
        return laid(grey);
      },
      heat: (slice, table) => {
        const there = Math.floor(((slice + 0.5) * stack.heat_shape[through]) / shape[through]);
        walk(stack.heat_shape, axes, there, (to, at) => { warm.words[to] = table[data.heat[at]]; });
        return laid(warm);
      },
      labels: (slice, table) => {
        const [width, height] = [shape[across], shape[down]], { labels } = data;
        walk(shape, axes, slice, (to, at, u, v) => {
          const label = labels[at];
          const inside = label && u > 0 && v > 0 && u < width - 1 && v < height - 1
            && labels[at - strides[across]] === label && labels[at + strides[across]] === label
            && labels[at - strides[down]] === label && labels[at + strides[down]] === label;
          outline.words[to] = label ? table[label][inside ? 0 : 1] : 0;
        });
        return laid(outline);
      },
    };
  };

  const greys = (hounsfield, low, high) => Uint32Array.from(hounsfield, (hu) => {
    const shade = Math.min(255, Math.max(0, Math.round((255 * (hu - low)) / (high - low))));
    return word(shade, shade, shade, 255);
  });
  const warmth = (ramp) => Uint32Array.from({ length: 256 }, (_, value) => word(...ramp.subarray(4 * value, 4 * value + 4)));
  const tints = (colours) => colours.map((colour) => [word(...colour, 40), word(...colour, 235)]);

  return { open, plane, greys, warmth, tints };
})();
