// The story's draws: ε falls on N(0, I), is scaled and shifted onto a digit's ellipse, and is decoded.
"use strict";

(() => {
  const root = document.getElementById("draw");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const find = (name) => root.querySelector(`[data-st="${name}"]`);
  const DRAWS = 8;
  const FALL = 400, SCALE = 900, STAGGER = 120; // milliseconds: onto N(0, I), onto the ellipse, and between two
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const random = Noise.generator(2);
  const content = data.runs[Number(root.dataset.run)];
  const dims = content.latent_dim;
  const shown = Number(root.dataset.dims);
  const picture = new Plane.Picture(find("plane"));
  const tiles = new Panel.Tiles(...content.image_shape);
  let run = null;
  let view = null;
  let images = null;
  let digit = 0;
  let posterior = null;
  let draws = []; // {eps, z, image}
  let start = 0;
  let look = null;
  let frame = 0;

  function choose(index) {
    digit = index;
    posterior = run.posterior(digit);
    draw();
  }

  function draw() {
    draws = Array.from({ length: DRAWS }, () => {
      const eps = Noise.normals(random, dims);
      const z = posterior.mean.map((mean, i) => mean + Math.exp(posterior.logvar[i] / 2) * eps[i]);
      return { eps, z, image: null };
    });
    start = performance.now();
    write();
    schedule();
  }

  // Writes the numbers of the last draw, which is the one that lands last.
  function write() {
    const { eps, z } = draws[DRAWS - 1];
    const rows = { mean: posterior.mean, sd: posterior.logvar.map((value) => Math.exp(value / 2)), eps, z };
    const text = (value) => value.toFixed(2).replace("-", "−");
    for (const [name, values] of Object.entries(rows)) {
      [...find(`row-${name}`).cells].slice(1).forEach((cell, i) => (cell.textContent = text(values[i])));
    }
    find("status").textContent = `z = (${[...z].slice(0, shown).map(text).join(", ")})`;
  }

  function schedule() {
    frame ||= requestAnimationFrame(paint);
  }

  // How far draw n has come: from 0 to 1 its fall, from 1 to 2 its way onto the ellipse.
  function progress(n, now) {
    if (calm.matches) return 2;
    const time = now - start - n * STAGGER;
    if (time < FALL) return Math.max(0, time / FALL);
    const t = Math.min(1, (time - FALL) / SCALE);
    return 1 + t * t * (3 - 2 * t);
  }

  // The Gaussian on the way from N(0, I), at 0, to q(z | x), at 1.
  function between(t) {
    const sd = posterior.logvar.map((value) => 1 - t + t * Math.exp(value / 2));
    return { mean: posterior.mean.map((mean) => t * mean), logvar: sd.map((value) => 2 * Math.log(value)), sd };
  }

  function paint() {
    frame = 0;
    if (!picture.fit()) return;
    look ??= Look.read(document.getElementById("explorer"));
    const now = performance.now();
    picture.setBox(view.box);
    const set = images[content.images];
    const grey = { ...look, dotAlpha: 0.35, color: () => look.quiet };
    picture.paintBase(look.theme, grey, view.places, { ranks: null, names: [], isLine: dims === 1 }, null);
    picture.begin();
    const last = progress(DRAWS - 1, now);
    picture.paintEllipse(look, view.ellipse(posterior));
    if (last < 2) picture.paintEllipse(look, view.ellipse(between(Math.max(0, progress(0, now) - 1))));
    const landed = draws.filter((_, n) => progress(n, now) === 2);
    for (const each of landed) each.image ??= run.decode(each.z);
    picture.paintDots(look, landed.map(({ z }) => view.project(z)), 1.5);
    draws.forEach(({ eps }, n) => {
      const t = progress(n, now);
      if (t === 0 || t === 2) return;
      const { mean, sd } = between(Math.max(0, t - 1));
      const place = view.project(mean.map((value, i) => value + sd[i] * eps[i]));
      picture.paintSample(look, place, 60 * (1 - Math.min(1, t)) ** 2, n === DRAWS - 1);
    });
    picture.paintLens(look, view.ellipse(posterior), landed.map(({ z }) => view.project(z)));
    tiles.paintGrid(find("original"), [set.pixels[digit]], 1, 1, look);
    tiles.paintGrid(find("decoded"), [draws[DRAWS - 1].image], 1, 1, look);
    tiles.paintGrid(find("decodes"), draws.map(({ image }) => image), DRAWS, 1, look);
    if (last < 2) schedule();
  }

  async function begin() {
    run = await Network.open(content);
    images = await Promise.all(data.images.map(Digits.read));
    const directions = Plane.directions(run);
    view = new Plane.View(run, directions[0]?.vector, directions[1]?.vector);
    const restyle = () => {
      look = null;
      schedule();
    };
    find("draw").addEventListener("click", draw);
    find("digit").addEventListener("click", () => choose(Math.floor(random() * view.count)));
    Look.dark.addEventListener("change", restyle);
    calm.addEventListener("change", schedule);
    new ResizeObserver(restyle).observe(root);
    choose(digit);
    root.dataset.ready = "";
  }

  // The parameters are decoded when a reader comes near.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    begin().catch((error) => console.error(error));
  }, { rootMargin: "600px" }).observe(root);
})();
