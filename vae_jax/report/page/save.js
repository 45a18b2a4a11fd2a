// What a reader may take away: the planes as a picture, and the codes that they show as a table.
"use strict";

const Save = (() => {
  function download(name, blob) {
    const url = URL.createObjectURL(blob);
    Panel.element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  // Everything that a part of the page paints or says, as it stands there, in a PNG.
  function picture(root, name) {
    const ratio = Math.max(2, window.devicePixelRatio || 1);
    const area = root.getBoundingClientRect();
    const canvas = Panel.element("canvas", { width: Math.ceil(ratio * area.width), height: Math.ceil(ratio * area.height) });
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
    context.fillRect(0, 0, area.width, area.height);
    for (const part of root.querySelectorAll("canvas")) {
      const { left, top, width, height } = part.getBoundingClientRect();
      if (width && height) context.drawImage(part, left - area.left, top - area.top, width, height);
    }
    context.textBaseline = "bottom";
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const range = document.createRange();
      range.selectNodeContents(texts.currentNode);
      const [box] = range.getClientRects();
      if (!box?.width || texts.currentNode.parentElement.closest("select, details")) continue;
      const { color, font } = getComputedStyle(texts.currentNode.parentElement);
      [context.fillStyle, context.font] = [color, font];
      context.fillText(texts.currentNode.data, box.left - area.left, box.bottom - area.top);
    }
    canvas.toBlob((blob) => download(name, blob));
  }

  // A name from outside as a cell, quoted; a spreadsheet would run one that begins as a formula.
  function cell(name) {
    return `"${name.replace(/^(?=[=+@-])/, "'").replaceAll('"', '""')}"`;
  }

  // The codes of the test images in each run: its name, the image's number, label and class, means and log-variances.
  function codes(runs, images, name) {
    const dims = Math.max(...runs.map((run) => run.latentDim));
    const columns = (word) => Array.from({ length: dims }, (_, i) => `${word}_${i + 1}`);
    const rows = [["run", "image", "label", "class", ...columns("mean"), ...columns("logvar")]];
    for (const run of runs) {
      const { labels, ranks, names, pixels } = images[run.content.images];
      const padded = (values) => Array.from({ length: dims }, (_, i) => values?.[i] ?? "");
      for (let n = 0; n < pixels.length; n++) {
        const { mean, logvar } = run.posterior(n);
        rows.push([run.content.name, n, labels?.[n] ?? "", ranks ? cell(names[ranks[n]]) : "", ...padded(mean), ...padded(logvar)]);
      }
    }
    download(name, new Blob([rows.map((row) => `${row.join(",")}\n`).join("")], { type: "text/csv" }));
  }

  return { picture, codes };
})();
