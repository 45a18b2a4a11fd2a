// A pad to draw a digit on, and the digit as an image like those of MNIST.
"use strict";

const Pad = (() => {
  const BRUSH = 0.085; // width of a stroke, in sides of the pad
  const FILLED = 20 / 28; // the larger side of a digit, in sides of the image, as in MNIST
  const OVERSAMPLING = 4;

  class Pad {
    // Strokes are lists of points in [0, 1] x [0, 1]; `changed` is called after each change.
    constructor(canvas, changed) {
      this.canvas = canvas;
      this.changed = changed;
      this.strokes = [];
      this.image = null; // pixels that were put on the pad instead of strokes
      let current = null;
      const point = (event) => {
        const box = canvas.getBoundingClientRect();
        return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        canvas.setPointerCapture(event.pointerId);
        this.image = null;
        this.strokes.push((current = [point(event)]));
        changed();
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!current) return;
        for (const part of event.getCoalescedEvents?.() ?? [event]) current.push(point(part));
        if (!event.getCoalescedEvents?.().length) current.push(point(event));
        changed();
      });
      for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (current = null));
    }

    get isEmpty() {
      return this.image === null && this.strokes.length === 0;
    }

    clear() {
      [this.strokes, this.image] = [[], null];
      this.changed();
    }

    put(pixels) {
      [this.strokes, this.image] = [[], pixels];
      this.changed();
    }

    // The image, Float32Array [height * width] in [0, 1]: the digit fills 20 of 28 pixels, its centre of mass is centred.
    pixels(height, width) {
      if (this.image) return this.image;
      const points = this.strokes.flat();
      const brush = BRUSH / 2;
      const low = [0, 1].map((axis) => Math.min(...points.map((p) => p[axis])) - brush);
      const high = [0, 1].map((axis) => Math.max(...points.map((p) => p[axis])) + brush);
      // A tiny dot is not blown up beyond three times its size.
      const largest = Math.max(high[0] - low[0], high[1] - low[1], FILLED / 3);
      const scale = (FILLED * Math.min(height, width)) / largest;
      const middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
      const centred = this.rasterize(height, width, scale, middle, [0, 0]);
      let mass = 0, row = 0, column = 0;
      for (let r = 0; r < height; r++) {
        for (let c = 0; c < width; c++) {
          const value = centred[r * width + c];
          mass += value;
          row += value * (r + 0.5);
          column += value * (c + 0.5);
        }
      }
      if (mass === 0) return centred;
      return this.rasterize(height, width, scale, middle, [width / 2 - column / mass, height / 2 - row / mass]);
    }

    rasterize(height, width, scale, middle, shift) {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [width * OVERSAMPLING, height * OVERSAMPLING];
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.scale(OVERSAMPLING, OVERSAMPLING);
      context.translate(width / 2 + shift[0], height / 2 + shift[1]);
      context.scale(scale, scale);
      context.translate(-middle[0], -middle[1]);
      paintStrokes(context, this.strokes, "#fff");
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      const pixels = new Float32Array(height * width);
      for (let r = 0; r < canvas.height; r++) {
        for (let c = 0; c < canvas.width; c++) {
          const at = Math.floor(r / OVERSAMPLING) * width + Math.floor(c / OVERSAMPLING);
          pixels[at] += data[4 * (r * canvas.width + c) + 3] / 255 / OVERSAMPLING ** 2;
        }
      }
      return pixels.map((value) => Math.min(1, value));
    }

    paint(look, tile) {
      const { canvas } = this;
      const ratio = Math.min(3, window.devicePixelRatio || 1);
      canvas.width = canvas.height = Math.max(1, Math.round(canvas.clientWidth * ratio));
      const context = canvas.getContext("2d");
      context.fillStyle = look.paper;
      context.fillRect(0, 0, canvas.width, canvas.width);
      if (this.image) return tile(context, this.image, 0, 0, canvas.width);
      context.scale(canvas.width, canvas.width);
      paintStrokes(context, this.strokes, look.onPaper);
    }
  }

  function paintStrokes(context, strokes, color) {
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = BRUSH;
    context.lineCap = context.lineJoin = "round";
    for (const points of strokes) {
      context.beginPath();
      context.arc(...points[0], BRUSH / 2, 0, 2 * Math.PI);
      context.fill();
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x, y);
      context.stroke();
    }
  }

  return { Pad };
})();
