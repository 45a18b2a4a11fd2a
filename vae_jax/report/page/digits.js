// The test images of a data set, which the page holds in one sheet.
"use strict";

const Digits = (() => {
  // The pixels, Float32Array [H * W] or [H * W * 3] in [0, 1] each, with labels, classes as ranks, and their names.
  async function read({ uri, count, columns, shape: [height, width, channels = 1], labels, names }) {
    const sheet = new Image();
    sheet.src = uri;
    await sheet.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: sheet.width, height: sheet.height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(sheet, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, sheet.width, sheet.height);
    const pixels = Array.from({ length: count }, (_, n) => {
      const top = Math.floor(n / columns) * height, left = (n % columns) * width;
      return Float32Array.from({ length: height * width * channels }, (_, i) => {
        const at = Math.floor(i / channels);
        return rgba[4 * ((top + Math.floor(at / width)) * sheet.width + left + (at % width)) + (i % channels)] / 255;
      });
    });
    return { pixels, labels, ...classes(labels, names) };
  }

  // Of images with labels, and names by label: the rank of each image's class, and the names by rank.
  function classes(labels, names) {
    if (!labels) return { ranks: null, names: [] };
    const sorted = [...new Set(labels)].sort((a, b) => a - b);
    return { ranks: labels.map((label) => sorted.indexOf(label)), names: sorted.map((label) => names[label]) };
  }

  // A name that fits into so many characters.
  function short(name, most) {
    const characters = [...name];
    return characters.length > most ? `${characters.slice(0, most - 1).join("").trimEnd()}…` : name;
  }

  return { read, classes, short };
})();
