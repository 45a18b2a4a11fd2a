// Random numbers that are the same for every reader. It touches no document.
"use strict";

const Noise = (() => {
  // A function that returns uniform numbers in [0, 1) (mulberry32): every reader's first click draws the same points.
  function generator(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  // Numbers of N(0, 1), from a function that returns uniform ones.
  function normals(random, count) {
    return Float32Array.from({ length: count }, () =>
      Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
  }

  return { generator, normals };
})();
