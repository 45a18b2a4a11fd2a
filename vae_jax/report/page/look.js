// Colours and fonts of what is painted, as the page's styles have them.
"use strict";

const Look = (() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // What an element's styles say now.
  function read(root) {
    const styles = getComputedStyle(root);
    const value = (name) => styles.getPropertyValue(name).trim();
    const theme = dark.matches ? "dark" : "light";
    const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return {
      theme, font: styles.fontFamily, small: 11,
      ground: value("--plane"), ink: value("--ink"), quiet: value("--quiet"), line: value("--edge"),
      accent: value("--accent"), paper: value("--paper"), onPaper: value("--on-paper"),
      paperRgb: rgb(value("--paper")), inkRgb: rgb(value("--on-paper")), shadeRgb: rgb(value("--shade")),
      onColor: theme === "dark" ? "#101214" : "#ffffff",
      color: (rank, count) => Plane.classColor(rank, count, theme),
    };
  }

  return { read, dark };
})();
