// The test images of a data set, which the page holds in one sheet.
"use strict";

const Digits = (() => {
  // The pixels, Float32Array [H * W] or [H * W * 3] in [0, 1] each, with labels, and classes as ranks.
  async function read({ uri, count, columns, shape: [height, width, channels = 1], labels }) {
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
    const classes = labels ? [...new Set(labels)].sort((a, b) => a - b) : [];
    return { pixels, labels, count: classes.length, ranks: labels?.map((label) => classes.indexOf(label)) ?? null };
  }

  return { read };
})();
